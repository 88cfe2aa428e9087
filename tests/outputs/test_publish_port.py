"""The publisher's port: one that cannot be used is one line, and after close it is free and all is said."""

import json
import time

import pytest
from heard import transcript
from publishers import moved_clock, settling, stepped, subscribing

from nodes.outputs.publish import Publish
from nodes.runtime.errors import UserError
from nodes.runtime.node import Context

pytestmark = pytest.mark.live

clock = pytest.fixture(moved_clock)
publisher = pytest.fixture(stepped)
subscribe = pytest.fixture(subscribing)
listening = pytest.fixture(settling)


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
