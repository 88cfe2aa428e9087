"""The whole pipeline while parts of it are killed, and while sound or picture are away."""

import os
import signal
import time
from itertools import pairwise

import pytest

from nodes.runtime.group import EPOCHS
from tests.end_to_end.running import TALKER, Running

GROUPS = ("capture", "perceive", "publish")
TOLD_BY = {"capture": "face", "perceive": "voice", "publish": "status"}  # what carries the epoch of each
CUT = """\
nodes:
  media:
    node: sources/media
    group: capture
    with: {{path: "{talker}", cut: ["audio 1.0-2.0", "video 3.0-4.0"]}}
  face: {{node: perception/face, group: perceive, inputs: [media/picture]}}
  transcribe: {{node: perception/transcribe, group: perceive, inputs: [media/audio, face/face]}}
  publish:
    node: outputs/publish
    group: publish
    inputs: [transcribe/transcript, transcribe/voice, face/face]
"""


def groups(run, condition, seconds=30):
    """The groups of the first status for which ``condition`` holds."""
    for topic, body in run.heard(seconds):
        if topic == "status" and set(body["groups"]) >= set(GROUPS) and condition(body["groups"]):
            return body["groups"]
    raise AssertionError(f"no such status in {seconds} s")


def test_a_killed_group_is_back_within_5_s_with_a_new_epoch_and_no_other_restarts():
    with Running("--source", TALKER, "--loop") as run:
        run.next("voice", seconds=90)
        restarts = dict.fromkeys(GROUPS, 0)
        for group in GROUPS:
            before = groups(run, lambda now: all(g["state"] == "running" for g in now.values()))
            os.kill(before[group]["pid"], signal.SIGKILL)
            killed_s = time.monotonic()
            restarts[group] += 1
            after = groups(
                run,
                lambda now, group=group, pid=before[group]["pid"]: (
                    now[group]["state"] == "running" and now[group]["pid"] not in (0, pid)
                ),
            )
            assert time.monotonic() - killed_s < 5.0, group
            assert {name: after[name]["restarts"] for name in GROUPS} == restarts
            for name in set(GROUPS) - {group}:
                assert after[name]["pid"] == before[name]["pid"]
            said = TOLD_BY[group]
            assert any(
                topic == said and body["epoch"] >= EPOCHS and not body["repeat"]
                for topic, body in run.heard(10)
            ), f"{said} does not tell that {group} was restarted"


@pytest.fixture(scope="module")
def cut_run(tmp_path_factory):
    file = tmp_path_factory.mktemp("cut") / "cut.yaml"
    file.write_text(CUT.format(talker=TALKER))
    with Running("--pipeline", file) as run:
        heard = list(run.heard(120))
        assert run.process.wait(20) == 0, run.process.stdout.read()
    return heard


@pytest.mark.parametrize(("begin", "end", "mode"), [(1.0, 2.0, "video"), (3.0, 4.0, "audio")])
def test_sound_or_picture_cut_out_changes_the_mode_within_300_ms_and_back(cut_run, begin, end, mode):
    voices = [body for topic, body in cut_run if topic == "voice"]
    t0_ns = voices[0]["t_start_ns"]

    def told_s(body):
        return (body["t_emit_ns"] - t0_ns) / 1e9

    changed = next(told_s(v) for v in voices if v["mode"] == mode and told_s(v) > begin)
    back = next(told_s(v) for v in voices if v["mode"] == "av" and told_s(v) > end)
    assert changed - begin < 0.3
    assert back - end < 0.3
    within = {v["mode"] for v in voices if begin + 0.3 < told_s(v) < end}
    assert within == {mode}


def test_every_segment_is_closed_once_and_no_chunk_is_missing(cut_run):
    finals = [body["segment"] for topic, body in cut_run if topic == "transcript.final"]
    assert finals == sorted(set(finals))
    assert finals
    voices = [body for topic, body in cut_run if topic == "voice" and not body["repeat"]]
    for one, following in pairwise(voices):
        assert following["seq"] == one["seq"] + 1
        assert following["t_start_ns"] == one["t_end_ns"]
