"""Writes recordings, one after the other, in a thread of its own: a disk may be slow, or full."""

import logging
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from nodes.outputs.mcap_file import McapFile
from nodes.outputs.shelf import Shelf
from nodes.outputs.waiting import KINDS, SLOW, Item, Waiting, what
from nodes.runtime.messages import Audio, Gap, Picture
from nodes.runtime.recorded import keep

log = logging.getLogger(__name__)

FLUSH_S = 1.0
RETRY_S = 1.0
# A disk that was full must have so much room again: else it would be full again at once.
RESUME_BYTES = 32_000_000
TELL_S = 10.0  # for so long status says that something was dropped
DRAIN_S = 0.25  # for what still waits when it is closed
CLOSE_S = 0.9


@dataclass(frozen=True)
class Limits:
    """file_s, file_bytes: when the next file begins.  disk_bytes: of all recordings together.

    free_bytes: of the disk are left alone.
    """

    file_s: float
    file_bytes: int
    disk_bytes: int
    free_bytes: int


class Recorder:
    """``put`` what is to be recorded; it never waits longer than it is told to.

    ports: as in ``nodes.sources.archive.About``.  quality: of the pictures.
    A disk that is full, or fails in another way, ends the recording with one line; it begins again by itself
    when there is room.  ``trouble`` says so, "" where there is none.
    """

    def __init__(self, shelf: Shelf, limits: Limits, ports: tuple[str, ...], quality: int) -> None:
        self._shelf, self._limits, self._ports, self._quality = shelf, limits, ports, quality
        self._waiting = Waiting()
        self._lost: Counter[str] = Counter()
        self._file: McapFile | None = None
        self._opened_s = self._flushed_s = self._failed_s = self._dropped_s = 0.0
        self._dropped = 0
        self._failure = ""
        self._refused = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        if self._failure:
            return self._failure
        dropped = self._waiting.dropped.total()
        if dropped != self._dropped:
            self._dropped, self._dropped_s = dropped, time.monotonic()
        if not self._dropped or time.monotonic() - self._dropped_s >= TELL_S:
            return ""
        counts = ((self._waiting.dropped[kind], kind) for kind in KINDS)
        return f"{SLOW}: {', '.join(f'{count} {kind}' for count, kind in counts if count)}"

    @property
    def report(self) -> dict[str, Any]:
        """For ``status``: the file, how long it is, and what was lost so far, of each kind."""
        file = self._file
        dropped = self._waiting.dropped
        lost = {kind: count for kind in KINDS if (count := self._lost[kind] + dropped[kind])}
        return {
            "file": file.path.name if file else None,
            "bytes": file.bytes if file else 0,
            "waiting": len(self._waiting),
            "lost": lost,
        }

    def put(self, item: Item, wait_s: float = 0.0) -> None:
        self._waiting.put(item, wait_s)

    def close(self) -> None:
        """Writes what waits, as far as a quarter of a second goes, and ends the file."""
        self._closing.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        until_s = None
        while until_s is None or time.monotonic() < until_s:
            if until_s is None and self._closing.is_set():
                until_s = time.monotonic() + DRAIN_S
                self._flushed_s = 0.0  # whatever comes now, what was written is safe
            item = self._waiting.get(0.0 if until_s else 0.1)
            if item is None and until_s:
                break
            try:
                self._record(item)
            except OSError as error:
                self._fail(f"{self._shelf.folder}: {os.strerror(error.errno or 0).lower()}")
            except Exception as error:  # one message that cannot be kept must not end all recording
                if item is not None:
                    self._lost[what(item.content)] += 1
                if not self._refused:
                    log.warning("not recorded: %s: %s", type(error).__name__, error)
                self._refused = True
        if left := len(self._waiting):
            log.warning("the recording ends without the last %d messages: the disk is too slow", left)
        self._end()

    def _record(self, item: Item | None) -> None:
        now_s = time.monotonic()
        if self._file is None and item is not None and not self._begin(now_s):
            self._lost[what(item.content)] += 1
            return
        if self._file is None:
            return
        if item is not None:
            self._write(self._file, item)
        if now_s - self._flushed_s >= FLUSH_S:
            self._flushed_s = now_s
            self._file.flush()
            self._look_after(self._file, now_s)

    def _begin(self, now_s: float) -> bool:
        """Whether there is a file to write to; after a failure only once there is room again."""
        if self._failure:
            if now_s - self._failed_s < RETRY_S:
                return False
            self._failed_s = now_s
            if self._shelf.free_bytes() < self._limits.free_bytes + RESUME_BYTES:
                return False
        elif self._nearly_full():
            return False
        offset_ns = time.time_ns() - time.monotonic_ns()
        self._file = McapFile(self._shelf.new(), offset_ns, self._ports)
        self._opened_s = self._flushed_s = now_s
        if self._failure:
            log.warning("recording again, to %s", self._file.path)
            self._failure = ""
        return True

    def _write(self, file: McapFile, item: Item) -> None:
        content = item.content
        if isinstance(content, Audio | Picture | Gap):
            schema, kept = keep(content, file.unix_offset_ns, self._quality)
            port = "gap" if isinstance(content, Gap) else content.port
            topic = f"{content.stream}/{port}"
            file.write(topic, schema, kept, item.came_ns, content.t_start_ns, content.seq)
        else:
            file.write(item.topic, content.schema, content, item.came_ns, content.t_emit_ns, content.seq)

    def _look_after(self, file: McapFile, now_s: float) -> None:
        """Ends a file that is long enough, removes the oldest, and stops before the disk is full."""
        limits = self._limits
        self._shelf.make_room(limits.disk_bytes - file.bytes)
        if now_s - self._opened_s >= limits.file_s or file.bytes >= limits.file_bytes:
            file.finish()
            self._file = None
        self._nearly_full()

    def _nearly_full(self) -> bool:
        free, kept = self._shelf.free_bytes(), self._limits.free_bytes
        if free >= kept:
            return False
        self._end()
        self._fail(
            f"{self._shelf.folder}: {free // 10**6} MB of the disk are free, {kept // 10**6} MB are kept"
        )
        return True

    def _fail(self, why: str) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.give_up()
        self._failed_s = time.monotonic()
        if not self._failure:
            log.warning("recording stopped: %s; it begins again when there is room", why)
        self._failure = f"recording stopped: {why}"

    def _end(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.finish()
        except OSError:
            file.give_up()
