"""One node in its group: opened, stepped, timed, and opened anew with back-off when it fails."""

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nodes.runtime.check import find_class
from nodes.runtime.errors import UserError
from nodes.runtime.graph import NodeSpec
from nodes.runtime.messages import Audio, Face, Gap, Message, Picture, Transcript
from nodes.runtime.node import Context, Node
from nodes.runtime.pulse import Pulse

log = logging.getLogger(__name__)

OPEN_S = 60.0  # a node may take so long to open: it loads its models
FIRST_BACKOFF_NS = 100_000_000
MAX_BACKOFF_NS = 5_000_000_000
FORGIVEN_NS = 30_000_000_000  # who ran this long without failing starts again with the first back-off
PACED = {kind.port for kind in (Audio, Picture, Face)}
"""Ports on which somebody waits for the next message: a node that is down says Gap there."""

KEPT = 256


class Slot:
    """``context`` makes the context for an epoch so far above the group's first.

    It rises with every reopening, above whatever the node has used of its own accord.
    pulse: of the process, to tell who hangs from who opens.
    """

    def __init__(self, spec: NodeSpec, context: Callable[[int], Context], pulse: Pulse | None = None) -> None:
        self.spec = spec
        self._pulse = pulse or Pulse()
        self.kind = find_class(spec.kind)
        self.is_source = not self.kind.inputs
        self.inbox: list[Message] = []
        self.state = "starting"
        self.messages = 0
        self.broken = False
        self._make_context = context
        self._context = context(0)
        self._first_epoch = self._context.epoch
        self._node: Node | None = None
        self._epochs = 0
        self._failures = 0
        self._failed_ns = 0
        self._reopen_ns = 0
        self._last: dict[str, Message] = {}
        self._step_ns: deque[int] = deque(maxlen=KEPT)
        self._delay_ns: deque[int] = deque(maxlen=KEPT)

    @property
    def finished(self) -> bool:
        """A source that has handed everything out; devices never do, a file that failed has."""
        return self.broken or bool(getattr(self._node, "finished", False))

    def open(self) -> None:
        """Raises UserError, with the node's name, for whatever keeps it from opening."""
        self._context = self._make_context(self._epochs)
        self._epochs += 1
        try:
            with self._pulse.patience(OPEN_S):
                node = self._opened()
        except UserError as error:
            raise UserError(f"{self.spec.id}: {str(error).removeprefix(f'{self.spec.id}: ')}") from None
        except Exception as error:
            log.debug("opening %s", self.spec.id, exc_info=True)
            raise UserError(f"{self.spec.id}: cannot be opened: {_line(error)}") from None
        self._node = node
        self.state = "ok"

    def _opened(self) -> Node:
        node: Node = self.kind(**self.spec.options)
        try:
            node.open(self._context)
        except BaseException:
            with suppress(Exception):  # what went wrong first is what counts
                node.close()
            raise
        return node

    def step(self, now_ns: int) -> list[Message]:
        """What the node makes of its inbox; when it is down, ``Gap`` in its place until it is back."""
        self._pulse.beat()
        arrived, self.inbox = self.inbox, []
        if self.broken:
            return []
        if self._node is None:
            if now_ns < self._reopen_ns:
                return self._gaps(arrived, now_ns)
            try:
                self.open()
            except UserError as error:
                self._fail(str(error).removeprefix(f"{self.spec.id}: "), now_ns)
                return self._gaps(arrived, now_ns)
            log.info("%s: opened again", self.spec.id)
        assert self._node is not None
        try:
            made = self._node.step(arrived)
            if arrived or made:
                self._note(made, now_ns)
        except Exception as error:
            log.debug("stepping %s", self.spec.id, exc_info=True)
            self._close()
            self._fail(_line(error), now_ns)
            return self._gaps(arrived, now_ns)
        return made

    def flush(self, now_ns: int) -> list[Message]:
        """What the node still has to tell when nothing more will come."""
        made = self.step(now_ns) if self.inbox else []
        flush = getattr(self._node, "flush", None)
        if flush is None:
            return made
        try:
            rest: list[Message] = flush()
        except Exception as error:
            log.warning("%s: while stopping: %s", self.spec.id, _line(error))
            return made
        self._note(rest, now_ns)
        return made + rest

    def close(self) -> None:
        self._close()
        self.state = "stopped"

    def report(self) -> dict[str, Any]:
        """The node's part of ``Health.nodes``."""
        report: dict[str, Any] = {"state": self.state, "messages": self.messages}
        if gaps := {port: last.reason for port, last in self._last.items() if isinstance(last, Gap)}:
            report["gaps"] = gaps
        if warnings := getattr(self._node, "warnings", None):
            report["warnings"] = list(warnings)
        if engines := getattr(self._node, "engines", None):
            report["engines"] = engines
        if late := getattr(self._node, "late", None):
            report["late"] = late
        if recording := getattr(self._node, "recording", None):
            report["recording"] = recording
        if clock := getattr(self._node, "clock", None):
            report["clock"] = clock
        for name, times in (("step", self._step_ns), ("delay", self._delay_ns)):
            if times:
                ordered = sorted(times)
                for part in (50, 90, 99):
                    report[f"{name}_p{part}_ms"] = round(ordered[len(ordered) * part // 100] / 1e6, 3)
        return report

    def _note(self, made: list[Message], begun_ns: int) -> None:
        done_ns = self._context.now_ns()
        self._step_ns.append(done_ns - begun_ns)
        self.messages += len(made)
        for message in made:
            self._last[message.port] = message
            if message.stream == self.spec.id:
                self._epochs = max(self._epochs, message.epoch - self._first_epoch + 1)
            if not isinstance(message, Gap | Transcript):  # which ends with its speech, before the pause
                self._delay_ns.append(done_ns - message.captured_ns)

    def _close(self) -> None:
        node, self._node = self._node, None
        if node is None:
            return
        try:
            node.close()
        except Exception as error:
            log.warning("%s: while closing: %s", self.spec.id, _line(error))

    def _fail(self, reason: str, now_ns: int) -> None:
        if hasattr(self.kind, "finished"):  # a file fails at the same place again
            self.broken, self.state = True, reason
            log.warning("%s: %s", self.spec.id, reason)
            return
        if now_ns - self._failed_ns > FORGIVEN_NS:
            self._failures = 0
        backoff_ns = min(FIRST_BACKOFF_NS << min(self._failures, 16), MAX_BACKOFF_NS)
        self._failures += 1
        self._failed_ns, self._reopen_ns = now_ns, now_ns + backoff_ns
        if reason != self.state:
            log.warning("%s: %s; trying again in %.1f s", self.spec.id, reason, backoff_ns / 1e9)
        self.state = reason

    def _gaps(self, arrived: list[Message], now_ns: int) -> list[Message]:
        """A Gap for each message that was not understood; from a source, for the time since its last."""
        ports = [port for port in self.kind.outputs if port in PACED]
        reason = f"{self.spec.id} failed"
        gaps: list[Message] = []
        for port in ports:
            last = self._last.get(port)
            spans: list[Message] = arrived if not self.is_source else [last] if last else []
            for span in spans:
                start_ns, end_ns = span.t_start_ns, span.t_end_ns
                if self.is_source:
                    start_ns, end_ns = span.t_end_ns, now_ns
                if end_ns <= start_ns:
                    continue
                gap = Gap(
                    stream=span.stream,
                    seq=last.seq + 1 if last else 0,
                    epoch=last.epoch if last else span.epoch,
                    t_start_ns=start_ns,
                    t_end_ns=end_ns,
                    of=port,
                    reason=reason,
                )
                self._last[port] = last = gap
                gaps.append(gap)
        return gaps


def _line(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0][:300]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
