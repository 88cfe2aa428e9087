"""Speech to compare two engines by: over a thousand frames of hearsee's own talker, in quiet and in noise.

Noise brings words to the edge of being misheard, where a small error of an engine shows first.
"""

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from engines.engine import Arrays, Engine, ModelError, OnnxRuntimeEngine, next_state, zero_state
from engines.speech.crops import CROP_SIZE
from engines.speech.features import LogMel
from engines.speech.lips import crop_clip
from nodes.runtime.messages import CHUNK_FRAMES, CHUNK_SAMPLES, MOUTH_SIZE, Audio
from nodes.runtime.node import Context
from nodes.sources.media import Media

TALKER = Path(__file__).parents[2] / "nodes" / "sources" / "talker" / "talker.mp4"
# Of the noise against the speech in each pass, and how far the mouth is off centre, in pixels.
PASSES: list[tuple[float | None, tuple[int, int]]] = [
    (None, (0, 0)),
    *((30.0 - 3 * i, ((-1) ** i * i, i % 3)) for i in range(9)),
]
READ_S = 20.0


@cache
def _talker() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """samples float32 [n * 2560], mouths uint8 [n, 4, 112, 112], quality float32 [n, 4]."""
    samples = read_sound()
    crops, quality, _ = crop_clip(TALKER)
    chunks = min(len(samples) // CHUNK_SAMPLES, len(crops) // CHUNK_FRAMES)
    frames = chunks * CHUNK_FRAMES
    mouths = np.stack(crops[:frames]).reshape(chunks, CHUNK_FRAMES, CROP_SIZE, CROP_SIZE)
    valid = np.array(quality[:frames], np.float32).reshape(chunks, CHUNK_FRAMES)
    return samples[: chunks * CHUNK_SAMPLES], mouths, valid


def read_sound() -> np.ndarray:
    media = Media(path=str(TALKER), speed=0)
    media.open(Context(name="rehearsal", live=False))
    pieces: list[np.ndarray] = []
    end = time.monotonic() + READ_S
    try:
        while not media.finished:
            if time.monotonic() > end:
                raise ModelError(f"{TALKER}: cannot be read in {READ_S:.0f} s; restore the file")
            messages = media.step([])
            pieces += [message.samples for message in messages if isinstance(message, Audio)]
            if not messages:
                time.sleep(0.001)
    finally:
        media.close()
    if not pieces:
        raise ModelError(f"{TALKER}: no sound in it; restore the file")
    return np.concatenate(pieces)


def rehearsal(engine: Engine, folder: Path) -> Iterator[Arrays]:
    """Chunk after chunk of input, without the state, for the speech engine that the metadata says it is.

    folder: where the two engines are whose encodings the fusion takes.
    Raises ModelError where it is none of the three.
    """
    name = engine.metadata.get("name", "")
    if name not in ("audio", "video", "fusion"):
        raise ModelError(f"{folder}: a model of tokens named {name!r} has no speech to be compared by")
    for snr_db, (down, right) in PASSES:
        if name == "audio":
            yield from _sound(snr_db)
        elif name == "video":
            yield from _lips(down, right)
        else:
            yield from _encodings(folder, snr_db, down, right)


def _sound(snr_db: float | None) -> Iterator[Arrays]:
    samples, _, _ = _talker()
    if snr_db is not None:
        noise = np.random.default_rng(round(snr_db)).standard_normal(len(samples)).astype(np.float32)
        samples = samples + noise * np.std(samples) * np.float32(10 ** (-snr_db / 20))
    mel = LogMel()
    for chunk in samples.reshape(-1, CHUNK_SAMPLES):
        yield {"features": mel.push(chunk)[None]}


def _lips(down: int, right: int) -> Iterator[Arrays]:
    _, mouths, valid = _talker()
    top, left = (CROP_SIZE - MOUTH_SIZE) // 2 + down, (CROP_SIZE - MOUTH_SIZE) // 2 + right
    cut = mouths[:, :, top : top + MOUTH_SIZE, left : left + MOUTH_SIZE]
    for crops, quality in zip(cut, valid, strict=True):
        yield {"mouths": np.ascontiguousarray(crops)[None], "valid": quality[None]}


def _encodings(folder: Path, snr_db: float | None, down: int, right: int) -> Iterator[Arrays]:
    audio, video = OnnxRuntimeEngine(folder / "audio.onnx"), OnnxRuntimeEngine(folder / "video.onnx")
    hearing, seeing = zero_state(audio), zero_state(video)
    for sound, lips in zip(_sound(snr_db), _lips(down, right), strict=True):
        heard, seen = audio.run({**sound, **hearing}), video.run({**lips, **seeing})
        hearing, seeing = next_state(heard), next_state(seen)
        yield {
            "audio": heard["encoding"],
            "video": seen["encoding"],
            "audio_valid": np.ones_like(lips["valid"]),
            "video_valid": lips["valid"],
        }
