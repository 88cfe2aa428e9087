"""How often is the face found, how still is its crop, what does it cost?  ``python -m benchmarks.face``.

On validation clips of GRID (crc32 of the name, modulo 10, is 0), for Haar and for YuNet.  Jitter is the mean
step of the mouth's centre from picture to picture in pixels of the 88-pixel crop; a head moves, so not zero.
``teacher`` is how far the landmarks are from YuNet's own, in percent of the distance between the eyes.

The second table is of the detectors alone, on every fifth picture: as it is, turned by so many degrees as if
the head leaned, and darkened.  A face is found when a box covers the one that YuNet sees in the same picture,
turned but not darkened and in finer detail (intersection over union at least 0.4: the two frame faces
differently).  Milliseconds there are of processor time.
"""

import time
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from engines.command import command
from engines.face.faces import TEACHER
from engines.speech.recordings import grid_split
from nodes.perception.crop import LEFT_EYE, MOUTH_SIDE, RIGHT_EYE, mouth_centre, reach
from nodes.perception.detect import MIN_FACE, Box, Detector, Haar, YuNet
from nodes.perception.face import Face
from nodes.runtime import messages
from nodes.runtime.node import Context

# Larger than the node's own detections: the comparison should have the better points.
_TEACHER_MIN_FACE = 0.09
FOLLOWED = ("detector", "found", "jitter, px", "teacher", "quality", "p50, ms", "p99, ms", "cores at 25 Hz")
# Degrees that the head leans, and how bright the picture is.
HARDER = {
    "as it is": (0, 1.0),
    "leaning 15": (15, 1.0),
    "leaning 30": (30, 1.0),
    "leaning 45": (45, 1.0),
    "dark": (0, 0.15),
}


def pictures(clip: Path) -> list[messages.Picture]:
    with av.open(str(clip)) as container:
        images = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    return [
        messages.Picture(
            stream="camera",
            seq=i,
            epoch=0,
            t_start_ns=i * messages.FRAME_NS,
            t_end_ns=(i + 1) * messages.FRAME_NS,
            image=image,
        )
        for i, image in enumerate(images)
    ]


def measure(detector: str, yunet: Path, clips: list[Path], teacher: YuNet) -> list[str]:
    """One row of the table."""
    found, seconds, cpu, jitter, apart, quality = [], [], 0.0, [], [], []
    for clip in clips:
        node = Face(detector=detector, yunet=str(yunet))
        node.open(Context(name="face"))
        before = None
        for picture in pictures(clip):
            start, spent = time.perf_counter(), time.process_time()
            face = node.step([picture])[0]
            seconds.append(time.perf_counter() - start)
            cpu += time.process_time() - spent
            found.append(isinstance(face, messages.Face))
            if not isinstance(face, messages.Face):
                before = None
                continue
            centre, unit = (
                mouth_centre(face.landmarks),
                MOUTH_SIDE * reach(face.landmarks) / messages.MOUTH_SIZE,
            )
            if before is not None:
                jitter.append(np.linalg.norm(centre - before) / unit)
            before = centre
            quality.append(face.quality)
            if picture.seq % 5 == 0:
                seen = teacher.detect(picture.image)
                if seen and seen[0].landmarks is not None:
                    wanted = seen[0].landmarks
                    eyes = np.linalg.norm(wanted[LEFT_EYE] - wanted[RIGHT_EYE])
                    apart.append(100 * np.linalg.norm(face.landmarks - wanted, axis=1).mean() / eyes)
        node.close()
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return [
        detector,
        f"{100 * np.mean(found):.2f} %",
        f"{np.mean(jitter):.2f}",
        f"{np.mean(apart):.1f} %",
        f"{np.mean(quality):.2f}",
        f"{p50:.1f}",
        f"{p99:.1f}",
        f"{25 * cpu / len(seconds):.2f}",
    ]


def measure_alone(detector: Detector, clips: list[Path], teacher: YuNet) -> list[str]:
    """The second table's row, without the name."""
    found: dict[str, list[bool]] = {name: [] for name in HARDER}
    seconds = []
    for picture in (p for clip in clips for p in pictures(clip)[::5]):
        for name, (lean, gain) in HARDER.items():
            height, width = picture.image.shape[:2]
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), lean, 1.0)
            image = cv2.warpAffine(picture.image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
            wanted = max(teacher.detect(image), key=lambda face: face.score, default=None)
            if wanted is None:
                continue
            start = time.thread_time()
            seen = detector.detect(cv2.convertScaleAbs(image, alpha=gain))
            seconds.append(time.thread_time() - start)
            found[name].append(any(overlap(face.box, wanted.box) >= 0.4 for face in seen))
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return [*(f"{100 * np.mean(values):.1f} %" for values in found.values()), f"{p50:.1f}", f"{p99:.1f}"]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def main(clips: int = 20, data: Path = Path("../shared/data/grid_s1"), yunet: Path = TEACHER) -> None:
    """One row for each detector, on the first CLIPS validation clips of GRID in DATA; YuNet from a file."""
    held_out = [clip for clip in sorted(data.glob("*.mp4")) if grid_split(clip) == "validation"][:clips]
    if not held_out:
        raise SystemExit(f"{data}: no GRID clips there; give their folder as --data")
    if not yunet.is_file():
        raise SystemExit(f"{yunet}: no YuNet there; pull it and give its path as --yunet")
    cv2.setNumThreads(1)
    teacher = YuNet(yunet, _TEACHER_MIN_FACE)
    title = f"{len(held_out)} clips, 360x288 at 25 Hz, min_face {MIN_FACE}"
    followed = Table(*FOLLOWED, title=f"found and followed: {title}")
    alone = Table("detector", *HARDER, "p50, ms", "p99, ms", title=f"the detector alone: {title}")
    for name, detector in (("haar", Haar(MIN_FACE)), ("yunet", YuNet(yunet, MIN_FACE))):
        followed.add_row(*measure(name, yunet, held_out, teacher))
        alone.add_row(name, *measure_alone(detector, held_out, teacher))
    Console(width=110).print(followed, alone)


if __name__ == "__main__":
    command(main)
