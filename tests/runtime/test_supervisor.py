"""Real Ray processes that die, hang and fail, and what the supervisor makes of it."""

import json
import logging
import os
import signal
import threading
import time

import pytest

from nodes.runtime import cluster, supervisor
from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import parse
from nodes.runtime.group import ANSWER_S, EPOCHS, STILL_S
from nodes.runtime.plan import plan

pytestmark = pytest.mark.live

SAMPLE = "tests.runtime.sample_nodes"
PIPELINE = """\
nodes:
  tone: {{node: "{sample}:Tone", group: capture}}
  lips: {{node: "{sample}:Lips", group: perceive, inputs: [tone/picture], with: {lips}}}
  diary: {{node: "{sample}:Diary", group: publish, inputs: [lips/face, tone/audio], with: {{path: "{path}"}}}}
{groups}
"""


@pytest.fixture(scope="module")
def folder():
    with cluster.run_folder() as folder, cluster.private_ray(folder, 3):
        yield folder


class Supervised:
    """The pipeline above under a supervisor in a thread; ``rows`` is what its diary has heard."""

    def __init__(self, path, folder, lips="{}", groups=""):
        self.path = path / "diary.jsonl"
        file = path / "pipeline.yaml"
        file.write_text(PIPELINE.format(sample=SAMPLE, path=self.path, lips=lips, groups=groups))
        sockets = folder / path.name
        sockets.mkdir()
        self.stop = threading.Event()
        self.ready = threading.Event()
        self.error = None
        self.supervisor = supervisor.Supervisor(plan(check(parse(file)), str(sockets), True))
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.supervisor.run(self.stop, self.ready.set)
        except UserError as error:
            self.error = str(error)
        self.ready.set()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(60)
        return self

    def __exit__(self, *exception):
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def rows(self, kind, **fields):
        if not self.path.exists():
            return []
        rows = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
        return [r for r in rows if r["kind"] == kind and all(r[k] == v for k, v in fields.items())]

    def health(self, group):
        return (self.rows("Health", group=group, stream=group) or [None])[-1]

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)
        return found


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("group", ["capture", "perceive", "publish"])
def test_a_group_that_is_killed_is_back_within_5_s_and_alone(tmp_path, folder, group):
    with Supervised(tmp_path, folder) as run:
        others = [name for name in ("capture", "perceive", "publish") if name != group]
        before = {name: run.until(lambda name=name: run.health(name)) for name in [group, *others]}
        os.kill(before[group]["pid"], signal.SIGKILL)
        killed_s = time.monotonic()
        back = run.until(lambda: (h := run.health(group)) and h["pid"] != before[group]["pid"] and h)
        assert time.monotonic() - killed_s < 5.0
        assert back["restarts"] == 1
        if group != "publish":  # which restarted with an epoch that nobody sees: it has no outputs
            kind = "Audio" if group == "capture" else "Face"
            run.until(lambda: run.rows(kind, epoch=EPOCHS))
        for name in others:
            now = run.until(lambda name=name: run.health(name))
            assert (now["pid"], now["restarts"]) == (before[name]["pid"], 0)


def test_while_perceive_is_away_the_sound_goes_on_and_it_is_told(tmp_path, folder):
    with Supervised(tmp_path, folder) as run:
        pid = run.until(lambda: run.health("perceive"))["pid"]
        os.kill(pid, signal.SIGKILL)
        run.until(lambda: run.rows("Face", epoch=EPOCHS))
        told = run.rows("Health", group="perceive", stream="supervisor")
        assert {r["state"] for r in told} == {"restarting"}
        numbers = [r["seq"] for r in run.rows("Audio")]
        assert numbers == list(range(len(numbers)))


def test_a_group_that_hangs_is_killed_and_started_again(tmp_path, folder, caplog):
    with Supervised(tmp_path, folder, lips="{hang_on: 20}") as run:
        run.until(lambda: run.rows("Face", epoch=EPOCHS))
        assert any("group perceive: hung for" in r.getMessage() for r in caplog.records)


