"""Nothing that comes from outside is run: no pickle, eval, exec, shell or unsafe YAML in what reads it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Their names come from pipeline.yaml, from a table in the file, and from a tuple in the file.
IMPORTERS = {"nodes/runtime/check.py", "nodes/runtime/probes.py", "engines/gpu/library.py"}
UNPICKLE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
RUNS = {
    "compile",
    "__import__",
    "runpy.run_path",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.unsafe_load_all",
}
RUNS_ITS_INPUT = {
    "exec(text)": "S102",
    "eval(text)": "S307",
    "import pickle; pickle.loads(data)": "S301",
    "import pickle as p; p.Unpickler(file)": "S301",
    "import shelve; shelve.open(name)": "S301",
    "import marshal; marshal.loads(data)": "S302",
    "import tempfile; tempfile.mktemp()": "S306",
    "import yaml; yaml.load(text, yaml.Loader)": "S506",
    "import subprocess; subprocess.run(text, shell=True)": "S602",
    "import os; os.system(text)": "S605",
    "import os; os.popen(text)": "S605",
    "import subprocess; subprocess.getoutput(text)": "S605",
    "import tarfile; tarfile.open(name).extractall(folder)": "S202",
    "import requests; requests.get(url, verify=False)": "S501",
}


@pytest.mark.parametrize("folder", ["nodes/runtime", "engines/speech", "."])
def test_the_linter_refuses_what_runs_its_input(folder):
    """As `make lint` runs it; the test is of the settings in pyproject.toml."""
    text = "\n".join(RUNS_ITS_INPUT)
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format=json", "--stdin-filename", f"{folder}/x.py"],
        input=text,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = {(fault["location"]["row"], fault["code"]) for fault in json.loads(ran.stdout)}
    missed = [line for row, (line, code) in enumerate(RUNS_ITS_INPUT.items(), 1) if (row, code) not in found]
    assert not missed, f"ruff lets through: {missed}"


def faults(text, name):
    """What ruff has no rule for, each with its line."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                imported = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module)):
                imported = [module]
            case _:
                imported = []
        yield from (f"{name}:{node.lineno}: imports {module}" for module in imported if module in UNPICKLE)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            yield f"{name}:{node.lineno}: np.load without allow_pickle=False"
        elif called == "torch.load" and given.get("weights_only") != "True":
            yield f"{name}:{node.lineno}: torch.load without weights_only=True"
        elif called in RUNS:
            yield f"{name}:{node.lineno}: {called}"
        elif called.endswith(("import_module", "spec_from_file_location")) and name not in IMPORTERS:
            yield f"{name}:{node.lineno}: {called}, of a name that may come from anywhere"
        elif called.endswith((".extract", ".extractall")):
            yield f"{name}:{node.lineno}: {called} writes where the archive says"


def shipped():
    for folder in ("nodes", "engines", "benchmarks"):
        yield from (ROOT / folder).rglob("*.py")
    yield ROOT / "launch.py"


def test_nothing_that_ships_runs_its_input():
    files = list(shipped())
    assert len(files) > 150
    found = [fault for file in files for fault in faults(file.read_text(), file.relative_to(ROOT).as_posix())]
    assert found == []
    silenced = [file for file in files if "noqa: S" in file.read_text()]
    assert silenced == [], "the linter's word on these is not to be silenced"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path, weights_only=False)",
        "compile(text, name, 'exec')",
        "__import__(name)",
        "yaml.unsafe_load(text)",
        "importlib.import_module(name)",
        "archive.extractall(folder)",
    ],
)
def test_what_runs_its_input_is_found(text):
    assert len(list(faults(text, "nodes/x.py"))) == 1
