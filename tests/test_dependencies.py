"""What runs on a user's machine needs nothing but what is installed there."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
NAMED = {"opencv-python": "cv2", "PyYAML": "yaml", "pyzmq": "zmq", "prometheus-client": "prometheus_client"}
OURS = {"nodes", "engines"}
# Makes the talker's clip again; says itself that it needs the train extra.
GENERATOR = ROOT / "nodes" / "sources" / "talker"


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


RUNNING = [path for path in (ROOT / "nodes").rglob("*.py") if GENERATOR not in path.parents]


@pytest.mark.parametrize("path", [ROOT / "launch.py", *sorted(RUNNING)], ids=lambda path: path.stem)
def test_only_what_make_demo_installs_is_imported(path):
    installed = {NAMED.get(name, name) for name in (re.match(r"[\w-]+", wanted)[0] for wanted in RUNTIME)}
    assert set(imported(path)) - sys.stdlib_module_names - OURS <= installed
