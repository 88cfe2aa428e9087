"""What stands in deploy/, checked as far as a machine without systemd, podman and a robot reaches."""

import copy
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def told(*arguments):
    """What the help of a command says."""
    return run(sys.executable, "launch.py", *arguments, "--help", cwd=ROOT, env={"COLUMNS": "200"}).stdout


def settings(unit):
    lines = [line for line in unit.read_text().splitlines() if re.match(r"[A-Za-z]+=", line)]
    return [tuple(line.split("=", 1)) for line in lines]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    python = tmp_path / "hearsee" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    shutil.copytree(ROOT / "docs", tmp_path / "hearsee" / "docs")
    text = unit.read_text().replace("/opt/hearsee", str(tmp_path / "hearsee"))
    (tmp_path / unit.name).write_text(text)
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name))
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / f"{unit.name}.d").mkdir()
    joins = (DEPLOY / "join.conf").read_text().replace("/opt/hearsee", str(tmp_path / "hearsee"))
    (tmp_path / f"{unit.name}.d" / "join.conf").write_text(joins)
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name))
    assert (done.returncode, done.stderr) == (0, ""), "with join.conf"
    wrong = text.replace("[Service]", "[Service]\nProtectSistem=strict\nWatchdogSec=soon")
    (tmp_path / unit.name).write_text(wrong)
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name))
    assert "ProtectSistem" in done.stderr, "it would say what is wrong"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_what_there_is_as_a_user_who_may_little(unit):
    has = settings(unit)
    python, file, command, *arguments = shlex.split(dict(has)["ExecStart"])
    assert (python, file) == ("/opt/hearsee/.venv/bin/python", "launch.py")
    options = told(command)
    for argument in arguments:
        if argument.startswith("--"):
            assert argument in options, f"{command} has no {argument}"
    for wanted in (
        ("User", "hearsee"),
        ("SupplementaryGroups", "audio video render"),
        ("ProtectSystem", "strict"),
        ("PrivateTmp", "yes"),
        ("NoNewPrivileges", "yes"),
        ("KillMode", "mixed"),
        ("Restart", "always"),
    ):
        assert wanted in has
    assert {"MemoryMax", "TimeoutStopSec"} <= set(dict(has))


def container():
    """Instruction and rest of each line of the Containerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def test_a_container_is_built_of_what_there_is():
    steps = container()
    assert steps[0][0] == "FROM"
    known = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "USER", "ENV", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in steps} <= known
    kept = run("git", "ls-files", cwd=ROOT).stdout.splitlines()
    copied = [source for name, rest in steps if name == "COPY" for source in rest.split()[:-1]]
    for source in copied:
        assert any(file == source or file.startswith(f"{source}/") for file in kept), f"no {source}"
    assert {"launch.py", "pipeline.yaml", "nodes", "engines", "pyproject.toml"} <= set(copied)
    users = [i for i, (name, _) in enumerate(steps) if name == "USER"]
    assert users
    assert steps[users[-1]][1] != "root"
    assert users[-1] < [name for name, _ in steps].index("ENTRYPOINT")


@pytest.mark.parametrize("extras", ["", "gpu"])
def test_a_container_installs_what_the_makefile_does(extras, tmp_path):
    [made] = [rest for name, rest in container() if name == "RUN" and rest.startswith("make ")]
    words = shlex.split(made.replace("$EXTRAS", extras))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    would = run(*words, "--dry-run", cwd=tmp_path)
    assert would.returncode == 0, would.stderr
    assert "pip install" in would.stdout
    assert re.search(r'"\$REQUIREMENTS" +gpu', would.stdout) is not None or not extras


def test_ray_takes_the_cluster_file_and_would_not_take_a_wrong_one():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    validate_config(prepare_config(copy.deepcopy(config)))
    commands = " ".join(config["setup_commands"] + config["head_start_ray_commands"])
    assert "ray start" not in commands, "hearsee starts its own"
    for named in re.findall(r"/opt/hearsee/(deploy/[a-z.]+)", commands):
        assert (ROOT / named).is_file()
    with pytest.raises(Exception, match="file_mount"):
        validate_config(prepare_config({**config, "file_mount": {}}))


def test_the_second_host_joins_by_a_command_there_is():
    lines = (DEPLOY / "join.conf").read_text()
    *_, started = re.findall(r"^ExecStart=(.*)$", lines, re.MULTILINE)
    python, file, command, *arguments = shlex.split(started)
    assert (python, file) == ("/opt/hearsee/.venv/bin/python", "launch.py")
    options = told(command)
    assert all(argument in options for argument in arguments if argument.startswith("--"))
