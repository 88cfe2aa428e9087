"""What broke a parser once does not any more, and a short search from there finds nothing new."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fuzzing import target
from benchmarks.fuzzing.every import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.fixture(scope="module", autouse=True)
def nothing_left():
    """What the targets write goes with this process."""
    yield
    shutil.rmtree(target.folder())
    target.folder.cache_clear()


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_stays_mended(path):
    TARGETS[path.parent.name].run(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_right_is_read_and_cut_anywhere_is_refused(name):
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)
        for part in range(8):
            TARGETS[name].run(seed[: len(seed) * part // 8])


def test_a_short_search_finds_nothing(tmp_path):
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python or system")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--brief", "--findings", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-5000:]
    assert all(name in ran.stdout for name in TARGETS)


PLANTED = """
import atheris, sys
from pathlib import Path
from benchmarks.fuzz import fuzz
from benchmarks.fuzzing.target import Target
from tests.fuzz.test_fuzz import planted
target = Target(atheris.instrument_func(planted), lambda: [b"seed"], 1)
print(fuzz("planted", target, ["-runs=200000", "-seed=1"], 60, Path(sys.argv[1])))
"""


def planted(data):
    """A bug that no random bytes meet: it takes a search that sees how far it has come."""
    if len(data) > 3 and data[0] == ord("b") and data[1] == ord("u") and data[2] == ord("g"):
        raise KeyError(data[3])


def test_the_search_finds_a_bug_that_is_there(tmp_path):
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python or system")
    ran = subprocess.run(
        [sys.executable, "-c", PLANTED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert "KeyError" in ran.stderr, ran.stdout + ran.stderr[-3000:]
    [found] = list(tmp_path.iterdir())
    assert found.name in ran.stdout
    with pytest.raises(KeyError):
        planted(found.read_bytes())
