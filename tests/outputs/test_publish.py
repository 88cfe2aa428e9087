"""What a subscriber gets from a real publisher over real sockets."""

import json
import math
import time

import pytest
import zmq
from heard import BOTH, face, gap, health, transcript, voice
from msgspec import structs

from nodes.outputs.publish import Publish
from nodes.runtime.errors import UserError
from nodes.runtime.node import Context

pytestmark = pytest.mark.live


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.ns = time.monotonic_ns()

    def __call__(self):
        return self.ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def publisher(clock):
    node = Publish(address="tcp://127.0.0.1:*")
    node.open(Context(name="publish", now_ns=clock))
    yield node
    node.close()


class Subscriber:
    def __init__(self, publisher, *topics):
        self.publisher = publisher
        self.topics = topics
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        for topic in topics:
            self.socket.subscribe(topic)
        self.socket.connect(publisher.address)

    def settled(self):
        """Subscribed for sure: a status, asked for last, has come.  Everything until then is thrown away.

        ZeroMQ may know of a subscription a step before the publisher is told: then what it has just sent is
        said again, and is waited for here.
        """
        if not "status".startswith(self.topics[-1]):  # asked for twice it may come twice
            self.socket.subscribe("status")
        end = time.monotonic() + 10.0
        while time.monotonic() < end:
            if [topic for topic, _ in self._read()] == ["status"]:
                while self._read() or self._read():
                    pass
                return self
        raise AssertionError("no status within 10 s")

    def read(self, count, seconds=10.0):
        """``count`` messages, or as many as come in ``seconds``; the publisher steps as its host would."""
        got, end = [], time.monotonic() + seconds
        while len(got) < count and time.monotonic() < end:
            got += [(topic, body) for topic, body in self._read() if topic.startswith(self.topics)]
        return got

    def _read(self):
        self.publisher.step([])
        if not self.socket.poll(20):
            return []
        topic, body = self.socket.recv_multipart()
        return [(topic.decode(), json.loads(body))]

    def close(self):
        self.context.destroy(linger=0)


@pytest.fixture
def subscribe(publisher):
    """A subscriber that has just connected."""
    made = []

    def subscribe(*topics):
        made.append(Subscriber(publisher, *topics))
        return made[-1]

    yield subscribe
    for subscriber in made:
        subscriber.close()


@pytest.fixture
def listening(subscribe):
    """A subscriber whose subscriptions have arrived, and who has had all that is old."""
    return lambda *topics: subscribe(*topics).settled()


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


def test_status_comes_every_second_even_when_nothing_else_does(publisher, subscribe, clock):
    subscriber = subscribe("status")
    [(_, body)] = subscriber.read(1)
    for second in range(1, 4):
        clock.ns += 500_000_000
        assert subscriber.read(1, seconds=0.1) == []
        clock.ns += 500_000_000
        [(_, body)] = subscriber.read(1)
        assert body["seq"] == second
    assert (body["mode"], body["says"], body["uptime_s"]) == ("none", "neither sound nor lips to read", 3.0)


def test_a_publisher_that_slept_does_not_catch_up_on_status(publisher, listening, clock):
    subscriber = listening("status")
    clock.ns += 30_000_000_000
    assert len(subscriber.read(5, seconds=0.4)) == 1


def test_mode_turns_to_none_when_voice_stops(publisher, listening, clock):
    subscriber = listening("status")
    publisher.step([voice(mode="audio")])
    clock.ns += 1_000_000_000
    [(_, body)] = subscriber.read(1)
    assert (body["mode"], body["modalities"], body["says"]) == ("audio", BOTH, "reading sound only")
    clock.ns += 1_000_000_000
    [(_, body)] = subscriber.read(1)
    assert (body["mode"], body["modalities"]) == ("none", {"audio": 0.0, "video": 0.0})


def test_status_tells_a_person_why(publisher, listening, clock):
    subscriber = listening("status")
    clock.ns += 1_000_000_000
    publisher.step([voice(mode="audio"), gap("camera 0 not found")])
    [(_, body)] = subscriber.read(1)
    assert body["says"] == "no lips: camera 0 not found"
    clock.ns += 1_000_000_000
    publisher.step([voice(), face()])
    assert subscriber.read(1)[0][1]["says"] == "reading sound and lips"


def test_status_tells_why_there_is_no_sound_though_gaps_of_a_microphone_do_not_come_here(
    publisher, listening, clock
):
    subscriber = listening("status")
    lost = {"state": "ok", "messages": 9, "gaps": {"audio": "microphone unplugged"}}
    dark = {"state": "ok", "messages": 9, "gaps": {"face": "camera 0 not found"}}
    clock.ns += 1_000_000_000
    publisher.step([health(nodes={"microphone": lost, "face": dark}), gap("camera 0 not found")])
    [(_, body)] = subscriber.read(1)
    assert body["says"] == "no sound: microphone unplugged; no lips: camera 0 not found"


def test_status_sums_up_health(publisher, listening, clock):
    subscriber = listening("status")
    nodes = {"camera": {"state": "cannot open /dev/video0", "messages": 4}}
    publisher.step(
        [health(), health("capture", nodes=nodes, edges={"camera/picture>perceive": {"dropped": 0}})]
    )
    clock.ns += 1_000_000_000
    publisher.step([health(edges={"face/face>publish": {"queued": 9, "queued_bytes": 9, "dropped": 12}})])
    [(_, body)] = subscriber.read(1)
    assert body["groups"]["perceive"]["state"] == "running"
    assert (body["groups"]["perceive"]["restarts"], body["groups"]["perceive"]["pid"]) == (1, 99)
    assert body["nodes"]["face"]["step_p99_ms"] == 2.0
    assert body["nodes"]["face"]["group"] == "perceive"
    assert body["drops"] == {"camera/picture>perceive": 0, "face/face>publish": 12}
    assert body["queues"]["face/face>publish"] == {"messages": 9, "bytes": 9}
    assert body["says"] == "camera: cannot open /dev/video0; face/face>publish is dropping messages"


