"""The figures in the pages come from an evaluation and replace those that were there."""

import json

import pytest

from engines.speech.evaluation.measure import LIPS_ALONE, SOUND_ALONE
from engines.speech.figures import BEGIN, END, PAGES, main
from nodes.runtime.errors import UserError


@pytest.fixture
def run(tmp_path):
    def rate(percent):
        return {"percent": percent, "low": percent / 2, "high": 2 * percent}

    scores = [
        {"sound": "clean", "seen": SOUND_ALONE, "rate": rate(1.04)},
        {"sound": "clean", "seen": "as it is", "rate": rate(0.0)},
        {"sound": "babble -5 dB", "seen": SOUND_ALONE, "rate": rate(40.0)},
        {"sound": "none", "seen": LIPS_ALONE, "rate": rate(5.0)},
    ]
    told = {"scores": scores, "models": {"audio": "abc"}, "clips": 9, "speakers": 2, "held_out": True}
    (tmp_path / "evaluation.json").write_text(json.dumps({**told, "data": "somewhere/grid"}))
    return tmp_path


def test_a_table_takes_the_place_of_the_one_before(run):
    page = run / "page.md"
    page.write_text(f"# Title\n\n{BEGIN}\nold figures\n{END}\n\nThe rest.\n")
    main(run, [page])
    once = page.read_text()
    main(run, [page])
    assert page.read_text() == once
    assert "old figures" not in once
    assert once.startswith("# Title\n")
    assert once.endswith(f"{END}\n\nThe rest.\n")
    assert "| clean | 1.0 (0.5 to 2.1) | 0.0 (0.0 to 0.0) |  | 5.0 (2.5 to 10.0) |" in once
    assert "| babble -5 dB | 40.0 (20.0 to 80.0) |  |  |  |" in once
    assert "9 clips of grid, 2 speakers, kept out of training; models audio `abc`." in once


def test_a_page_without_a_place_and_a_run_without_results_are_named(run, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no place")
    with pytest.raises(UserError, match=r"page\.md: has no place for the figures"):
        main(run, [page])
    with pytest.raises(UserError, match=r"evaluation\.json: not there; run `python launch\.py evaluate"):
        main(tmp_path / "nowhere", [page])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_of_the_project_has_its_place_once(page):
    text = page.read_text()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    assert text.index(BEGIN) < text.index(END)
