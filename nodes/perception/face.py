"""The faces in every picture: of each its mouth, level, the face, and how far its lips can be trusted."""

from collections.abc import Sequence
from typing import ClassVar

import cv2

from nodes.perception.crop import Grey, face_framing, mouth_framing
from nodes.perception.detect import MIN_FACE, open_detector
from nodes.perception.landmarks import LandmarkEngine
from nodes.perception.quality import quality
from nodes.perception.track import DETECT_EVERY, Tracked, Tracker
from nodes.runtime import messages
from nodes.runtime.errors import UserError
from nodes.runtime.messages import PORTRAIT_SIZE, Gap, Message, Picture
from nodes.runtime.node import Context

# A picture with a shorter side than this holds no lips that could be read.
SMALLEST_PICTURE = 32
# Each costs a look of the landmark network a picture here, and of the lip reader where there are several.
FACES, MOST_FACES = 3, 8


class Face:
    """``messages.Face``, one for each face, or a ``Gap``, for every ``Picture`` or ``Gap``.

    They have its stream, seq, epoch and times.

    detector: "yunet" (a public model), "haar" (comes with OpenCV), or "auto": YuNet where it was pulled.
    yunet: path of a file of YuNet; empty for the one that was pulled.
    detect_every: pictures from one detection to the next while a face is followed.
    faces: the most that are followed at once; where there are more, the larger ones.
    min_face: the smallest face looked for, as a share of the picture's shorter side.
    portrait: send every face large and in colour too, for an expert that wants it: 150 kB more a face.
    """

    inputs: ClassVar[tuple[str, ...]] = ("picture",)
    outputs: ClassVar[tuple[str, ...]] = ("face",)

    def __init__(
        self,
        *,
        detector: str = "auto",
        yunet: str = "",
        detect_every: int = DETECT_EVERY,
        faces: int = FACES,
        min_face: float = MIN_FACE,
        portrait: bool = False,
    ) -> None:
        self.detector = detector
        self.yunet = yunet
        self.detect_every = detect_every
        self.faces = faces
        self.min_face = min_face
        self.portrait = portrait
        self._tracker: Tracker | None = None
        self._epoch: tuple[str, int] | None = None

    def open(self, context: Context) -> None:
        """Raises UserError for options that make no sense and where there is no such detector."""
        if self.detect_every < 1:
            raise UserError(f"detect_every: {self.detect_every} is not a number of pictures; the least is 1")
        if not 1 <= self.faces <= MOST_FACES:
            raise UserError(f"faces: {self.faces} is not a number of faces from 1 to {MOST_FACES}")
        detector = open_detector(self.detector, self.yunet, self.min_face)
        # A picture is too little work to share, and OpenCV's threads spin.
        cv2.setNumThreads(1)
        self._tracker = Tracker(detector, LandmarkEngine(), self.detect_every, self.faces)

    def step(self, messages: Sequence[Message]) -> list[Message]:
        pictures = [m for m in messages if isinstance(m, Picture) or _is_picture_gap(m)]
        return [answer for picture in pictures for answer in self._answer(picture)]

    def close(self) -> None:
        self._tracker = None

    def _answer(self, message: Message) -> Sequence[Message]:
        if isinstance(message, Gap):
            return [_gap(message, message.reason)]
        assert isinstance(message, Picture)
        image = message.image
        if min(image.shape[:2]) < SMALLEST_PICTURE:
            return [_gap(message, f"picture of {image.shape[1]}x{image.shape[0]} is too small")]
        assert self._tracker is not None, "step before open"
        epoch = (message.stream, message.epoch)
        if epoch != self._epoch:
            self._tracker.forget()
            self._epoch = epoch
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        faces = self._tracker.update(image, grey, message.t_start_ns)
        if not faces:
            return [_gap(message, "no face")]
        return [_face(message, face, grey, face is faces[-1], self.portrait) for face in faces]


def _face(picture: Picture, tracked: Tracked, grey: Grey, last: bool, portrait: bool) -> messages.Face:
    framing = mouth_framing(tracked.landmarks)
    mouth = framing.cut(grey)
    return messages.Face(
        stream=picture.stream,
        seq=picture.seq,
        epoch=picture.epoch,
        t_start_ns=picture.t_start_ns,
        t_end_ns=picture.t_end_ns,
        mouth=mouth,
        face=face_framing(tracked.landmarks).cut(grey),
        box=tracked.box,
        landmarks=tracked.landmarks,
        quality=quality(mouth, framing, tracked.landmarks, tracked.visible, grey.shape),
        track=tracked.track,
        last=last,
        portrait=face_framing(tracked.landmarks, PORTRAIT_SIZE).cut(picture.image) if portrait else None,
    )


def _is_picture_gap(message: Message) -> bool:
    return isinstance(message, Gap) and message.of == Picture.port


def _gap(message: Message, reason: str) -> Gap:
    return Gap(
        stream=message.stream,
        seq=message.seq,
        epoch=message.epoch,
        t_start_ns=message.t_start_ns,
        t_end_ns=message.t_end_ns,
        of=messages.Face.port,
        reason=reason,
    )
