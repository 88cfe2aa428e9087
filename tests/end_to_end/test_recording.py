"""Recording and replay as a user calls them."""

import json
import os
import signal
import time
from collections import Counter

from mcap.reader import make_reader
from replaying import SENTENCES, finals, replayed

from benchmarks.measured.launched import free_address
from nodes.sources.archive import read
from tests.end_to_end.running import TALKER, Running
from tests.end_to_end.test_launch import launch, refused


def test_what_was_recorded_until_ctrl_c_is_understood_again_to_the_byte_as_in_any_other_replay(tmp_path):
    folder, out = tmp_path / "recordings", tmp_path / "again.jsonl"
    with Running("--source", TALKER, "--loop", "--record", folder) as run:
        said = run.next("transcript.final", text=SENTENCES[0])
        run.next("transcript.partial", segment=1)
        begun = time.monotonic()
        os.killpg(run.process.pid, signal.SIGINT)
        run.process.wait(20)
        assert time.monotonic() - begun < 2.0
    [recording] = folder.iterdir()
    assert recording.suffix == ".mcap"
    with recording.open("rb") as file:
        kept = [json.loads(row[2].data) for row in make_reader(file).iter_messages(topics="transcript.final")]
    assert kept[0]["words"] == said["words"]
    assert [final["segment"] for final in kept] == [0, 1]  # what was being said is kept too
    damage = Counter()
    assert {m.port for m in read(str(recording), damage)} == {"audio", "picture"}
    assert not damage

    done = launch("replay", recording, "--speed", "0", "--out", out, "--address", free_address())
    assert done.returncode == 0, done.stderr
    assert SENTENCES[0] in done.stdout
    text = out.read_bytes()
    assert finals([json.loads(line) for line in text.splitlines()])[0] == SENTENCES[0]
    assert text == replayed(recording, tmp_path / "here.jsonl")[0]


def test_what_is_no_recording_is_refused():
    assert refused("replay", TALKER) == f"error: {TALKER}: is no recording (MCAP)"
