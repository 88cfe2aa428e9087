"""Real speech with known word times: GRID clips and the Free Spoken Digit Dataset.

GRID: Cooke, Barker, Cunningham, Shao, J. Acoust. Soc. Am. 120 (2006), https://zenodo.org/records/3625687.
FSDD: https://github.com/Jakobovski/free-spoken-digit-dataset.
"""

import wave
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from engines.speech.forced import align
from engines.speech.layouts import Clip, Times, held_out, parse_align
from engines.speech.sentences import DIGITS
from engines.speech.voices import RATE, Speech, to_rate
from nodes.runtime.errors import UserError


def grid_clips(folder: Path) -> list[Path]:
    """The .mp4 clips that have an .align beside them, by name."""
    return sorted(path for path in folder.glob("*.mp4") if path.with_suffix(".align").exists())


def grid_split(clip: Path) -> str:
    """ "validation" for a tenth of the names by checksum, else "train"."""
    return "validation" if held_out(clip.stem) else "train"


def read_align(path: Path) -> tuple[tuple[str, float, float], ...]:
    """The words of a GRID .align file as (text, start, end) in seconds, silences left out."""
    return parse_align(path.read_text(), str(path))


def read_sound(path: Path, *, mu_law: bool = False) -> NDArray[np.float32]:
    """A file's sound, mono 16 kHz; sample 0 is the file's beginning, where its pictures begin too.

    mu_law: the file is nothing but G.711 samples at 8 kHz.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    pieces: list[NDArray[np.int16]] = []
    try:
        kind, options = ("mulaw", {"sample_rate": "8000"}) if mu_law else (None, None)
        with av.open(str(path), "r", kind, options, metadata_errors="replace") as container:
            first, begin = None, (container.start_time or 0) / 1e6
            for frame in container.decode(audio=0):
                first = (frame.time or 0.0) - begin if first is None else first
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except (av.FFmpegError, IndexError) as error:
        raise UserError(f"{path}: no sound could be read ({error})") from None
    samples = to_rate(np.concatenate(pieces), RATE)
    late = round((first or 0.0) * RATE)
    return np.pad(samples, (late, 0)) if late > 0 else samples[-late:]


def read_clip(clip: Clip) -> Speech:
    """A clip's sound, from where it has some, and its words, their times found where they are not known.

    Raises UserError where either cannot be read, ValueError where the words do not go with the sound.
    """
    with ExitStack() as stack:
        try:
            samples = read_sound(stack.enter_context(clip.media.on_disk()))
        except UserError:
            if clip.sound is None:
                raise
            samples = read_sound(stack.enter_context(clip.sound.on_disk()))
    return _speech(samples, clip.times() or align(samples, clip.words()))


def _speech(samples: NDArray[np.float32], words: Times) -> Speech:
    seconds = len(samples) / RATE
    return Speech(samples, tuple((text, start, min(end, seconds)) for text, start, end in words))


def fsdd_files(folder: Path) -> dict[str, list[Path]]:
    """Speaker -> files, both in order of name."""
    speakers: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("[0-9]_*_*.wav")):
        speakers.setdefault(path.stem.split("_")[1], []).append(path)
    return speakers


def read_digit(path: Path) -> Speech:
    """One FSDD recording, up from 8 kHz; the word lasts where its sound is above 3 % of the loudest 10 ms."""
    with wave.open(str(path)) as file:
        samples = to_rate(np.frombuffer(file.readframes(file.getnframes()), np.int16), file.getframerate())
    hop = RATE // 100
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    loudness = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(loudness > 0.03 * loudness.max(initial=1e-6))
    if not len(loud):
        return Speech(samples, ())
    word = DIGITS[int(path.stem[0])]
    return Speech(samples, ((word, loud[0] * hop / RATE, (loud[-1] + 1) * hop / RATE),))


def digit_string(digits: list[Speech], rng: np.random.Generator) -> Speech:
    """Joins recordings of one speaker, trimmed to their words and levelled, with gaps of 20 to 250 ms."""
    pieces, words, position = [np.zeros(RATE // 10, np.float32)], [], RATE // 10
    for digit in digits:
        ((text, start, end),) = digit.words
        piece = digit.samples[round(start * RATE) : round(end * RATE)].copy()
        piece *= 0.08 * rng.uniform(0.8, 1.25) / max(float(np.sqrt(np.mean(piece**2))), 1e-4)
        fade = np.linspace(0, 1, 80, dtype=np.float32)  # 5 ms, so that a cut makes no click
        piece[:80] *= fade
        piece[-80:] *= fade[::-1]
        gap = np.zeros(int(rng.uniform(0.02, 0.25) * RATE), np.float32)
        words.append((text, position / RATE, (position + len(piece)) / RATE))
        pieces += [piece, gap]
        position += len(piece) + len(gap)
    return Speech(np.concatenate(pieces), tuple(words))