def test_a_node_that_takes_long_to_open_again_does_not_hang(tmp_path, folder, caplog):
    with Supervised(tmp_path, folder, lips=f"{{crash_on: 5, opens_again_in: {STILL_S + 1}}}") as run:
        run.until(lambda: [face for face in run.rows("Face") if face["seq"] > 5])
        assert run.health("perceive")["restarts"] == 0
        assert "starting it again" not in caplog.text


def test_a_process_that_is_suspended_is_replaced(tmp_path, folder, caplog):
    with Supervised(tmp_path, folder) as run:
        pid = run.until(lambda: run.health("perceive"))["pid"]
        os.kill(pid, signal.SIGSTOP)
        run.until(lambda: run.rows("Face", epoch=EPOCHS))
        run.until(lambda: not alive(pid))
        assert "group perceive: suspended for 2 s; starting it again" in caplog.text


def test_a_group_that_leaks_is_started_again_before_it_takes_the_machine(tmp_path, folder, caplog):
    with Supervised(
        tmp_path, folder, lips="{leak: true}", groups="groups: {perceive: {memory_mb: 600}}"
    ) as run:
        run.until(lambda: run.rows("Face", epoch=EPOCHS))
        told = [
            r.getMessage() for r in caplog.records if "MB of memory, its memory_mb is 600" in r.getMessage()
        ]
        assert told
        assert told[0].startswith("group perceive: holds ")
        assert run.health("capture")["restarts"] == 0


def test_a_machine_that_stood_still_restarts_nobody(tmp_path, folder, monkeypatch, caplog):
    """Everything is stopped, for longer than a group may take to answer, and goes on."""
    asleep = threading.Event()
    wait = supervisor.Supervisor._wait

    def sleepy(self):
        if asleep.is_set():
            asleep.clear()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(ANSWER_S + 1)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        return wait(self)

    monkeypatch.setattr(supervisor.Supervisor, "_wait", sleepy)
    with Supervised(tmp_path, folder) as run:
        groups = ("capture", "perceive", "publish")
        pids = [run.until(lambda name=name: run.health(name))["pid"] for name in groups]
        asleep.set()
        run.until(lambda: "everything stood still for" in caplog.text)
        heard = len(run.rows("Audio"))
        run.until(lambda: len(run.rows("Audio")) > heard + 75)
        assert [run.health(name)["pid"] for name in groups] == pids


def test_a_group_that_always_dies_is_given_up_and_the_others_go_on(tmp_path, folder, monkeypatch, caplog):
    monkeypatch.setattr("nodes.runtime.group.GIVE_UP_AFTER", 2)
    with Supervised(tmp_path, folder, lips="{die_on: 20, die_always: true}") as run:
        told = run.until(lambda: run.rows("Health", group="perceive", stream="supervisor", state="gave up"))
        assert told[0]["restarts"] == 1
        heard = len(run.rows("Audio"))
        run.until(lambda: len(run.rows("Audio")) > heard + 25)
        assert "group perceive: its process died; given up" in caplog.text


def test_what_cannot_be_opened_ends_the_start_with_one_line(tmp_path, folder):
    run = Supervised(tmp_path, folder, lips="{refuse: true}")
    with run:
        run.thread.join(10)
        assert run.error == "group perceive: lips: there are no lips here; draw some"


def test_a_node_that_fails_is_logged_here_in_one_line(tmp_path, folder, caplog):
    with caplog.at_level(logging.WARNING), Supervised(tmp_path, folder, lips="{crash_on: 5}") as run:
        run.until(lambda: "lips: ValueError: no such lips; trying again in 0.1 s" in caplog.messages)


def test_stopping_is_quick_and_leaves_no_process(tmp_path, folder):
    with Supervised(tmp_path, folder) as run:
        pids = [
            run.until(lambda name=name: run.health(name))["pid"]
            for name in ("capture", "perceive", "publish")
        ]
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 2.0
    run.until(lambda: not any(alive(pid) for pid in pids))


def test_the_groups_have_the_priority_of_whoever_launched_them(tmp_path, folder):
    """Ray would give its processes the least but one: on a busy machine they would hear nothing in time."""
    with Supervised(tmp_path, folder) as run:
        pid = run.until(lambda: run.health("perceive"))["pid"]
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)
