"""Two hosts, each with a clock of its own, and between them a link that delays, loses, and is cut."""

import json
import tempfile
from pathlib import Path

import pytest

from benchmarks.hosts import ALIGNED_MS, BACK_S, cut_link, listen
from benchmarks.measured.namespaces import Namespaces, missing
from benchmarks.measured.two_hosts import running
from tests.end_to_end.running import TALKER

SENTENCES = json.loads(TALKER.with_suffix(".json").read_text())["sentences"]


@pytest.mark.timeout(300)
def test_over_a_bad_link_the_same_is_understood_and_the_sound_goes_on_while_it_is_cut():
    if reason := missing():
        pytest.skip(reason)
    with (
        tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as folder,
        Namespaces(delay_ms=40, jitter_ms=10, loss=0.02) as hosts,
        running(hosts, Path(folder), [TALKER], [TALKER] * 6, two=True) as run,
    ):
        run.begin()
        heard = listen(run, len(SENTENCES))
        assert heard.finals == SENTENCES
        assert heard.errors_ms
        assert max(map(abs, heard.errors_ms)) <= ALIGNED_MS
        cut = cut_link(run, hosts, 5.0, before_s=1.0)
        after = [body["groups"]["capture"] for topic, body in run.heard(3) if topic == "status"]
    assert cut["audio_ms"] < 1000, "sound alone soon after the cut; benchmarks.hosts measures how soon"
    assert cut["holes"] == 0
    assert cut["back_s"] <= BACK_S
    assert {(group["host"], group["restarts"]) for group in after} == {("robot", 0)}
