"""Makes talker.mp4, the clip a new user sees first, and folders of clips of other rendered people.

    python -m nodes.sources.talker.generate                        talker.mp4 and talker.json beside this file
    python -m nodes.sources.talker.generate --many N OUT_DIR       N clips labelled as GRID's are

Needs the `train` extra and Debian's flite and espeak-ng (to play talker.mp4, which is there, needs neither).
"""

import json
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from engines.command import command
from engines.speech import espeak, flite
from engines.speech.corpus import synthesiser_versions
from engines.speech.sentences import grid_sentence
from engines.speech.synthetic import espeak_variants
from engines.speech.vocabulary import DIGITS
from engines.speech.voices import RATE, Speech, trim
from nodes.sources.talker.performance import FRAME_RATE, render_clip
from nodes.sources.talker.visemes import Word

_TALKER_SEED = 8
_TALKER_VOICE = "slt"
_SENTENCES = ("place blue at f two now", "set green with m nine please")
_PAUSE = 0.7  # s between the sentences, long enough to end the first
_CLIP_SECONDS = 3.0  # of a GRID clip
_ALIGN_UNITS = 25_000  # a second


def place(pieces: Iterable[tuple[float, Speech]], seconds: float) -> Speech:
    """One track of `seconds` with each piece's first sample at its time."""
    samples = np.zeros(round(seconds * RATE), np.float32)
    words: list[Word] = []
    for at, speech in pieces:
        start = round(at * RATE)
        samples[start : start + len(speech.samples)] += speech.samples[: len(samples) - start]
        words += [(text, start / RATE + begin, start / RATE + end) for text, begin, end in speech.words]
    return Speech(samples, tuple(words))


def write_clip(
    path: Path, pictures: Iterable[NDArray[np.uint8]], sound: NDArray[np.float32], crf: int = 17
) -> None:
    """H.264 at 25 pictures a second and AAC, sample 0 and the first picture's start both at time 0."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        # One thread and no B-frames: the same file every time, and times that start at 0.
        options = {"crf": str(crf), "preset": "medium", "bf": "0", "threads": "1"}
        video = container.add_stream("libx264", rate=FRAME_RATE, options=options)
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 48_000
        for index, picture in enumerate(pictures):
            if index == 0:
                video.height, video.width, video.pix_fmt = *picture.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(sound[None, :], "fltp", "mono")
        heard.sample_rate, heard.pts = RATE, 0
        container.mux(audio.encode(heard))
        container.mux(audio.encode(None))


def make_talker(folder: Path, seed: int = _TALKER_SEED) -> None:
    """Writes talker.mp4 and talker.json to `folder`."""
    speaker = flite.synthesiser()
    said = [trim(speaker.say(text.split(), _TALKER_VOICE, stretch=0.92), 0.02) for text in _SENTENCES]
    pieces, at = [], 0.4
    for speech in said:
        pieces.append((at, speech))
        at += len(speech.samples) / RATE + _PAUSE
    seconds = round((at - _PAUSE + 0.5) * FRAME_RATE) / FRAME_RATE
    track_ = place(pieces, seconds)
    samples = track_.samples * (0.5 / np.abs(track_.samples).max())
    write_clip(folder / "talker.mp4", render_clip(track_.words, seconds, seed), samples)
    facts = {
        "sentences": list(_SENTENCES),
        "words": [[text, round(start, 3), round(end, 3)] for text, start, end in track_.words],
        "av_offset_ms": 0,
        "fps": FRAME_RATE,
        "seconds": seconds,
        "seed": seed,
        "voice": f"flite {_TALKER_VOICE}",
        "tools": {**synthesiser_versions(), "opencv-python": version("opencv-python"), "av": version("av")},
    }
    (folder / "talker.json").write_text(json.dumps(facts, indent=1) + "\n")


def grid_name(words: list[str]) -> str:
    """ "bbaf2n" for bin blue at f two now; "z" is the digit zero."""
    command, colour, preposition, letter, digit, adverb = words
    number = "z" if digit == "zero" else str(DIGITS.index(digit))
    return command[0] + colour[0] + preposition[0] + letter + number + adverb[0]


def clip_name(words: list[str]) -> str:
    """Never that of a recording: training takes both, and tells them apart by name."""
    return f"rendered-{grid_name(words)}"


def make_grid_clip(folder: Path, words: list[str], seed: int) -> None:
    """Someone drawn by `seed` says `words`: NAME.mp4 and NAME.align in `folder`."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, 1])
    speech = trim(_random_voice(words, rng), 0.05)
    spare = max(_CLIP_SECONDS - len(speech.samples) / RATE - 0.2, 0.1)
    said = place([(float(rng.uniform(0.1, spare)), speech)], _CLIP_SECONDS)
    samples = said.samples * np.float32(0.5 / np.abs(said.samples).max())
    path = folder / f"{clip_name(words)}.mp4"
    write_clip(path.with_suffix(".part"), render_clip(said.words, _CLIP_SECONDS, seed), samples, crf=25)
    edges = [
        (text, round(start * _ALIGN_UNITS), round(end * _ALIGN_UNITS)) for text, start, end in said.words
    ]
    lines, last = [], 0
    for text, start, end in edges:
        if start > last:
            lines.append(f"{last} {start} sil")
        lines.append(f"{start} {end} {text}")
        last = end
    lines.append(f"{last} {round(_CLIP_SECONDS * _ALIGN_UNITS)} sil")
    path.with_suffix(".align").write_text("\n".join(lines) + "\n")
    path.with_suffix(".part").rename(path)


def _random_voice(words: list[str], rng: np.random.Generator) -> Speech:
    if rng.random() < 0.5:
        voice = str(rng.choice(flite.VOICES))
        return flite.synthesiser().say(words, voice, stretch=float(rng.uniform(0.75, 1.1)))
    variant = rng.choice(espeak_variants())
    return espeak.synthesiser().say(words, f"gmw/en+{variant}", rate=int(rng.integers(140, 230)))


def make_many(folder: Path, count: int, seed: int) -> None:
    """`count` clips of different people with different sentences; those that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    plan: dict[str, list[str]] = {}
    while len(plan) < count:
        words = grid_sentence(rng)
        plan[clip_name(words)] = words
    jobs = [(words, seed * 1_000_000 + index) for index, (name, words) in enumerate(plan.items())
            if not (folder / f"{name}.mp4").exists()]  # fmt: skip
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        running = [pool.submit(make_grid_clip, folder, words, clip_seed) for words, clip_seed in jobs]
        for done in track(as_completed(running), "talkers", total=len(running)):
            done.result()


def main(
    out_dir: Annotated[Path, typer.Argument(help="Where the clips go.")] = Path(__file__).parent,
    many: Annotated[
        int, typer.Option(help="Instead of talker.mp4: this many GRID-like clips.", min=0, max=10_000)
    ] = 0,
    seed: int = _TALKER_SEED,
) -> None:
    """Renders people who speak known words."""
    if many:
        make_many(out_dir, many, seed)
    else:
        make_talker(out_dir, seed)


if __name__ == "__main__":
    command(main)
