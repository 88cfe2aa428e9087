"""Edges between hosts: over TCP, with keys, in the receiving host's time."""

import logging
import os
import socket
import time
from pathlib import Path

import psutil
import pytest
import zmq
from msgspec.structs import replace
from test_edge import audio

from nodes.outputs import keys
from nodes.runtime import link
from nodes.runtime.crossing import Crossing
from nodes.runtime.edge import Inlet, Outlet
from nodes.runtime.errors import UserError
from nodes.runtime.graph import Bound
from nodes.runtime.link import Link
from nodes.runtime.messages import FRAME_NS, Transcript, Word, shift
from nodes.runtime.plan import Edge

pytestmark = pytest.mark.live
ROUTE = "microphone/audio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("of") / "keys"
    keys.make(folder)
    return folder


@pytest.fixture
def contexts():
    """One for each host: a process has one."""
    both = zmq.Context(), zmq.Context()
    yield both
    for context in both:
        context.destroy(linger=0)


@pytest.fixture
def edge(free_ports):
    edge_port, clock_port = free_ports
    return Edge(
        source="capture",
        target="perceive",
        address=f"tcp://127.0.0.1:{edge_port}",
        routes={ROUTE: ("ear",)},
        bounds={ROUTE: Bound(5, 10**8)},
        wait=False,
        hosts=("robot", "local"),
        clock=f"udp://127.0.0.1:{clock_port}",
    )


@pytest.fixture
def free_ports():
    with zmq.Context() as context, context.socket(zmq.PUSH) as one, context.socket(zmq.PUSH) as two:
        return [each.bind_to_random_port("tcp://127.0.0.1") for each in (one, two)]


@pytest.fixture
def ends(contexts, folder):
    crossings = [Crossing(context, folder) for context in contexts]
    yield crossings
    for crossing in crossings:
        crossing.close()


def joined(edge, contexts, ends):
    outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
    ends[0].answer_for(edge)
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), ends[1].asker_for(edge))
    return outlet, inlet


def receive(inlet, outlet, crossing, count, seconds=10.0):
    """The first ``count`` messages, while the outlet keeps sending and its process lets hosts in."""
    got, until_s = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < until_s:
        crossing.look()
        outlet.flush()
        inlet.socket.poll(10)
        got += inlet.receive()
    return got


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def test_messages_cross_and_the_clock_of_the_other_host_is_learned(edge, contexts, ends):
    outlet, inlet = joined(edge, contexts, ends)
    outlet.put(ROUTE, audio(3))
    assert [(nodes, m.seq) for nodes, m in receive(inlet, outlet, ends[0], 1)] == [(("ear",), 3)]
    clock = ends[1].clocks(time.monotonic_ns())["robot"]
    assert abs(clock["offset_ms"]) <= clock["uncertainty_ms"] + 0.001  # it is the same clock here
    assert clock["uncertainty_ms"] < 50
    assert clock["steps"] == 0


def test_nothing_is_handed_on_before_the_other_clock_is_known(edge, contexts, ends):
    unasked = replace(edge, clock="udp://127.0.0.1:9")  # nobody answers there
    outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), ends[1].asker_for(unasked))
    outlet.put(ROUTE, audio(0))
    assert receive(inlet, outlet, ends[0], 1, seconds=0.5) == []
    assert not inlet.ready


def test_a_host_is_heard_for_as_long_as_it_lives(edge, contexts, ends):
    joined(edge, contexts, ends)
    until(lambda: ends[1].clocks(0))
    assert ends[1].silent_ns("ear", "audio") < 500_000_000
    assert ends[1].silent_ns("ear", "face") is None
    assert ends[0].silent_ns("ear", "audio") is None, "it sends and does not hear"
    ends[0].close()
    until(lambda: ends[1].silent_ns("ear", "audio") > 600_000_000)


def test_an_edge_connects_anew_when_a_host_that_was_cut_off_is_heard_again(edge, contexts, ends):
    outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
    silent = Ahead()
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), silent)
    outlet.put(ROUTE, audio(0))
    assert receive(inlet, outlet, ends[0], 1)
    connected = inlet.socket.get_monitor_socket(zmq.EVENT_CONNECTED)
    for silent.silent_ns in (0, 1_000_000_000, 0, 200_000_000, 2_000_000_000):
        inlet.look()
    assert not connected.poll(200), "what the connection gets over is left to it"
    silent.silent_ns = 0
    inlet.look()
    assert connected.poll(5000)
    until(lambda: not one_is_lost(inlet, outlet, ends[0]))  # with the old connection, while it is not closed
    inlet.look()
    connected.recv_multipart()
    assert not connected.poll(200), "once"


def one_is_lost(inlet, outlet, crossing):
    outlet.put(ROUTE, audio(1))
    return not receive(inlet, outlet, crossing, 1, seconds=0.3)


