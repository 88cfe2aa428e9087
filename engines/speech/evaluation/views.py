"""What the camera misses or gets wrong: pictures lost, a mouth covered, lips late, somebody else's face."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from engines.speech.evaluation.replay import Cover, Take, faces_of, nothing
from nodes.runtime.messages import CHUNK_NS, FRAME_NS, Audio, Face, Message, Picture

# Pictures are lost for so long at a time: ten frames, long enough that lip reading starts anew after it.
LOSS_NS = 10 * FRAME_NS
# Between two sentences they are lost from so long before to so long after: as a head that turns away.
AWAY_NS = (15 * FRAME_NS, 5 * FRAME_NS)
# How far the lips reach beyond the mouth's corners, of the distance between these.
LIPS = (0.35, 0.7)  # to the sides, up and down


class Seen(NamedTuple):
    """A condition of the picture.

    missing: share of the time without a picture.  covered: share of the mouth behind something.
    late_ms: how much later the picture is than the sound.  other: "clip" for the lips of another clip,
    "stranger" for those of another person.  away: nobody is seen between two sentences.
    """

    missing: float = 0.0
    covered: float = 0.0
    late_ms: int = 0
    other: str = ""
    away: bool = False

    def __str__(self) -> str:
        told = [
            f"{self.missing:.0%} missing" if self.missing else "",
            f"{self.covered:.0%} of the mouth covered" if self.covered else "",
            f"{self.late_ms:+d} ms late" if self.late_ms else "",
            {"": "", "clip": "lips of another sentence", "stranger": "a stranger's face"}[self.other],
            "lost between the sentences" if self.away else "",
        ]
        return ", ".join(filter(None, told)) or "as it is"


class Views:
    """``of`` a take under each condition.  others, strangers: whose lips may stand in.

    The faces under a cover, which have to be found anew, are kept for the clip at hand.
    """

    def __init__(self, take: Take, other: Take | None, stranger: Take | None) -> None:
        self._take = take
        self._others = {"clip": other, "stranger": stranger}
        self._covered: dict[float, list[Message]] = {}

    def of(self, seen: Seen) -> list[Message]:
        """The face messages; those of a stand-in go on only as long as there is sound to go with them."""
        take = self._take
        stand_in = self._others[seen.other] if seen.other else take
        assert stand_in is not None, f"nobody to stand in for {seen}"
        faces = self._cover(seen.covered) if seen.covered and not seen.other else stand_in.faces
        end_ns = _whole_chunks(take.sound) if seen.other else take.end_ns
        faces = [face for face in faces if face.t_start_ns < end_ns]
        if seen.late_ms:
            faces = _late(faces, seen.late_ms * 1_000_000, take.end_ns)
        if seen.missing:
            faces = _lossy(faces, lost_spans(take, seen.missing))
        if seen.away:
            before, after = AWAY_NS
            faces = _lossy(faces, [(joint - before, joint + after) for joint in take.joints_ns])
        end_ns = max((face.t_end_ns for face in faces), default=0)
        return [*faces, *nothing("face", end_ns, take.end_ns, len(faces))]

    def _cover(self, share: float) -> list[Message]:
        if share not in self._covered:
            self._covered[share] = faces_of(self._take.clip, hand(self._take.faces, share))
        return self._covered[share]


def _whole_chunks(sound: Sequence[Message]) -> int:
    """Until when every chunk has sound, ns."""
    end_ns = max((message.t_end_ns for message in sound if isinstance(message, Audio)), default=0)
    return end_ns // CHUNK_NS * CHUNK_NS


def lost_spans(take: Take, share: float) -> list[tuple[int, int]]:
    """[start, end) in ns of the pictures that are lost: stretches drawn at random, ``share`` of them."""
    count = -(-take.end_ns // LOSS_NS)
    rng = np.random.default_rng(zlib.crc32(take.clip.name.encode()))
    lost = rng.permutation(count)[: round(share * count)]
    return [(int(i) * LOSS_NS, (int(i) + 1) * LOSS_NS) for i in sorted(lost)]


def hand(faces: Sequence[Message], share: float) -> Cover:
    """Covers ``share`` of the mouth from one side, where ``faces`` found it, with skin of the forehead."""
    found = {face.t_start_ns: face for face in reversed(faces) if isinstance(face, Face)}

    def cover(picture: Picture) -> Picture:
        face = found.get(picture.t_start_ns)
        if face is None:
            return picture
        (left, y0), (right, y1) = face.landmarks[3], face.landmarks[4]
        width = abs(right - left)
        low, high = min(left, right) - LIPS[0] * width, max(left, right) + LIPS[0] * width
        middle, half = (y0 + y1) / 2, LIPS[1] * width
        rows = slice(max(0, int(middle - half)), max(0, int(middle + half)))
        columns = slice(max(0, int(low)), max(0, int(low + share * (high - low))))
        x, y, w, h = (max(0, int(side)) for side in face.box)
        image = picture.image.copy()
        under, skin = image[rows, columns], picture.image[y : y + h // 4, x + w // 4 : x + 3 * w // 4]
        if under.size and skin.size:
            under[:] = cv2.resize(skin, (under.shape[1], under.shape[0]))
        return msgspec.structs.replace(picture, image=image)

    return cover


def _late(faces: Sequence[Message], late_ns: int, end_ns: int) -> list[Message]:
    moved = [
        msgspec.structs.replace(face, t_start_ns=face.t_start_ns + late_ns, t_end_ns=face.t_end_ns + late_ns)
        for face in faces
    ]
    kept = [face for face in moved if face.t_start_ns >= 0 and face.t_end_ns <= end_ns]
    first_ns = kept[0].t_start_ns if kept else end_ns
    return [*nothing("face", 0, first_ns), *kept]


def _lossy(faces: Sequence[Message], spans: Sequence[tuple[int, int]]) -> list[Message]:
    kept: list[Message] = []
    for face in faces:
        if any(start <= face.t_start_ns < end for start, end in spans):
            kept += nothing("face", face.t_start_ns, face.t_end_ns, face.seq)
        else:
            kept.append(face)
    return kept
