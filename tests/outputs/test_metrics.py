"""What Prometheus gets from a real publisher over HTTP, and what it costs whoever disturbs it."""

import re
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from heard import gap, health, transcript, voice
from prometheus_client.parser import text_string_to_metric_families

from nodes.outputs import exporter
from nodes.outputs.metrics import FAMILIES, page
from nodes.outputs.publish import Publish
from nodes.runtime.errors import UserError
from nodes.runtime.node import Context

pytestmark = pytest.mark.live  # goes by the clock

MICROPHONE = {
    "state": "ok",
    "messages": 100,
    "step_p50_ms": 0.1,
    "step_p90_ms": 0.2,
    "step_p99_ms": 0.4,
    "delay_p50_ms": 11.8,
    "delay_p90_ms": 13.0,
    "delay_p99_ms": 14.2,
    "clock": {"rate_ppm": 20.0, "rate_uncertainty_ppm": 3.0, "offset_ms": 5000.0, "uncertainty_ms": 0.5},
}
FACE = {
    "state": "cannot be opened",
    "messages": 3,
    "gaps": {"face": "camera 0 not found"},
    "warnings": ["too dark"],
    "engines": {"audio": 'onnxruntime "float32"'},
}
EDGES = {"microphone/audio>perceive": {"queued": 3, "queued_bytes": 4500, "dropped": 17}}


@pytest.fixture
def publisher():
    node = Publish(address="tcp://127.0.0.1:*", metrics="127.0.0.1:0")
    node.open(Context(name="publish"))
    yield node
    node.close()


def scrape(node):
    """Every sample, by name and labels (in the order of their names), as Prometheus would parse it."""
    with urllib.request.urlopen(f"http://{node.metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(node):
    """The samples once the next status is made."""
    time.sleep(1.05)
    node.step([voice("audio")])
    return scrape(node)


def test_everything_status_tells_is_a_metric(publisher):
    capture = health("capture", nodes={"microphone": MICROPHONE}, edges=EDGES)
    capture.clocks = {"robot": {"offset_ms": -41.5, "uncertainty_ms": 0.2, "delay_ms": 0.4, "heard_s": 0.1}}
    publisher.step([capture, health("perceive", state="restarting", nodes={"face": FACE}), gap("none")])
    publisher.step([transcript("bin"), transcript("bin blue", final=True)])
    samples = told(publisher)
    assert samples["hearsee_mode", "audio"] == 1
    assert samples["hearsee_mode", "av"] == 0
    assert samples["hearsee_reliability_ratio", "video"] == 0.8
    assert samples["hearsee_sync_error_seconds",] == 0.004
    assert samples["hearsee_group_up", "capture"] == 1
    assert samples["hearsee_group_up", "perceive"] == 0
    assert samples["hearsee_group_restarts_total", "perceive"] == 1
    assert samples["hearsee_group_memory_bytes", "capture"] == 5_000_000
    assert samples["hearsee_node_up", "face"] == 0
    assert samples["hearsee_node_gap", "face", "face"] == 1
    assert samples["hearsee_node_warnings", "face"] == 1
    assert samples["hearsee_node_messages_total", "microphone"] == 100
    assert samples["hearsee_node_step_seconds", "microphone", "0.99"] == 0.0004
    assert samples["hearsee_node_delay_seconds", "microphone", "0.5"] == pytest.approx(0.0118)
    assert samples["hearsee_engine_info", "audio", "face", 'onnxruntime "float32"'] == 1
    assert samples["hearsee_clock_rate_ratio", "microphone"] == pytest.approx(20e-6)
    assert samples["hearsee_clock_uncertainty_seconds", "microphone"] == 0.0005
    assert samples["hearsee_host_offset_seconds", "robot"] == pytest.approx(-0.0415)
    assert samples["hearsee_host_heard_seconds", "robot"] == 0.1
    assert samples["hearsee_edge_queue_bytes", "microphone/audio>perceive"] == 4500
    assert samples["hearsee_edge_dropped_total", "microphone/audio>perceive"] == 17
    assert samples["hearsee_published_total", "transcript.final"] == 1
    assert samples["hearsee_topic_delay_seconds", "0.5", "voice"] > 0
    assert 0 <= samples["hearsee_status_age_seconds",] < 5
    assert {family.name for family in FAMILIES} == {name for name, *_ in samples}, "every family is shown"


def test_names_follow_the_conventions_of_prometheus_and_are_all_documented():
    for family in FAMILIES:
        assert re.fullmatch(r"hearsee_[a-z_]+", family.name)
        assert not re.search(r"_(ms|s|ppm|mb|kb|count)$", family.name)
    written = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written == page()


def test_whoever_connects_and_does_not_ask_holds_nobody_up_and_leaves_nothing(publisher, monkeypatch):
    monkeypatch.setattr(exporter._Request, "timeout", 0.3)
    publisher.step([voice("audio")])
    host, _, port = publisher.metrics.rpartition(":")
    before = threading.active_count()
    silent = [socket.create_connection((host, int(port))) for _ in range(12)]
    silent[0].sendall(b"GET /")
    most = max(threading.active_count() - before for _ in range(10) if time.sleep(0.01) is None)
    assert most <= exporter.AT_ONCE
    time.sleep(0.5)  # their time is over
    assert scrape(publisher)["hearsee_mode", "audio"] in (0, 1)
    for one in silent:
        one.close()
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.02)
    assert threading.active_count() <= before


def test_nothing_listens_unless_asked_for():
    node = Publish(address="tcp://127.0.0.1:*")
    node.open(Context(name="publish"))
    assert node._metrics is None
    node.close()


def test_the_port_is_free_again_after_close_and_in_use_before(publisher):
    other = Publish(address="tcp://127.0.0.1:*", metrics=publisher.metrics)
    with pytest.raises(UserError, match=r"^publish: metrics 127\.0\.0\.1:\d+ is in use; set another port$"):
        other.open(Context(name="publish"))
    other.close()
    publisher.close()
    other.open(Context(name="publish"))
    other.close()


@pytest.mark.parametrize("address", ["9464", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", ":9464"])
def test_a_bad_address_is_said_in_one_line(address):
    node = Publish(address="tcp://127.0.0.1:*", metrics=address)
    with pytest.raises(UserError, match=r"write it like 127\.0\.0\.1:9464"):
        node.open(Context(name="publish"))
    node.close()


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "[::]:9464", "192.168.1.7:9464"])
def test_an_address_that_others_can_reach_is_refused(address):
    node = Publish(address="tcp://127.0.0.1:*", metrics=address)
    with pytest.raises(UserError, match=r"can be reached from other machines.*127\.0\.0\.1:9464") as error:
        node.open(Context(name="publish"))
    node.close()
    assert "\n" not in str(error.value)