class Ahead:
    """The clock of a host that is an hour behind."""

    known = True
    silent_ns = 0

    def offset_ns(self, now_ns):
        return 3_600_000_000_000


def test_times_become_those_of_the_receiving_host(edge, contexts, ends):
    outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), Ahead())
    outlet.put(ROUTE, audio(1))
    [(_, message)] = receive(inlet, outlet, ends[0], 1)
    assert (message.t_start_ns, message.t_end_ns) == (3_600 * 10**9 + FRAME_NS, 3_600 * 10**9 + 2 * FRAME_NS)


def test_every_time_in_a_transcript_is_shifted():
    word = Word(text="bin", t_start_ns=1, t_end_ns=2, confidence=1.0, heard_by="a")
    times = {"t_start_ns": 1, "t_end_ns": 2}
    said = {"segment": 0, "revision": 0, "final": True, "text": "bin", "words": [word], "mode": "audio"}
    message = Transcript(stream="s", seq=0, epoch=0, **times, **said, modalities={}, sync_error_ms=None)
    shift(message, 10)
    assert (message.t_start_ns, message.t_end_ns, word.t_start_ns, word.t_end_ns) == (11, 12, 11, 12)


def test_without_the_key_nothing_is_had_and_a_wrong_one_is_logged_once(edge, contexts, ends, folder, caplog):
    outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
    public, _ = keys.edge(folder)
    client = keys.pair(folder, "client")  # may read what is published, is no host
    stranger = zmq.curve_keypair()
    strangers = []
    with caplog.at_level(logging.WARNING), zmq.Context() as context:
        for pair in (None, stranger, client, stranger):
            one = context.socket(zmq.PULL)
            one.linger = 0
            if pair:
                one.curve_publickey, one.curve_secretkey = pair
                one.curve_serverkey = public
            one.setsockopt(zmq.RECONNECT_IVL, 20)
            one.connect(edge.address)
            strangers.append(one)
        for seq in range(50):
            outlet.put(ROUTE, audio(seq))
            outlet.flush()
            ends[0].look()
            time.sleep(0.02)
        assert not any(one.poll(0) for one in strangers)
        for one in strangers:
            one.close()
    [told] = [line for line in caplog.messages if "refused" in line]
    assert told.startswith("edges: refused ")
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), Ahead())
    assert [m.seq for _, m in receive(inlet, outlet, ends[0], 1)], "who has the key is served as before"


def test_a_sender_that_comes_back_binds_the_same_port_and_is_heard(edge, contexts, ends):
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), Ahead())
    for life in range(3):
        outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
        outlet.put(ROUTE, audio(life))
        assert [m.seq for _, m in receive(inlet, outlet, ends[0], 1)] == [life]
        outlet.close()
        until(lambda: free(edge.address))


def free(address):
    with zmq.Context() as context, context.socket(zmq.PULL) as one:
        try:
            one.bind(address)
        except zmq.ZMQError:
            return False
    return True


def test_what_paces_an_edge_is_asked_of_the_kernel(edge, contexts, ends, monkeypatch):
    monkeypatch.setattr(link, "CONGESTION", b"reno")  # every kernel has it, none has it unasked
    inlet = Inlet(edge, contexts[1], ends[1].link_for(edge), Ahead())
    outlet = Outlet(edge, contexts[0], ends[0].link_for(edge))
    outlet.put(ROUTE, audio(0))
    assert receive(inlet, outlet, ends[0], 1)
    port = int(edge.address.rpartition(":")[2])
    [accepted] = [one.fd for one in psutil.Process().net_connections("tcp") if is_sender(one, port)]
    with socket.socket(fileno=os.dup(accepted)) as sender:
        assert sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).startswith(b"reno\0")


def is_sender(connection, port):
    return connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port


def test_a_process_without_keys_and_an_address_of_another_machine_are_said_in_one_line(
    edge, contexts, folder
):
    with pytest.raises(UserError, match=r"needs keys.*launch\.py join"):
        Crossing(contexts[0], None).link_for(edge)
    with pytest.raises(UserError, match=r"edge\.key_secret: no such key, or damaged; make keys with"):
        Link(contexts[0], Path("/nowhere"))
    crossing = Crossing(contexts[1], folder)
    elsewhere = replace(edge, address="tcp://192.0.2.1:20440")
    with pytest.raises(UserError, match=r"192\.0\.2\.1:20440: cannot be used"):
        Outlet(elsewhere, contexts[1], crossing.link_for(elsewhere))
    with pytest.raises(UserError, match=r"192\.0\.2\.1:20441: cannot be used"):
        crossing.answer_for(replace(edge, clock="udp://192.0.2.1:20441"))
    crossing.close()
