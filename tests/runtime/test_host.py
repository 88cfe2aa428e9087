"""Groups hosted in threads of this process and joined by real edges: what a user sees, without Ray."""

import json
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import parse
from nodes.runtime.host import GroupHost
from nodes.runtime.messages import FRAME_NS
from nodes.runtime.plan import plan

pytestmark = pytest.mark.live

SAMPLE = "tests.runtime.sample_nodes"
PIPELINE = """\
nodes:
  tone: {{node: "{sample}:{kind}", group: capture, with: {tone}}}
  lips: {{node: "{sample}:Lips", group: perceive, inputs: [tone/picture], with: {lips}}}
  slow: {{node: "{sample}:Slow", group: perceive, inputs: [tone/audio, lips/face], with: {slow}}}
  diary:
    node: "{sample}:Diary"
    group: publish
    inputs: [slow/voice, lips/face, tone/audio]
    with: {{path: "{path}"}}
"""


class Hosted:
    """The pipeline above, each group in a host; ``rows`` is what the diary at its end has heard."""

    def __init__(
        self, path, live=True, tone="{count: 50}", kind="File", lips="{}", slow="{}", text=PIPELINE, epoch=0
    ):
        self.path = path / "diary.jsonl"
        file = path / "pipeline.yaml"
        file.write_text(
            text.format(sample=SAMPLE, path=self.path, kind=kind, tone=tone, lips=lips, slow=slow)
        )
        self.sockets = tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp")
        self.plan = plan(check(parse(file)), self.sockets.name, live)
        self.hosts = {name: GroupHost(group, epoch) for name, group in self.plan.groups.items()}

    def __enter__(self):
        for host in self.hosts.values():
            host.start()
        for host in self.hosts.values():
            host.wait_open(10)
        for host in self.hosts.values():
            host.go()
        return self

    def __exit__(self, *exception):
        for host in self.hosts.values():
            host.stop()
        self.sockets.cleanup()

    def until(self, condition, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.02)

    def run_to_its_end(self, seconds=15):
        self.until(lambda: all(host.state == "finished" for host in self.hosts.values()), seconds)
        return self.rows()

    def rows(self, kind=None, **fields):
        if not self.path.exists():
            return []
        rows = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
        return [r for r in rows if kind in (None, r["kind"]) and all(r[k] == v for k, v in fields.items())]


def covered(rows):
    """Start and end of the stretch that the messages cover without hole or overlap."""
    rows = sorted(rows, key=lambda r: r["t_start_ns"])
    for one, following in pairwise(rows):
        assert one["t_end_ns"] == following["t_start_ns"]
    return rows[0]["t_start_ns"], rows[-1]["t_end_ns"]


def test_everything_arrives_in_order_and_the_run_ends_by_itself(tmp_path):
    with Hosted(tmp_path) as hosted:
        hosted.run_to_its_end()
        for kind, stream in (("Voice", "slow"), ("Face", "tone"), ("Audio", "tone")):
            assert [r["seq"] for r in hosted.rows(kind, stream=stream)] == list(range(50))
        start_ns, end_ns = covered(hosted.rows("Audio"))
        assert end_ns - start_ns == 50 * FRAME_NS


def test_a_full_edge_holds_a_file_back_and_nothing_is_lost(tmp_path):
    with Hosted(tmp_path, live=False, tone="{count: 300, hurry: true}", slow="{seconds: 0.004}") as hosted:
        capture = hosted.hosts["capture"]
        most = 0
        while capture.state != "finished":
            most = max(most, *(outlet.queued for outlet in capture._outlets))
            time.sleep(0.005)
        hosted.run_to_its_end()
        assert [r["seq"] for r in hosted.rows("Voice")] == list(range(300))
        assert [r["seq"] for r in hosted.rows("Face")] == list(range(300))
        assert 5 < most < 60, "the source ran ahead by no more than the bound and one step"


