"""Real pictures for the tests of the face node: GRID clips, where the shared data lies beside the project."""

import zlib
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from nodes.perception.face import Face
from nodes.runtime import messages
from nodes.runtime.messages import FRAME_NS, Gap, Picture
from nodes.runtime.node import Context

ROOT = Path(__file__).parents[2]
GRID = ROOT / "../shared/data/grid_s1"
YUNET = ROOT / "../shared/models/face_detection_yunet_n_640_640.onnx"
TALKER = ROOT / "nodes/sources/talker/talker.mp4"


def pictures_of(path):
    """Every picture of a file: list of uint8 [h, w, 3] BGR."""
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]


@cache
def clip(index=0):
    """The pictures of one validation clip, read once."""
    names = [p for p in sorted(GRID.glob("*.mp4")) if zlib.crc32(p.stem.encode()) % 10 == 0]
    if not names:
        pytest.skip(f"{GRID} is not here")
    return pictures_of(names[index])


def messages_of(images, epoch=0, first=0):
    """The images as a camera at 25 Hz sends them."""
    return [
        Picture(
            stream="camera",
            seq=first + i,
            epoch=epoch,
            t_start_ns=(first + i) * FRAME_NS,
            t_end_ns=(first + i + 1) * FRAME_NS,
            image=image,
        )
        for i, image in enumerate(images)
    ]


def opened(**options):
    node = Face(**options)
    node.open(Context(name="face"))
    return node


def run(images, node=None, epoch=0, first=0):
    """What the node answers to the images, one step a picture."""
    node = node or opened(detector="haar")
    return [answer for message in messages_of(images, epoch, first) for answer in node.step([message])]


def faces(answers):
    return [a for a in answers if isinstance(a, messages.Face)]


def gaps(answers):
    return [a for a in answers if isinstance(a, Gap)]


def empty_room(image):
    """The picture without its speaker: the wall beside him everywhere."""
    return cv2.resize(image[:100, :60], (image.shape[1], image.shape[0]))


def shifted(image, x, y):
    """The picture moved right and down, its edge repeated."""
    height, width = image.shape[:2]
    rows = np.clip(np.arange(height) - y, 0, height - 1)
    columns = np.clip(np.arange(width) - x, 0, width - 1)
    return np.ascontiguousarray(image[rows][:, columns])
