"""What waits to be written to a recording: bounded, and what has to go goes by rule."""

import threading
from collections import Counter, deque
from typing import NamedTuple

from nodes.outputs.bodies import Common
from nodes.runtime.messages import Audio, Gap, Picture

MOST_BYTES = 48_000_000  # 2 s of pictures of 640 x 360, unpacked
MOST_ITEMS = 4096
ENVELOPE_BYTES = 1000  # about what one without sound or picture costs
SLOW = "not recorded, the disk is too slow"


_KINDS: dict[type, str] = {Audio: "blocks of sound", Picture: "pictures", Gap: "gaps"}
KINDS = (*_KINDS.values(), "results")


class Item(NamedTuple):
    """came_ns: when it came.  topic: that of a body, "" of what a source sent."""

    came_ns: int
    topic: str
    content: Audio | Picture | Gap | Common


class Waiting:
    """Oldest first.  Over the bound, pictures go first, the oldest of them, then the oldest of the rest.

    In the place of a picture or of sound that went stands a ``Gap``, so that a replay knows of the hole.
    dropped: counts, by what it was.
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, item: Item, wait_s: float = 0.0) -> None:
        """wait_s: how long the recorder may take for what is before it, for who can wait."""
        with self._changed:
            if wait_s:
                self._changed.wait_for(lambda: not self._items, wait_s)
            self._items.append(item)
            self._bytes += _size(item.content)
            while self._over() and self._drop():
                pass
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Item | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._items, timeout_s):
                return None
            item = self._items.popleft()
            self._bytes -= _size(item.content)
            self._changed.notify_all()
            return item

    def __len__(self) -> int:
        return len(self._items)

    def _over(self) -> bool:
        return self._bytes > MOST_BYTES or len(self._items) > MOST_ITEMS

    def _drop(self) -> bool:
        """Whether there was anything that could go; the newest stays."""
        older = range(len(self._items) - 1)
        place = next((i for i in older if isinstance(self._items[i].content, Picture)), None)
        if place is None:
            place = next((i for i in older if not isinstance(self._items[i].content, Gap)), None)
        if place is None or len(self._items) > MOST_ITEMS:
            place = 0
        if not older:
            return False
        item = self._items[place]
        content = item.content
        self._bytes -= _size(content)
        self.dropped[what(content)] += 1
        if isinstance(content, Audio | Picture) and len(self._items) <= MOST_ITEMS:
            gap = Gap(
                stream=content.stream,
                seq=content.seq,
                epoch=content.epoch,
                t_start_ns=content.t_start_ns,
                t_end_ns=content.t_end_ns,
                of=content.port,
                reason=SLOW,
            )
            self._items[place] = item._replace(content=gap)
            self._bytes += _size(gap)
        else:
            del self._items[place]
        return True


def what(content: Audio | Picture | Gap | Common) -> str:
    """In the words of a person."""
    return _KINDS.get(type(content), "results")


def _size(content: Audio | Picture | Gap | Common) -> int:
    if isinstance(content, Picture):
        return content.image.nbytes
    return content.samples.nbytes if isinstance(content, Audio) else ENVELOPE_BYTES
