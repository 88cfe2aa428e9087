"""An edge over real ZeroMQ sockets: bounded, in order, and honest about what it drops."""

import time

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from nodes.runtime.edge import Inlet, Lane, Outlet, size
from nodes.runtime.graph import Bound
from nodes.runtime.messages import FRAME_NS, Audio, Gap, Picture, encode
from nodes.runtime.plan import Edge

pytestmark = pytest.mark.live


def audio(seq, stream="microphone", samples=160, epoch=0):
    return Audio(
        stream=stream,
        seq=seq,
        epoch=epoch,
        t_start_ns=seq * FRAME_NS,
        t_end_ns=(seq + 1) * FRAME_NS,
        samples=np.full(samples, seq, np.float32),
    )


def picture(seq, side=8):
    return Picture(
        stream="camera",
        seq=seq,
        epoch=0,
        t_start_ns=seq * FRAME_NS,
        t_end_ns=(seq + 1) * FRAME_NS,
        image=np.full((side, side, 3), seq % 256, np.uint8),
    )


def edge(folder, wait=False, messages=5):
    routes = {"microphone/audio": ("ear",), "camera/picture": ("eye", "film")}
    bounds = {route: Bound(messages, 10**8) for route in routes}
    return Edge("capture", "perceive", f"ipc://{folder}/capture-perceive", routes, bounds, wait)


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


def receive(inlet, outlet, count, timeout=5.0):
    """The first ``count`` messages, and to whom they go, while the outlet keeps sending."""
    got, until = [], time.monotonic() + timeout
    while len(got) < count and time.monotonic() < until:
        outlet.flush()
        inlet.socket.poll(10)
        got += inlet.receive()
    return got


def drain(lane):
    out = []
    while len(lane):
        out.append(lane.peek())
        lane.pop()
    return out


def test_messages_arrive_in_order_and_for_the_right_nodes(tmp_path, context):
    outlet, inlet = Outlet(edge(tmp_path), context), Inlet(edge(tmp_path), context)
    for seq in range(4):
        outlet.put("microphone/audio", audio(seq))
        outlet.put("camera/picture", picture(seq))
    got = receive(inlet, outlet, 8)
    assert [(nodes, type(m).__name__, m.seq) for nodes, m in got] == [
        pair for seq in range(4) for pair in ((("ear",), "Audio", seq), (("eye", "film"), "Picture", seq))
    ]
    assert np.array_equal(got[7][1].image, picture(3).image)
    assert outlet.report()["camera/picture>perceive"] == {"queued": 0, "queued_bytes": 0, "dropped": 0}


def test_old_pictures_are_dropped_for_new_ones_and_counted(tmp_path, context):
    outlet = Outlet(edge(tmp_path), context)  # nobody listens
    for seq in range(100):
        outlet.put("camera/picture", picture(seq))
        outlet.flush()
    assert outlet.report()["camera/picture>perceive"]["queued"] == 5
    assert outlet.report()["camera/picture>perceive"]["dropped"] == 95
    inlet = Inlet(edge(tmp_path), context)
    assert [m.seq for _, m in receive(inlet, outlet, 5)] == [95, 96, 97, 98, 99]


def test_sound_that_overflows_arrives_as_one_gap_with_its_times(tmp_path, context):
    outlet = Outlet(edge(tmp_path), context)
    for seq in range(20):
        outlet.put("microphone/audio", audio(seq))
        outlet.flush()
    inlet = Inlet(edge(tmp_path), context)
    gap, *rest = [m for _, m in receive(inlet, outlet, 6)]
    assert isinstance(gap, Gap)
    assert (gap.of, gap.reason, gap.stream) == ("audio", "overflow", "microphone")
    assert (gap.t_start_ns, gap.t_end_ns) == (0, 15 * FRAME_NS)
    assert [m.seq for m in rest] == [15, 16, 17, 18, 19]
    assert gap.seq + 1 == rest[0].seq, "the numbers go on where the gap ends"
    assert outlet.report()["microphone/audio>perceive"]["dropped"] == 15


