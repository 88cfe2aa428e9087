"""What the README shows works as it stands there."""

import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from nodes.outputs.publish import Publish
from nodes.runtime.messages import Transcript
from nodes.runtime.node import Context

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
EXAMPLES = {"python": ROOT / "examples" / "subscribe.py", "c": ROOT / "examples" / "subscribe.c"}


@pytest.fixture
def publisher():
    """A publisher that says the same sentence every 20 ms."""
    node = Publish(address="tcp://127.0.0.1:*")
    node.open(Context(name="publish"))
    end = threading.Event()

    def run():
        segment = 0
        while not end.wait(0.02):
            final = Transcript(
                stream="transcribe",
                seq=segment,
                epoch=0,
                t_start_ns=0,
                t_end_ns=1_000_000_000,
                segment=segment,
                revision=1,
                final=True,
                text="bin blue at f two now",
                words=[],
                mode="av",
                modalities={"audio": 0.9, "video": 0.9},
                sync_error_ms=None,
            )
            node.step([final])
            segment += 1

    thread = threading.Thread(target=run)
    thread.start()
    yield node
    end.set()
    thread.join()
    node.close()


def block(language):
    [text] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return text


def first_line(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        return process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("language", EXAMPLES)
def test_the_example_in_the_readme_is_the_file(language):
    assert block(language) == EXAMPLES[language].read_text()
    assert len(block(language).splitlines()) <= 15


def test_the_python_example_prints_what_was_said(publisher, tmp_path):
    example = tmp_path / "subscribe.py"
    example.write_text(block("python").replace("tcp://127.0.0.1:5556", publisher.address))
    assert first_line([sys.executable, str(example)]) == "bin blue at f two now (av)\n"


def test_the_c_example_prints_what_was_said(publisher, tmp_path):
    if not shutil.which("cc") or not Path("/usr/include/zmq.h").exists():
        pytest.skip("no C compiler or no zmq.h: apt-get install gcc libc6-dev libzmq3-dev")
    source, program = tmp_path / "subscribe.c", tmp_path / "subscribe"
    source.write_text(block("c").replace("tcp://127.0.0.1:5556", publisher.address))
    flags = ["-Wall", "-Wextra", "-Werror", "-lzmq", "-o", str(program)]
    subprocess.run(["cc", str(source), *flags], check=True)
    line = first_line([str(program)])
    assert line.startswith("{")
    assert '"text":"bin blue at f two now"' in line


def test_every_make_target_named_is_one():
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_dependency_is_explained_and_no_other():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    names = {re.split(r"[<>=\[]", each)[0] for each in wanted} - {project["name"]}
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    explained = {name for row in rows for name in row.split(", ")} - {"package"}
    assert explained == names
