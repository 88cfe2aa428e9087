"""What status says every second: what is read, what is lost and why, and how the pipeline is."""

import time

import pytest
from heard import BOTH, face, gap, health, voice
from msgspec import structs
from publishers import moved_clock, settling, stepped, subscribing

pytestmark = pytest.mark.live

clock = pytest.fixture(moved_clock)
publisher = pytest.fixture(stepped)
subscribe = pytest.fixture(subscribing)
listening = pytest.fixture(settling)


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