def test_a_slow_group_costs_pictures_and_tells_the_hole_in_the_sound(tmp_path):
    text = PIPELINE + "groups: {{capture: {{edges: {{audio: {{messages: 4, bytes: 100000}}}}}}}}\n"
    with Hosted(tmp_path, tone="{count: 100}", kind="Tone", slow="{seconds: 0.2}", text=text) as hosted:
        hosted.until(lambda: len(hosted.rows("Health", group="capture")) >= 5)
        health = hosted.rows("Health", group="capture")[-1]
        assert health["edges"]["tone/picture>perceive"]["dropped"] > 0
        assert health["edges"]["tone/audio>perceive"]["dropped"] > 0
        assert health["edges"]["tone/audio>publish"]["dropped"] == 0, "who keeps up loses nothing"
        assert health["edges"]["tone/audio>perceive"]["queued"] <= 5
        covered(hosted.rows("Audio"))


ABREAST = """\
nodes:
  tone: {{node: "{sample}:{kind}", group: capture, with: {tone}}}
  one: {{node: "{sample}:Asking", group: perceive, inputs: [tone/audio], with: {slow}}}
  two: {{node: "{sample}:Asking", group: perceive, inputs: [tone/audio], with: {slow}}}
  diary: {{node: "{sample}:Diary", group: publish, inputs: [one/voice, two/voice], with: {{path: "{path}"}}}}
"""


@pytest.mark.parametrize("live", [True, False])
def test_nodes_that_are_alike_step_at_once_while_live_and_by_turns_where_a_file_is_read(tmp_path, live):
    beside = "{beside: 2}" if live else "{beside: 1}"
    with Hosted(tmp_path, live=live, slow=beside, text=ABREAST) as hosted:
        hosted.run_to_its_end()
        for stream in ("one", "two"):
            assert [r["seq"] for r in hosted.rows("Voice", stream=stream)] == list(range(50))
        assert max(r["probability"] for r in hosted.rows("Voice")) == (2 if live else 1)


def test_a_node_that_fails_while_live_is_opened_again_though_pictures_may_be_dropped(tmp_path):
    with Hosted(tmp_path, epoch=4096 * 3, tone="{count: 250}", lips="{crash_on: 10}") as hosted:
        hosted.until(lambda: hosted.rows("Face", epoch=4096 * 3 + 1), 30)
        hosted.run_to_its_end(30)
        assert hosted.rows("Gap", port="face")[0]["reason"] == "lips failed"
        covered(hosted.rows("Face") + hosted.rows("Gap", port="face"))
        assert [r["seq"] for r in hosted.rows("Voice")] == list(range(250))


def test_a_node_that_fails_is_opened_again_and_the_others_do_not_notice(tmp_path):
    # Not live: on a busy machine too every picture comes, so the only holes are those of the failure.
    options = {"tone": "{count: 100}", "lips": "{crash_on: 10}"}
    with Hosted(tmp_path, live=False, epoch=4096 * 3, **options) as hosted:
        hosted.until(lambda: hosted.rows("Face", epoch=4096 * 3 + 1), 30)
        hosted.run_to_its_end(30)
        faces = hosted.rows("Face")
        assert {r["epoch"] for r in faces} == {4096 * 3, 4096 * 3 + 1}
        assert max(r["seq"] for r in faces) == 99
        gap = hosted.rows("Gap", port="face")[0]
        assert gap["reason"] == "lips failed"
        covered(faces + hosted.rows("Gap", port="face"))
        assert [r["seq"] for r in hosted.rows("Voice")] == list(range(100))
        states = [r["nodes"]["lips"]["state"] for r in hosted.rows("Health", group="perceive")]
        assert states[-1] == "ok"


def test_a_device_that_fails_is_replaced_by_gaps_until_it_is_back(tmp_path):
    with Hosted(tmp_path, tone="{crash_at: 10}", kind="Tone") as hosted:
        hosted.until(lambda: any(r["epoch"] == 1 and r["seq"] > 20 for r in hosted.rows("Audio")))
        gaps = hosted.rows("Gap", port="audio")
        assert {r["reason"] for r in gaps} == {"tone failed"}
        before = max(r["t_end_ns"] for r in hosted.rows("Audio", epoch=0))
        after = min(r["t_start_ns"] for r in hosted.rows("Audio", epoch=1))
        assert covered(gaps)[0] == before
        assert 0 <= after - covered(gaps)[1] < 2 * FRAME_NS


