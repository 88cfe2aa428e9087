"""Does anything but its declared error come out of a parser, whatever bytes it is given?

    python -m benchmarks.fuzz [TARGET ...] [--runs N] [--seconds S]

Coverage-guided (atheris, libFuzzer), each target in a process of its own, which C code may kill.  What was
found before lies in tests/fuzz/corpus and is tried first; what is found now, in --findings, one file each.
"""

import argparse
import ctypes
import hashlib
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rich.console import Console
from rich.table import Table

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "fuzz" / "corpus"
INSTRUMENTED = ["nodes", "engines", "yaml", "mcap", "tarfile", "zipfile", "zmq.auth"]
OF_NOTHING = f"crash-{hashlib.sha1(b'', usedforsecurity=False).hexdigest()}"
HANG_S = 30
MOST_MB = 2048
GRACE_S = 30


class Outcome(NamedTuple):
    executions: int
    seconds: float
    findings: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which; all where none is named")
    parser.add_argument("--runs", type=int, default=0, help="executions of each target; 0: until --seconds")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--brief", action="store_true", help="as the tests do: about a second of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("runs/fuzz"), help="folder for what is found")
    parser.add_argument(
        "--corpus", type=Path, help="folder that keeps what reached new code, from run to run"
    )
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED), _silent():
        from benchmarks.fuzzing.every import TARGETS as every  # noqa: N811
    if unknown := set(options.targets) - set(every):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    table = Table("target", "executions", "a second", "findings", title="python -m benchmarks.fuzz")
    total = findings = 0
    for name in options.targets or every:
        runs = every[name].brief if options.brief else options.runs
        arguments = [f"-runs={runs}" if runs else f"-max_total_time={max(1, round(options.seconds))}"]
        arguments += [f"-seed={options.seed}"]
        patience_s = None if runs else 2 * options.seconds + GRACE_S
        outcome = fuzz(name, every[name], arguments, patience_s, options.findings / name, options.corpus)
        total, findings = total + outcome.executions, findings + len(outcome.findings)
        rate = outcome.executions / outcome.seconds
        table.add_row(name, f"{outcome.executions:,}", f"{rate:,.0f}", "\n".join(outcome.findings) or "none")
        print(f"{name}: {outcome.executions:,} executions in {outcome.seconds:.0f} s", file=sys.stderr)
    table.add_row("all", f"{total:,}", "", str(findings or "none"))
    Console(width=100).print(table)
    return 1 if findings else 0


def fuzz(
    name: str,
    target: Any,
    arguments: list[str],
    patience_s: float | None,
    folder: Path,
    kept: Path | None = None,
) -> Outcome:
    """Runs a target in a process of its own.  folder: for its findings.  kept: of what reached new code."""
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hearsee-fuzz-", dir=memory) as work:
        log = Path(work) / "log"
        begun = time.monotonic()
        pid = os.fork()
        if not pid:
            _become(name, target, [*arguments, f"-artifact_prefix={folder}/"], Path(work), kept, log)
        status = _wait(pid, patience_s)
        seconds = time.monotonic() - begun
        said = log.read_text(errors="replace") if log.exists() else ""
    if re.search(r"^Done \d+ runs", said, re.MULTILINE):
        # Some library's destructors look for threads that a fork has not: that is after the last execution.
        (folder / OF_NOTHING).unlink(missing_ok=True)
        status = 0
    found = sorted(str(path) for path in set(folder.iterdir()) - before)
    if status and not found:
        found = [f"ended with {os.waitstatus_to_exitcode(status)}"]
    if found:
        print(said[-6000:], file=sys.stderr)
    counts = re.findall(r"stat::number_of_executed_units:\s*(\d+)|^#(\d+)", said, re.MULTILINE)
    return Outcome(max((int(final or told) for final, told in counts), default=0), seconds, found)


def _become(
    name: str, target: Any, arguments: list[str], work: Path, kept: Path | None, log: Path
) -> NoReturn:
    """This process becomes libFuzzer; it does not come back."""
    import atheris

    out = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ["TMPDIR"] = tempfile.tempdir = str(work)
    try:
        corpus = kept / name if kept else work / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        if target.words:
            words = work / "words"
            words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
            arguments.append(f"-dict={words}")
        arguments += [f"-max_len={target.longest}", "-print_final_stats=1"]
        arguments += [
            f"-timeout={HANG_S}",
            f"-report_slow_units={HANG_S}",
            f"-rss_limit_mb={MOST_MB}",
            "-detect_leaks=0",
            str(corpus),
        ]
        arguments += [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
        atheris.Setup(["fuzz", *arguments], target.run)
        atheris.Fuzz()
    except SystemExit as end:
        if not end.code:
            os._exit(0)
    except BaseException as error:
        print(f"could not begin: {error!r}", file=sys.stderr, flush=True)
    ctypes.CDLL(None).exit(
        1
    )  # libFuzzer writes what it found when the process ends; Python's end is not ours


def _wait(pid: int, patience_s: float | None) -> int:
    until_s = time.monotonic() + patience_s if patience_s else None
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if until_s and time.monotonic() > until_s:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.05)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


class _silent:  # noqa: N801, a context manager
    """atheris tells of every module that it instruments."""

    def __enter__(self) -> None:
        sys.stderr.flush()
        self._kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *exception: object) -> None:
        sys.stderr.flush()
        os.dup2(self._kept, 2)
        os.close(self._kept)


if __name__ == "__main__":
    raise SystemExit(main())
