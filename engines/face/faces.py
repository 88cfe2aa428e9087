"""Faces with five points to learn from: FER2013 and GRID pictures, the points given by YuNet.

The landmarks are YuNet's opinion, kept where it is confident.  FER2013's own 48x48 pictures are enlarged and
given a border for it to see.  GRID clips are split by the checksum of their names, FER2013 by its own
folders.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from engines.speech.recordings import grid_split
from nodes.perception.crop import (
    LEFT_EYE,
    LEFT_MOUTH,
    NOSE,
    RIGHT_EYE,
    RIGHT_MOUTH,
    Framing,
    Grey,
    Points,
    face_framing,
    reach,
)
from nodes.perception.detect import YuNet
from nodes.runtime.errors import UserError

# With the data to train on, not in the store: the weights that ship were taught by this very file.
TEACHER = Path(__file__).parents[3] / "shared" / "models" / "face_detection_yunet_n_640_640.onnx"
CONFIDENT = 0.8
# Pictures are shown to YuNet larger than live: its landmarks are the finer for it.
_MIN_FACE = 24 / 256
# A picture that a face fills is enlarged for YuNet to so many pixels, and given a border to see around it.
_SEEN, _BORDER = 192, 32
# GRID faces are kept at this many pixels a reach, with room around them.
_GRID_REACH, _GRID_SIZE = 48.0, 192
_PICTURES_A_CLIP = 8


@dataclass(frozen=True)
class Faces:
    """images: uint8 [h, w] each.  points: float32 [n, 5, 2] in their pixels.

    groups: by name, what must stay together when they are split.
    backgrounds: uint8 [m, 64, 64] without a face.
    """

    images: list[Grey]
    points: NDArray[np.float32]
    groups: list[str]
    backgrounds: NDArray[np.uint8]

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(
                file,
                pixels=np.concatenate([image.ravel() for image in self.images]),
                sizes=np.array([image.shape for image in self.images], np.int64),
                points=self.points,
                groups=np.array(self.groups, np.str_),
                backgrounds=self.backgrounds,
            )

    @staticmethod
    def load(path: Path) -> "Faces":
        with np.load(path, allow_pickle=False) as file:
            sizes = file["sizes"]
            flat = np.split(file["pixels"], np.cumsum(sizes.prod(1))[:-1])
            images = [pixels.reshape(size) for pixels, size in zip(flat, sizes, strict=True)]
            return Faces(images, file["points"], file["groups"].tolist(), file["backgrounds"])


def open_teacher() -> YuNet:
    """Raises UserError where its file is missing."""
    return YuNet(TEACHER, _MIN_FACE, CONFIDENT)


def opinion(teacher: YuNet, grey: Grey) -> Points | None:
    """The landmarks [5, 2] of the face that fills ``grey``; None unless the teacher is sure of just one."""
    enlarge = max(1, _SEEN // grey.shape[1])
    large = cv2.resize(grey, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE)
    faces = teacher.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
    if len(faces) != 1 or faces[0].landmarks is None:
        return None
    return (faces[0].landmarks - _BORDER + 0.5) / enlarge - 0.5


def decode(compressed: NDArray[Any]) -> Grey:
    """The grey picture in a JPEG file.  ValueError where there is none."""
    grey = cv2.imdecode(compressed, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError("not a picture")
    return grey


def fer2013(archive: Path, folder: str, limit: int | None = None) -> Faces:
    """The faces of ``folder`` ("Training" or "PublicTest") in FER2013's zip file."""
    if not archive.is_file():
        raise UserError(
            f"{archive}: no such file; give the folder that holds fer2013.zip and grid_s1 as --data"
        )
    detector = open_teacher()
    images, points, groups = [], [], []
    with zipfile.ZipFile(archive) as files:
        names = sorted(n for n in files.namelist() if n.startswith(folder + "/") and n.endswith(".jpg"))
        # A stride, not a prefix: the names are sorted by emotion.
        names = names[:: max(1, len(names) // limit)] if limit else names
        for name in track(names, f"FER2013 {folder}"):
            grey = decode(np.frombuffer(files.read(name), np.uint8))
            landmarks = opinion(detector, grey)
            if landmarks is None:
                continue
            images.append(grey)
            points.append(landmarks)
            groups.append(name)
    return Faces(images, np.array(points, np.float32), groups, np.zeros((0, 64, 64), np.uint8))


def grid(folder: Path, validation: bool, limit: int | None = None) -> Faces:
    """Pictures of the GRID clips in ``folder`` on one side of the split, and of what is behind him."""
    side = "validation" if validation else "train"
    clips = [clip for clip in sorted(folder.glob("*.mp4")) if grid_split(clip) == side]
    if not clips:
        raise UserError(
            f"{folder}: no clips there; give the folder that holds fer2013.zip and grid_s1 as --data"
        )
    detector = open_teacher()
    images, points, groups, backgrounds = [], [], [], []
    for clip in track(clips[:limit], f"GRID {'validation' if validation else 'training'}"):
        with av.open(str(clip), metadata_errors="replace") as container:
            pictures = [p.to_ndarray(format="bgr24") for p in container.decode(video=0)]
        for image in pictures[:: max(1, len(pictures) // _PICTURES_A_CLIP)]:
            faces = detector.detect(image)
            if len(faces) != 1 or faces[0].landmarks is None:
                continue
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            crop, inside = _surroundings(grey, faces[0].landmarks)
            images.append(crop)
            points.append(inside)
            groups.append(clip.stem)
        backgrounds += _beside_the_face(grey, faces[0].box) if faces else []
    return Faces(
        images, np.array(points, np.float32), groups, np.array(backgrounds, np.uint8).reshape(-1, 64, 64)
    )


def join(*parts: Faces) -> Faces:
    return Faces(
        [image for part in parts for image in part.images],
        np.concatenate([part.points for part in parts]),
        [group for part in parts for group in part.groups],
        np.concatenate([part.backgrounds for part in parts]),
    )


def _surroundings(grey: Grey, landmarks: Points) -> tuple[Grey, Points]:
    """A square about the face at the scale it is kept at, and the landmarks in it."""
    framing = Framing(face_framing(landmarks).centre, _GRID_REACH / reach(landmarks), 0.0, _GRID_SIZE)
    return framing.cut(grey), framing.inside(landmarks)


def _beside_the_face(grey: Grey, box: tuple[float, float, float, float]) -> list[Grey]:
    """Squares to the left, to the right of and under the face."""
    x, y, width, height = (int(v) for v in box)
    parts = [grey[y : y + height, : x - 8], grey[y : y + height, x + width + 8 :], grey[y + height + 8 :, :]]
    return [
        cv2.resize(p[:n, :n], (64, 64), interpolation=cv2.INTER_AREA)
        for p in parts
        if (n := min(p.shape)) >= 24
    ]


def mirrored(image: Grey, points: Points) -> tuple[Grey, Points]:
    """The face seen in a mirror: the person's left becomes the right."""
    flipped = points[[LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH]].copy()
    flipped[:, 0] = image.shape[1] - 1 - flipped[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), flipped
