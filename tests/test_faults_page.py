"""docs/faults.md tells of every fault that is caused, and every test that it names is there."""

import re
from pathlib import Path

import pytest

from benchmarks.measured.fault import FAULTS
from benchmarks.measured.page import ELSEWHERE, SUBSCRIBERS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ALL = [*FAULTS, *SUBSCRIBERS, *ELSEWHERE]


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_each_fault_is_on_the_page_with_a_test_that_causes_it(fault):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {fault.name} |")]
    assert fault.happens in row, "run: python -m benchmarks.faults"
    file, name = fault.test.split("::")
    assert f"(../{file})" in row
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_cell_of_what_was_measured_is_filled():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    assert all(cell.strip() for row in rows for cell in row.strip("|").split("|"))