def test_a_file_that_fails_ends_and_what_was_read_comes_out(tmp_path):
    with Hosted(tmp_path, tone="{count: 50, crash_at: 10}") as hosted:
        hosted.run_to_its_end()
        assert [r["seq"] for r in hosted.rows("Voice")] == list(range(10))
        assert hosted.hosts["capture"].error == "tone: RuntimeError: the cable was pulled"


def test_health_comes_from_every_group_every_second(tmp_path):
    with Hosted(tmp_path, tone="{}", kind="Tone") as hosted:
        hosted.until(lambda: len(hosted.rows("Health", group="publish")) >= 4)
        for group in ("capture", "perceive", "publish"):
            rows = hosted.rows("Health", group=group)
            assert 2 <= len(rows) <= 6
            assert [r["seq"] for r in rows] == list(range(len(rows)))
            assert rows[-1]["state"] == "running"
        tone = hosted.rows("Health", group="capture")[-1]["nodes"]["tone"]
        assert tone["state"] == "ok"
        assert tone["messages"] > 50
        assert 0 <= tone["delay_p50_ms"] <= tone["delay_p99_ms"]
        assert tone["step_p50_ms"] > 0
        lips = hosted.rows("Health", group="perceive")[-1]["nodes"]["lips"]
        assert tone["delay_p50_ms"] <= lips["delay_p50_ms"], "both from when the pictures were taken"


def test_a_source_that_calls_is_stepped(tmp_path):
    text = """\
nodes:
  ring: {{node: "{sample}:Threaded", group: capture}}
  diary: {{node: "{sample}:Diary", group: capture, inputs: [ring/transcript], with: {{path: "{path}"}}}}
"""
    with Hosted(tmp_path, text=text) as hosted:
        hosted.until(lambda: hosted.rows("Transcript"))


def test_what_cannot_be_opened_is_named(tmp_path):
    hosted = Hosted(tmp_path, text=PIPELINE.replace("{path}", "/no/such/folder/diary.txt"))
    with pytest.raises(UserError, match=r"^diary: /no/such/folder/diary.txt: no such folder; make it first$"):
        hosted.__enter__()
    hosted.__exit__()


def test_stopping_is_quick_and_leaves_no_thread(tmp_path):
    with Hosted(tmp_path, tone="{}", kind="Tone") as hosted:
        hosted.until(lambda: hosted.rows("Voice"))
        begun = time.monotonic()
    assert time.monotonic() - begun < 1.0
    assert not any(host._thread.is_alive() for host in hosted.hosts.values())
    assert {host.state for host in hosted.hosts.values()} == {"stopped"}


def test_what_the_sources_had_given_when_it_is_stopped_is_handed_on_to_the_end(tmp_path):
    # A backlog of sound waits before the slow node and its edge when it is stopped.
    with Hosted(tmp_path, tone="{}", kind="Tone", slow="{seconds: 0.005}") as hosted:
        hosted.until(lambda: len(hosted.rows("Voice")) > 5)
        threads = [threading.Thread(target=host.stop) for host in hosted.hosts.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    given = hosted.hosts["capture"]._passing.slots[0].messages // 2
    for kind in ("Audio", "Face", "Voice"):
        assert [r["seq"] for r in hosted.rows(kind)] == list(range(given))


def test_a_group_whose_source_is_silent_stops_all_the_same(tmp_path):
    with Hosted(tmp_path, tone="{}", kind="Tone") as hosted:
        hosted.until(lambda: hosted.rows("Voice"))
        hosted.hosts["capture"]._hand_on = lambda: None  # as one that was killed: it says no end
        hosted.hosts["capture"].stop()
        begun = time.monotonic()
        hosted.hosts["perceive"].stop(silent=["capture"])
        assert time.monotonic() - begun < 0.4
        hosted.hosts["publish"].stop()
        assert time.monotonic() - begun < 1.0
        assert {host.state for host in hosted.hosts.values()} == {"stopped"}


def test_a_group_that_never_runs_can_be_stopped(tmp_path):
    hosted = Hosted(tmp_path)
    host = hosted.hosts["perceive"]
    host.start()
    host.wait_open(10)
    host.stop()
    assert not host._thread.is_alive()
    assert not Path(hosted.path).exists()
    hosted.sockets.cleanup()
