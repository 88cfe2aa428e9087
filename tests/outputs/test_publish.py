"""What a subscriber gets from a real publisher over real sockets."""

import math
import time

import pytest
from heard import BOTH, face, transcript, voice
from msgspec import structs
from publishers import moved_clock, settling, stepped, subscribing

pytestmark = pytest.mark.live

clock = pytest.fixture(moved_clock)
publisher = pytest.fixture(stepped)
subscribe = pytest.fixture(subscribing)
listening = pytest.fixture(settling)


# News -----------------------------------------------------------------------------------------------


def test_words_are_published_with_everything_the_design_promises(publisher, listening, clock):
    subscriber = listening("")
    message = transcript("bin blue", revision=2)
    clock.ns = time.monotonic_ns()
    publisher.step([message])
    [(topic, body)] = subscriber.read(1)
    assert topic == "transcript.partial"
    assert body["schema"] == "hearsee.transcript/1"
    assert (body["stream"], body["seq"], body["epoch"]) == ("transcribe", 0, 0)
    assert (body["t_start_ns"], body["t_end_ns"]) == (message.t_start_ns, message.t_end_ns)
    assert body["t_emit_ns"] >= message.t_end_ns
    assert body["unix_time"] == pytest.approx(time.time() - 0.16, abs=1.0)
    assert (body["mode"], body["modalities"], body["sync_error_ms"]) == ("av", BOTH, None)
    assert (body["segment"], body["revision"], body["text"]) == (0, 2, "bin blue")
    assert [word["text"] for word in body["words"]] == ["bin", "blue"]
    assert body["words"][0]["heard_by"] == "av"


def test_partial_and_final_are_topics_of_their_own(publisher, listening):
    subscriber = listening("transcript.final")
    publisher.step([transcript("bin"), transcript("bin blue", final=True), transcript("lay", segment=1)])
    publisher.step([transcript("lay red", final=True, segment=1)])
    got = subscriber.read(3, seconds=0.5)
    assert [(topic, body["text"]) for topic, body in got] == [
        ("transcript.final", "bin blue"),
        ("transcript.final", "lay red"),
    ]


def test_seq_counts_each_topic(publisher, listening):
    subscriber = listening("transcript.", "voice")
    publisher.step([voice(), transcript("bin"), voice(), transcript("bin", final=True), transcript("lay")])
    got = [(topic, body["seq"]) for topic, body in subscriber.read(5)]
    assert got == [
        ("voice", 0),
        ("transcript.partial", 0),
        ("voice", 1),
        ("transcript.final", 0),
        ("transcript.partial", 1),
    ]


def test_faces_are_published_without_pictures_at_most_ten_times_a_second(publisher, listening):
    subscriber = listening("face")
    start = time.monotonic_ns()
    publisher.step([face(start + n * 40_000_000) for n in range(50)])
    got = subscriber.read(50, seconds=0.5)
    assert 10 <= len(got) <= 20
    body = got[0][1]
    assert (body["box"], body["quality"], body["track"]) == ([1.0, 2.0, 30.0, 40.0], 0.75, 2)
    assert body["landmarks"][1] == [2.0, 3.0]
    assert "mouth" not in body
    assert body["stream"] == "camera"


def test_every_face_in_view_is_published_and_whether_it_is_read_and_speaks(publisher, listening):
    subscriber = listening("face")
    start = time.monotonic_ns()
    seen = [face(start + n * 40_000_000, track, last=track == 7) for n in range(10) for track in (2, 5, 7)]
    publisher.step([voice(face=5, faces={2: False, 5: True}), *seen])
    got = [body for _, body in subscriber.read(30, seconds=0.5)]
    assert [body["track"] for body in got] == [2, 5, 7] * (len(got) // 3)
    assert len({body["t_start_ns"] for body in got}) == len(got) // 3 == 4
    assert [(body["read"], body["speaking"]) for body in got[:3]] == [
        (False, False),
        (True, True),
        (False, None),
    ]


def test_a_transcript_says_whose_lips_were_read(publisher, listening):
    subscriber = listening("transcript.")
    publisher.step([structs.replace(transcript("bin"), face=5), transcript("bin blue")])
    assert [body["face"] for _, body in subscriber.read(2)] == [5, None]


def test_two_recognisers_side_by_side_say_whose_each_word_is_and_count_for_themselves(publisher, listening):
    subscriber = listening("transcript.partial")
    general = structs.replace(transcript("bean blue", mode="audio"), stream="english")
    publisher.step([transcript("bin blue"), general])
    bodies = [body for _, body in subscriber.read(2)]
    assert [(b["stream"], b["text"], b["seq"]) for b in bodies] == [
        ("transcribe", "bin blue", 0),
        ("english", "bean blue", 0),
    ]
    assert [{word["recogniser"] for word in b["words"]} for b in bodies] == [{"transcribe"}, {"english"}]


def test_what_is_no_number_leaves_as_null(publisher, listening):
    subscriber = listening("voice")
    publisher.step([voice(probability=math.nan)])
    [(_, body)] = subscriber.read(1)
    assert body["probability"] is None


# What a latecomer is told ---------------------------------------------------------------------------


def test_a_late_subscriber_gets_the_latest_of_each_topic_at_once(publisher, subscribe):
    publisher.step([voice(), transcript("bin"), face(), transcript("bin blue", final=True)])
    late = subscribe("")
    got = dict(late.read(5))
    assert set(got) == {"voice", "transcript.partial", "transcript.final", "face", "status"}
    assert got["transcript.final"]["text"] == "bin blue"
    assert all(body["repeat"] for body in got.values())


def test_a_late_subscriber_gets_only_the_topics_it_asked_for(publisher, subscribe):
    publisher.step([voice(), transcript("bin"), transcript("bin blue", final=True)])
    got = subscribe("transcript.").read(5, seconds=0.5)
    assert [topic for topic, _ in got] == ["transcript.partial", "transcript.final"]


def test_what_a_latecomer_is_told_others_can_tell_from_news(publisher, listening, subscribe):
    first = listening("transcript.final")
    publisher.step([transcript("bin blue", final=True)])
    [(_, news)] = first.read(1)
    second = subscribe("transcript.final")
    assert second.read(1)[0][1]["text"] == "bin blue"
    [(_, again)] = first.read(1)
    assert (news["repeat"], again["repeat"]) == (False, True)
    assert again["seq"] == news["seq"]