def test_a_group_that_fell_silent_is_lost(publisher, listening, clock):
    subscriber = listening("status")
    publisher.step([health(), health("capture")])
    for _ in range(3):
        clock.ns += 1_000_000_000
        publisher.step([health("capture")])
    clock.ns += 1_000_000_000
    publisher.step([health("capture")])
    *_, (_, before), (_, body) = subscriber.read(4, seconds=0.3)
    assert body["groups"]["perceive"]["state"] == "lost"
    assert body["groups"]["perceive"]["heard_s"] == 4.0
    assert body["groups"]["capture"]["state"] == "running"
    assert before["says"] == body["says"] == "group perceive not heard"


def test_a_group_that_has_to_be_started_again_is_told_at_once(publisher, listening, clock):
    """Not a second later, when it may be back already; and once, while it lasts."""
    subscriber = listening("status")
    clock.ns += 1_000_000_000
    publisher.step([health(), health("capture")])
    assert [body["says"] for _, body in subscriber.read(1)] == ["neither sound nor lips to read"]
    away = structs.replace(health("capture"), stream="supervisor", state="restarting")
    publisher.step([away])
    publisher.step([away, health()])
    got = subscriber.read(2, seconds=0.3)
    assert [body["says"] for _, body in got] == ["group capture restarting"]


def test_status_measures_the_delay_to_publication(publisher, listening, clock):
    subscriber = listening("status")
    clock.ns = time.monotonic_ns() + 1_000_000_000
    message = voice()
    message.t_end_ns = clock.ns - 35_000_000
    publisher.step([message, face(clock.ns - 12_000_000 + 40_000_000)])  # t_end_ns, a period later
    [(_, body)] = subscriber.read(1)
    assert body["delays"]["voice"] == {"p50_ms": 35.0, "p99_ms": 35.0}
    assert body["delays"]["face"]["p50_ms"] == 12.0, "from when the picture was taken, not to its last moment"


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


def test_the_mode_is_that_of_the_recogniser_with_the_most_to_go_by(publisher, listening, clock):
    subscriber = listening("status")
    ours, general = voice("av"), structs.replace(voice("audio"), stream="english")
    for messages, mode in (
        ([ours, general], "av"),
        ([general, ours], "av"),
        ([general], "audio"),
        ([], "none"),
    ):
        clock.ns += 1_100_000_000
        publisher.step(messages)
        [(_, body)] = subscriber.read(1)
        assert body["mode"] == mode


def test_what_is_no_number_leaves_as_null(publisher, listening):
    subscriber = listening("voice")
    publisher.step([voice(probability=math.nan)])
    [(_, body)] = subscriber.read(1)
    assert body["probability"] is None


def test_a_subscriber_that_never_reads_holds_nobody_up(publisher, listening, subscribe):
    lazy = subscribe("voice")
    lazy.socket.rcvhwm = 1
    reader = listening("voice")
    longest, got = 0.0, 0
    for sent in range(50, 10_001, 50):
        start = time.monotonic()
        publisher.step([voice() for _ in range(50)])
        longest = max(longest, time.monotonic() - start)
        while reader.socket.poll(0 if sent - got < 500 else 100):  # a busy machine is not its fault
            reader.socket.recv_multipart()
            got += 1
    got += len(reader.read(10_000 - got, seconds=2.0))
    assert longest < 1.0
    assert got > 9_000


def test_the_port_in_use_is_said_in_one_line(publisher):
    other = Publish(address=publisher.address)
    with pytest.raises(UserError, match=r"in use, perhaps by another hearsee") as error:
        other.open(Context(name="publish"))
    assert "\n" not in str(error.value)


def test_what_is_sent_just_before_close_arrives(publisher, listening):
    subscriber = listening("transcript.final")
    publisher.step([transcript(f"word {n}", final=True, segment=n) for n in range(50)])
    publisher.close()
    got = [subscriber.socket.recv_multipart() for _ in range(50) if subscriber.socket.poll(1000)]
    assert [json.loads(body)["segment"] for topic, body in got if topic == b"transcript.final"] == list(
        range(50)
    )


def test_the_port_is_free_again_after_close():
    node = Publish(address="tcp://127.0.0.1:*")
    node.open(Context(name="publish"))
    start = time.monotonic()
    node.close()
    assert time.monotonic() - start < 1.0
    again = Publish(address=node.address)
    again.open(Context(name="publish"))
    again.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("banana", "not an address"),
        ("tcp://127.0.0.1", "not an address"),
        ("tcp://127.0.0.1:99999", "not an address"),
        ("tcp://127.0.0.1:http", "not an address"),
        ("tcp://0.0.0.0:5599", "needs keys"),
        ("tcp://*:5599", "needs keys"),
        ("tcp://192.168.1.7:5599", "needs keys"),
        ("ipc:///no/such/folder/hearsee", "cannot be used"),
    ],
)
def test_a_bad_address_is_said_in_one_line(address, words):
    with pytest.raises(UserError, match=words) as error:
        Publish(address=address).open(Context(name="publish"))
    assert "\n" not in str(error.value)
    assert address in str(error.value)
