"""Which face is followed: found once, then kept from picture to picture by its landmarks."""

from dataclasses import dataclass

from nodes.perception.crop import FACE_SIDE, Grey, Points, box_framing, face_framing, reach
from nodes.perception.detect import Box, Detection, Detector, Image
from nodes.perception.landmarks import LandmarkEngine, Look
from nodes.perception.smooth import LandmarkFilter

# Presence that takes a face up, and below which it is lost: two thresholds, so that it does not flicker.
FOUND, LOST = 0.7, 0.4
# Pictures between two detections while a face is followed.
DETECT_EVERY = 12
# With no face in sight a detector looks at every third picture, not at each: an empty room must stay cheap.
SEARCH_EVERY = 3
# Another face must be this much larger, in this many detections on end, to be taken up instead.
LARGER, INSISTENCE = 1.5, 2
# A face lost for less than this and found again in the same place is still the same one.
SAME_FACE_NS = 1_000_000_000
_SAME_PLACE = 0.3


@dataclass(frozen=True)
class Tracked:
    """landmarks: float32 [5, 2], smoothed.  box: the upright square about the face.  visible: as in ``Look``.

    track: counts up from 0 with every other face taken up.
    """

    landmarks: Points
    box: Box
    visible: Points
    track: int


class Tracker:
    """Every ``detect_every`` pictures a detection looks for a larger face.

    Between detections the followed one costs one look of the landmark network a picture.
    """

    def __init__(self, detector: Detector, engine: LandmarkEngine, detect_every: int = DETECT_EVERY) -> None:
        self._detector, self._engine, self._detect_every = detector, engine, detect_every
        self._filter = LandmarkFilter()
        self._followed: Points | None = None
        self._track = -1
        self._since_detection = SEARCH_EVERY
        self._insisted = 0
        self._last_box: Box = (0.0, 0.0, 0.0, 0.0)
        self._last_ns: int | None = None

    def update(self, image: Image, grey: Grey, t_ns: int) -> Tracked | None:
        """The followed face in a picture taken at ``t_ns``, None where there is none.

        image: uint8 [h, w, 3] BGR.  grey: uint8 [h, w], the same picture.
        """
        followed, self._followed = self._followed, None
        look = None if followed is None or not self._seen_lately(t_ns) else self._follow(grey, followed)
        lost_now = look is None and followed is not None
        self._since_detection += 1
        if lost_now or self._since_detection >= (SEARCH_EVERY if look is None else self._detect_every):
            self._since_detection = 0
            look = self._detect(image, grey, look, t_ns)
        if look is None:
            return None
        self._followed = look.landmarks
        landmarks = self._filter.update(look.landmarks, t_ns)
        self._last_box, self._last_ns = _box(landmarks), t_ns
        return Tracked(landmarks, self._last_box, look.visible, self._track)

    def forget(self) -> None:
        """Another recording or camera from here on: look again, and take what is found for another face."""
        self._followed, self._last_ns = None, None
        self._since_detection = SEARCH_EVERY

    def _seen_lately(self, t_ns: int) -> bool:
        return self._last_ns is not None and t_ns - self._last_ns < SAME_FACE_NS

    def _follow(self, grey: Grey, landmarks: Points) -> Look | None:
        look = self._engine.look(grey, face_framing(landmarks))
        return look if look.presence >= LOST and _plausible(look.landmarks, grey) else None

    def _detect(self, image: Image, grey: Grey, followed: Look | None, t_ns: int) -> Look | None:
        """The face to follow from here on: ``followed`` unless another has insisted, the best one if None."""
        faces = sorted(self._detector.detect(image), key=lambda face: -_prominence(face, image))
        if followed is not None:
            own = _box(followed.landmarks)
            faces = [
                f for f in faces if _overlap(f.box, own) < _SAME_PLACE and _area(f.box) > LARGER * _area(own)
            ]
            self._insisted = self._insisted + 1 if faces else 0
            if self._insisted < INSISTENCE:
                return followed
        for face in faces:
            look = self._take_up(face, grey)
            if look is not None:
                self._filter, self._insisted = LandmarkFilter(), 0
                same_place = _overlap(_box(look.landmarks), self._last_box) > _SAME_PLACE
                self._track += not (followed is None and same_place and self._seen_lately(t_ns))
                return look
        return followed

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


def _prominence(face: Detection, image: Image) -> float:
    """Area, halved at the picture's edge: who sits in front of the camera is large and central."""
    x, y, width, height = face.box
    off_x = abs((x + width / 2) / image.shape[1] - 0.5)
    off_y = abs((y + height / 2) / image.shape[0] - 0.5)
    return _area(face.box) * (1 - max(off_x, off_y))


def _area(box: Box) -> float:
    return box[2] * box[3]


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(across, 0.0) * max(down, 0.0)
    return shared / (_area(a) + _area(b) - shared) if shared else 0.0