@given(
    st.lists(st.one_of(st.integers(1, 40), st.none()), min_size=1, max_size=80),
    st.integers(1, 10),
    st.integers(200, 3000),
)
def test_no_moment_of_sound_is_lost_twice_or_untold(steps, messages, limit):
    """Whatever is put (a number) and taken (None), all time that went in comes out, once and in order."""
    lane = Lane("audio", Bound(messages, limit))
    out, seq = [], 0
    for step in steps:
        if step is None:
            if len(lane):
                out.append(lane.peek())
                lane.pop()
            continue
        lane.put(seq, audio(seq, samples=step), drop=True)
        seq += 1
        assert len(lane) <= messages + 1
        assert lane.bytes <= max(limit, size(audio(0, samples=step)))
    out += drain(lane)
    assert lane.bytes == 0
    end_ns = 0
    for message in out:
        assert message.t_start_ns == end_ns
        end_ns = message.t_end_ns
    assert end_ns == seq * FRAME_NS
    kept = [m for m in out if isinstance(m, Audio)]
    assert len(kept) + lane.dropped == seq


def test_sound_of_two_streams_gets_a_gap_each():
    lane = Lane("audio", Bound(2, 10**6))
    for seq in range(4):
        for stream in ("left", "right"):
            lane.put(seq, audio(seq, stream), drop=True)
    gaps = [m for m in drain(lane) if isinstance(m, Gap)]
    assert {(g.stream, g.t_start_ns, g.t_end_ns) for g in gaps} == {
        ("left", 0, 3 * FRAME_NS),
        ("right", 0, 3 * FRAME_NS),
    }


def test_the_bound_in_bytes_holds_and_one_message_always_fits():
    lane = Lane("picture", Bound(100, 1000))
    for seq in range(10):
        lane.put(seq, picture(seq, side=64), drop=True)
    assert [m.seq for m in drain(lane)] == [9]


def test_an_edge_that_waits_drops_nothing_and_says_when_it_is_full(tmp_path, context):
    waiting = edge(tmp_path, wait=True)
    outlet = Outlet(waiting, context)
    assert not outlet.full
    for seq in range(50):
        outlet.put("camera/picture", picture(seq))
    assert outlet.full
    inlet = Inlet(waiting, context)
    assert [m.seq for _, m in receive(inlet, outlet, 50)] == list(range(50))
    assert not outlet.full


def test_a_sender_that_comes_back_is_heard_again(tmp_path, context):
    inlet = Inlet(edge(tmp_path), context)
    for life in range(3):
        outlet = Outlet(edge(tmp_path), context)
        outlet.put("microphone/audio", audio(life))
        assert [m.seq for _, m in receive(inlet, outlet, 1)] == [life]
        outlet.close()


def test_a_receiver_that_comes_back_gets_what_waited(tmp_path, context):
    outlet = Outlet(edge(tmp_path), context)
    first = Inlet(edge(tmp_path), context)
    outlet.put("microphone/audio", audio(0))
    receive(first, outlet, 1)
    first.close()
    time.sleep(0.2)
    for seq in range(1, 6):
        outlet.put("microphone/audio", audio(seq))
    second = Inlet(edge(tmp_path), context)
    assert [m.seq for _, m in receive(second, outlet, 5)] == [1, 2, 3, 4, 5]


def test_what_is_no_message_is_counted_and_the_rest_gets_through(tmp_path, context, caplog):
    inlet = Inlet(edge(tmp_path), context)
    stranger = context.socket(zmq.PUSH)
    stranger.bind(edge(tmp_path).address)
    junk = [
        [b"microphone/audio", b"\xff", b""],
        [b"junk"],
        [b"camera/face", b"{}"],
        [b"microphone/audio"],
        [b"microphone/audio", *encode(audio(0))[1:2], b"short"],
    ]
    for parts in [*junk, encode(audio(1), "microphone/audio")]:
        stranger.send_multipart(parts)
    got, until = [], time.monotonic() + 5
    while not got and time.monotonic() < until:
        inlet.socket.poll(100)
        got = list(inlet.receive())
    assert [m.seq for _, m in got] == [1]
    assert inlet.malformed == len(junk)
    assert len(caplog.records) == 1, "one line, however many"


def test_the_end_is_told_and_taken_back_when_more_comes(tmp_path, context):
    inlet, outlet = Inlet(edge(tmp_path), context), Outlet(edge(tmp_path), context)
    outlet.put("microphone/audio", audio(0))
    receive(inlet, outlet, 1)
    outlet.end()
    inlet.socket.poll(1000)
    assert list(inlet.receive()) == []
    assert inlet.ended
    outlet.put("microphone/audio", audio(1))
    receive(inlet, outlet, 1)
    assert not inlet.ended
