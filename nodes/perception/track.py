"""Which faces are followed: each found once, then kept from picture to picture by its landmarks."""

from collections import deque
from dataclasses import dataclass, field

from nodes.perception.crop import FACE_SIDE, Grey, Points, box_framing, face_framing, reach
from nodes.perception.detect import Box, Detection, Detector, Image
from nodes.perception.landmarks import LandmarkEngine, Look
from nodes.perception.smooth import LandmarkFilter

# Presence that takes a face up, and below which it is lost: two thresholds, so that it does not flicker.
FOUND, LOST = 0.7, 0.4
# Pictures between two detections while any face is followed.
DETECT_EVERY = 12
# With no face in sight, or one just lost, it is at most every third: an empty room must stay cheap.
SEARCH_EVERY = 3
# Where no more are followed, another face must be this much larger than the smallest, in this many detections
# on end, to be taken up instead.
LARGER, INSISTENCE = 1.5, 2
# A face lost for less than this and found again in the same place is still the same one.
SAME_FACE_NS = 1_000_000_000
_SAME_PLACE = 0.3
# Two that are followed and have slid this far onto each other are one.
_ONE_FACE = 0.5


@dataclass(frozen=True)
class Tracked:
    """landmarks: float32 [5, 2], smoothed.  box: the upright square about the face.  visible: as in ``Look``.

    track: counts up from 0 with every other face taken up.
    """

    landmarks: Points
    box: Box
    visible: Points
    track: int


@dataclass
class _Followed:
    """look: what was seen of it last, at ``seen_ns``.  landmarks, box: as in ``Tracked``."""

    track: int
    look: Look
    seen_ns: int
    filter: LandmarkFilter = field(default_factory=LandmarkFilter)

    def __post_init__(self) -> None:
        self.see(self.look, self.seen_ns)

    def see(self, look: Look, t_ns: int) -> None:
        self.look, self.seen_ns = look, t_ns
        self.landmarks = self.filter.update(look.landmarks, t_ns)
        self.box = _box(self.landmarks)


class Tracker:
    """Follows up to ``faces`` faces; every ``detect_every`` pictures a detection looks for more, or larger.

    Between detections each costs one look of the landmark network a picture.
    """

    def __init__(
        self, detector: Detector, engine: LandmarkEngine, detect_every: int = DETECT_EVERY, faces: int = 1
    ) -> None:
        self._detector, self._engine, self._detect_every = detector, engine, detect_every
        self._most = faces
        self._followed: list[_Followed] = []
        self._lost: deque[_Followed] = deque(maxlen=faces)
        self._tracks = 0
        self._since_detection = SEARCH_EVERY
        self._insisted = 0

    def update(self, image: Image, grey: Grey, t_ns: int) -> list[Tracked]:
        """The followed faces in a picture taken at ``t_ns``, the most prominent first.

        image: uint8 [h, w, 3] BGR.  grey: uint8 [h, w], the same picture.
        """
        lost_now = self._follow(grey, t_ns)
        missing = any(t_ns - face.seen_ns < SAME_FACE_NS for face in self._lost) or not self._followed
        self._since_detection += 1
        if lost_now or self._since_detection >= (SEARCH_EVERY if missing else self._detect_every):
            self._since_detection = 0
            self._detect(image, grey, t_ns)
        faces = [Tracked(f.landmarks, f.box, f.look.visible, f.track) for f in self._followed]
        return sorted(faces, key=lambda face: -_prominence(face.box, image))

    def forget(self) -> None:
        """Another recording or camera from here on: look again, and take what is found for other faces."""
        self._followed.clear()
        self._lost.clear()
        self._since_detection = SEARCH_EVERY

    def _follow(self, grey: Grey, t_ns: int) -> bool:
        """Looks for each face where it was; whether one was lost."""
        before, self._followed = self._followed, []
        for face in before:
            look = self._look_again(grey, face) if t_ns - face.seen_ns < SAME_FACE_NS else None
            if look is None:
                self._lost.append(face)
            elif not self._overlaps(_box(look.landmarks), _ONE_FACE):
                face.see(look, t_ns)
                self._followed.append(face)
        return len(self._followed) < len(before)

    def _look_again(self, grey: Grey, face: _Followed) -> Look | None:
        look = self._engine.look(grey, face_framing(face.look.landmarks))
        return look if look.presence >= LOST and _plausible(look.landmarks, grey) else None

    def _overlaps(self, box: Box, share: float) -> bool:
        return any(_overlap(box, _box(face.look.landmarks)) >= share for face in self._followed)

    def _detect(self, image: Image, grey: Grey, t_ns: int) -> None:
        """Takes up faces that are not followed yet: as many as there is room for, else one that insisted."""
        found = sorted(self._detector.detect(image), key=lambda face: -_prominence(face.box, image))
        others = [face for face in found if not self._overlaps(face.box, _SAME_PLACE)]
        full = len(self._followed) == self._most
        if full:
            smallest = min(self._followed, key=lambda face: _area(_box(face.look.landmarks)))
            least = LARGER * _area(_box(smallest.look.landmarks))
            others = [face for face in others if _area(face.box) > least]
            self._insisted = self._insisted + 1 if others else 0
            if self._insisted < INSISTENCE:
                return
        for face in others:
            look = self._take_up(face, grey)
            if look is None or self._overlaps(_box(look.landmarks), _ONE_FACE):
                continue
            if full:
                self._followed.remove(smallest)
            self._followed.append(_Followed(self._number(look, t_ns), look, t_ns))
            self._insisted = 0
            if len(self._followed) == self._most:
                return

    def _number(self, look: Look, t_ns: int) -> int:
        """That of a face lost a moment ago in the same place, else a new one."""
        for face in self._lost:
            if t_ns - face.seen_ns < SAME_FACE_NS and _overlap(_box(look.landmarks), face.box) > _SAME_PLACE:
                self._lost.remove(face)
                return face.track
        self._tracks += 1
        return self._tracks - 1

    def _take_up(self, face: Detection, grey: Grey) -> Look | None:
        """The face, if the landmark network agrees that it is one, at a second look framed by the first."""
        points = face.landmarks
        if points is None:
            points = self._engine.look(grey, box_framing(face.box)).landmarks
        if not _plausible(points, grey):
            return None
        look = self._engine.look(grey, face_framing(points))
        return look if look.presence >= FOUND and _plausible(look.landmarks, grey) else None


def _plausible(landmarks: Points, grey: Grey) -> bool:
    """Neither collapsed nor larger than the picture can hold."""
    return 4 < reach(landmarks) < max(grey.shape)


def _box(landmarks: Points) -> Box:
    side = FACE_SIDE * reach(landmarks)
    x, y = face_framing(landmarks).centre - side / 2
    return float(x), float(y), side, side


def _prominence(box: Box, image: Image) -> float:
    """Area, halved at the picture's edge: who sits in front of the camera is large and central."""
    x, y, width, height = box
    off_x = abs((x + width / 2) / image.shape[1] - 0.5)
    off_y = abs((y + height / 2) / image.shape[0] - 0.5)
    return _area(box) * (1 - max(off_x, off_y))


def _area(box: Box) -> float:
    return box[2] * box[3]


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(across, 0.0) * max(down, 0.0)
    return shared / (_area(a) + _area(b) - shared) if shared else 0.0
