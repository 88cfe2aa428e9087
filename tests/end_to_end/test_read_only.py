"""``launch.py`` as a service runs it: another user, no home, nothing to write to but a /tmp of its own."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measured.launched import free_address
from tests.end_to_end.running import ROOT

NOBODY = "65534"


def shut(path):
    """The topmost folder above ``path`` that not everybody may enter, and the next one on the way."""
    for folder, child in zip(reversed(path.parents), [*[*reversed(path.parents)][1:], path], strict=True):
        if not folder.stat().st_mode & 0o001:
            return folder, child
    return None


def read_only(scratch):
    """Shell lines that make everything read-only but /tmp, for what is started after them.

    They open the way to Python and to the project where only their owner has one.
    """
    lines, ways = ["set -e"], {}
    for needed in (Path(sys.base_prefix), Path(sys.prefix).resolve(), ROOT):
        if found := shut(needed):
            ways.setdefault(found[0], set()).add(found[1])
    for folder, children in ways.items():
        kept = {child: scratch / f"{child.name}-{len(str(child))}" for child in children}
        for child, place in kept.items():
            lines += [f"mkdir -p {place}", f"mount --bind {child} {place}"]
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {folder}")
        for child, place in kept.items():
            lines += [f"mkdir {child}", f"mount --bind {place} {child}"]
    return [*lines, "mount -t tmpfs -o mode=1777 tmpfs /tmp", "mount -o remount,ro,bind /"]


def test_another_user_without_a_home_on_a_read_only_machine_understands_the_talker(tmp_path):
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root may run it as another user, and needs setpriv")
    if ROOT.is_relative_to("/tmp"):
        pytest.skip("the project lies in /tmp, which a service has for itself")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no mounts of one's own")
    who = [
        "env",
        "-i",
        "PATH=/usr/bin:/bin",
        "setpriv",
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
    ]
    demo = [sys.executable, "launch.py", "demo", "--address", free_address()]
    lines = [
        *read_only(tmp_path),
        f"cd {ROOT}",
        "if touch here 2> /dev/null; then exit 3; fi",
        shlex.join(["exec", *who, *demo]),
    ]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "heard: " in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    for trouble in ("Traceback", "ermission denied", "ead-only", "warning"):
        assert trouble not in done.stderr
