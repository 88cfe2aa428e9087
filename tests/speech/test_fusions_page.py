"""The page that compares fusions says of each how much better or worse than the sound alone it heard."""

import pytest

from benchmarks.fusions import folders, page
from engines.speech.evaluation.measure import SOUND_ALONE
from engines.speech.evaluation.results import Row, score
from nodes.runtime.errors import UserError

SAID = ("bin", "blue", "at", "f")


def cells(*, seen):
    """Four clips of four words each, of which one is lost without a camera; ``seen`` is heard with one."""
    heard = {("clean", SOUND_ALONE): SAID[:3], ("clean", "as it is"): seen}
    told = {cell: [(word, 0.9, "a") for word in words] for cell, words in heard.items()}
    rows = [Row(f"s1/{i}", "s1", SAID, told) for i in range(4)]
    return {(each.sound, each.seen): each for each in score(rows, SOUND_ALONE)}


def test_each_fusion_has_its_gain_and_its_harm():
    helps, harms = cells(seen=SAID), cells(seen=SAID[:1])
    told = page({"late": (helps, helps), "early": (harms, helps)}, "clips")
    assert "| late | -25.00 | -25.0 | 0 of 1 | -25.00 | -25.0 | 0 of 1 |" in told
    assert "| early | +50.00 | +50.0 | 1 of 1 | -25.00 | -25.0 | 0 of 1 |" in told
    assert "| as it is | -25.0 / +50.0 |" in told
    assert "4 clips of clips" in told
    assert "| *sound alone, word error rate, %* | 25.0 |" in told


def test_what_is_no_fusion_is_named(tmp_path):
    with pytest.raises(UserError, match="late: give NAME=DIR"):
        folders(["late"])
    with pytest.raises(UserError, match=r"no fusion\.onnx; export it with"):
        folders([f"late={tmp_path}"])
