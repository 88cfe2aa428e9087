"""Faces that have arrived and are not yet handed out: each belongs to the one frame nearest to it in time."""

from bisect import insort
from collections import Counter

from nodes.runtime.messages import FRAME_NS, Face, Gap

# Stream, epoch and track: which face it is.
FaceId = tuple[str, int, int]

HALF_FRAME_NS = FRAME_NS // 2
# A camera's periods are this uneven: the next picture may start so much before the last one ends.
JITTER_NS = 5_000_000
MAX_FACES = 1024


class FaceTrack:
    """``put`` messages in any order, ``pick`` those of the four pictures of a chunk.

    A frame's pictures are those that start within [-20, 20) ms of it, so none serves two frames; all faces of
    the nearest are picked.  mark_ns: faces are known, or known to be missing, up to here.
    dropped: counts by rule: "duplicate", "late" (its frame has been handed out), "stale" (of an older epoch),
    "overflow" (the oldest of more than 1024), "between frames" (a nearer picture was picked).
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.mark_ns: int | None = None
        self._faces: list[Face] = []
        self._epoch = -1
        self._handed_out_ns: int | None = None

    def put(self, message: Face | Gap) -> None:
        if message.epoch < self._epoch:
            self.dropped["stale"] += 1
            return
        if message.epoch > self._epoch:
            self._epoch, self.mark_ns = message.epoch, None
            self._faces = [face for face in self._faces if face.t_start_ns < message.t_start_ns]
        if isinstance(message, Face) and self._wanted(message):
            insort(self._faces, message, key=lambda face: face.t_start_ns)
            if len(self._faces) > MAX_FACES:
                del self._faces[0]
                self.dropped["overflow"] += 1
        if isinstance(message, Gap) or message.last:
            self.mark_ns = message.t_end_ns if self.mark_ns is None else max(self.mark_ns, message.t_end_ns)

    def _wanted(self, face: Face) -> bool:
        if self._handed_out_ns is not None and face.t_start_ns < self._handed_out_ns:
            self.dropped["late"] += 1
            return False
        if any(f.t_start_ns == face.t_start_ns and identity(f) == identity(face) for f in self._faces):
            self.dropped["duplicate"] += 1
            return False
        return True

    def next_ns(self) -> int | None:
        """Where the first face that is waiting starts; None where none is."""
        return self._faces[0].t_start_ns if self._faces else None

    def complete(self, end_ns: int) -> bool:
        """Whether every face of the chunk that ends at ``end_ns`` is here, or known to be missing."""
        return self.mark_ns is not None and self.mark_ns >= end_ns - HALF_FRAME_NS + JITTER_NS

    def pick(self, starts_ns: tuple[int, ...]) -> tuple[tuple[Face, ...], ...]:
        """The faces of the nearest picture to each frame that starts at one of ``starts_ns``.

        Earlier ones are dropped.
        """
        picked: list[tuple[Face, ...]] = []
        for start in starts_ns:
            self._drop_before(start - HALF_FRAME_NS)
            near = [face for face in self._faces[:64] if face.t_start_ns < start + HALF_FRAME_NS]
            nearest = min((face.t_start_ns for face in near), key=lambda t: abs(t - start), default=start)
            picked.append(tuple(face for face in near if face.t_start_ns == nearest))
            if len(near) > len(picked[-1]):
                self.dropped["between frames"] += len(near) - len(picked[-1])
            del self._faces[: len(near)]
        self._handed_out_ns = starts_ns[-1] + HALF_FRAME_NS
        return tuple(picked)

    def restart(self) -> None:
        """The timeline starts over: forget where it was and every face on it."""
        self._faces.clear()
        self.mark_ns = self._handed_out_ns = None

    def _drop_before(self, time_ns: int) -> None:
        while self._faces and self._faces[0].t_start_ns < time_ns:
            del self._faces[0]
            self.dropped["late"] += 1


def identity(face: Face) -> FaceId:
    return face.stream, face.epoch, face.track


def by_face(pictures: tuple[tuple[Face, ...], ...]) -> dict[FaceId, tuple[Face | None, ...]]:
    """Each face with its message of every picture, None where it is not in it; in order of appearance."""
    found: dict[FaceId, list[Face | None]] = {}
    for i, picture in enumerate(pictures):
        for face in picture:
            found.setdefault(identity(face), [None] * len(pictures))[i] = face
    return {which: tuple(faces) for which, faces in found.items()}
