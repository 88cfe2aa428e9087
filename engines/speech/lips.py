"""Mouth crops of talking clips, cut as the live pipeline cuts them, for training the lip reader.

``python -m engines.speech.lips CLIPS_DIR OUT_DIR`` writes for every clip, in any layout that
``engines.speech.layouts`` knows, an
``OUT_DIR/NAME.mp4`` of grey 112x112 pictures, one for each picture of the clip, at the scale of the live
88x88
crop: the margin is for shifting and cutting while training.  ``OUT_DIR/index.jsonl`` has one line a clip:
``name``, ``frames``, ``fps`` and ``quality``, that of ``messages.Face`` for each picture (0 where no face was
found: the last crop stands in).  Stopped and started again it goes on with the clips that are not in the
index.
"""

import json
import multiprocessing
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engines.command import command
from engines.speech.crops import CROP_SIZE, write_crops
from engines.speech.layouts import PICTURES, Clip, find_clips
from nodes.perception.crop import Grey, mouth_framing
from nodes.perception.detect import MIN_FACE, open_detector
from nodes.perception.landmarks import LandmarkEngine
from nodes.perception.quality import quality
from nodes.perception.track import DETECT_EVERY, Tracker
from nodes.runtime.errors import UserError


def crop_clip(clip: Path) -> tuple[list[Grey], list[float], Fraction]:
    """Crops uint8 [112, 112], a quality for each, pictures a second.  UserError where no face is."""
    tracker = Tracker(open_detector("auto", "", MIN_FACE), LandmarkEngine(), DETECT_EVERY)
    crops: list[Grey | None] = []
    qualities: list[float] = []
    with av.open(str(clip), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        fps = stream.average_rate or Fraction(25)
        for picture in container.decode(stream):
            image = picture.to_ndarray(format="bgr24")
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            faces = tracker.update(image, grey, round((picture.time or 0) * 1e9))
            if not faces:
                crops.append(crops[-1] if crops else None)
                qualities.append(0.0)
                continue
            face = faces[0]
            framing = mouth_framing(face.landmarks)
            worth = quality(framing.cut(grey), framing, face.landmarks, face.visible, image.shape)
            crops.append(mouth_framing(face.landmarks, CROP_SIZE).cut(grey))
            qualities.append(round(worth, 3))
    first = next((crop for crop in crops if crop is not None), None)
    if first is None:
        raise UserError(f"{clip}: no face in it; leave it out")
    return [first if crop is None else crop for crop in crops], qualities, fps


def _work(job: tuple[Clip, Path]) -> tuple[str, dict[str, Any] | str]:
    clip, out = job
    try:
        with clip.media.on_disk() as path:
            crops, qualities, fps = crop_clip(path)
    except (UserError, av.error.FFmpegError) as error:
        return clip.name, str(error)
    write_crops(out / f"{clip.id}.mp4", crops, fps)
    return clip.name, {"name": clip.id, "frames": len(crops), "fps": float(fps), "quality": qualities}


def _start_worker() -> None:
    os.nice(10)
    cv2.setNumThreads(1)


def main(clips: Path, out: Path, workers: int = 2) -> None:
    """Cut the mouths out of every clip in CLIPS into OUT."""
    found = [clip for clip in find_clips(clips) if clip.media.place.suffix.lower() in PICTURES]
    out.mkdir(parents=True, exist_ok=True)
    index = out / "index.jsonl"
    done = {json.loads(line)["name"] for line in index.read_text().splitlines()} if index.exists() else set()
    jobs = [(clip, out) for clip in found if clip.id not in done]
    columns = (
        TextColumn("mouths"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with (
        multiprocessing.get_context("spawn").Pool(workers, _start_worker) as pool,
        Progress(*columns) as progress,
        index.open("a") as lines,
    ):
        for name, result in progress.track(pool.imap(_work, jobs), total=len(jobs)):
            if isinstance(result, str):
                progress.console.print(f"skipped {name}: {result}")
            else:
                lines.write(json.dumps(result) + "\n")
                lines.flush()


if __name__ == "__main__":
    command(main)
