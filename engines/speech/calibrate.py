"""What a model's numbers are worth: ``python -m engines.speech.calibrate DATA``.

Each model's log-probabilities are divided by one temperature before a word's confidence is read off them (Guo
et al. 2017).  It is the one under which the words of half of the clips that were kept out of training are the
most likely to be right or wrong as they are; the expected calibration error is printed for the other half.
It changes no word: decoding does not use it.

Likeness.  How alike sound and lips are where they belong together depends on the training; it is measured on
the same clips, and the nodes take it as 1.

Both go into the metadata of the model files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import typer
from rich.console import Console
from rich.progress import Progress

from engines.command import command
from engines.engine import Arrays, Engine, Spec, open_engine
from engines.speech.decode import Greedy
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.measure import COLUMNS, choose
from engines.speech.evaluation.noises import KINDS, Backgrounds, Heard, spoken_part, usual
from engines.speech.evaluation.replay import record
from engines.speech.layouts import Clip, find_clips
from engines.speech.score import Calibration, calibration, right_words
from engines.speech.vocabulary import TOKENS
from nodes.perception.sync import Sync
from nodes.perception.transcribe import WEIGHTS
from nodes.perception.trust import SPOKEN
from nodes.runtime.messages import FRAME_NS

TEMPERATURES = np.geomspace(0.3, 5.0, 60)
CONDITIONS = (Heard(), *(Heard(kind, snr) for kind in KINDS for snr in (10.0, 0.0)))
MODELS = ("audio", "video", "fusion")


@dataclass(frozen=True)
class Said:
    """What a model made of one clip: log_probs float32 [T, V], and the words that were said."""

    log_probs: np.ndarray
    words: tuple[str, ...]

    def judged(self, temperature: float) -> tuple[list[float], list[bool]]:
        """The confidence of each word heard, and whether it is right."""
        times = [i * FRAME_NS for i in range(len(self.log_probs) + 1)]
        words = Greedy(TOKENS).push(self.log_probs, times, "", temperature)
        right = right_words(self.words, [word.text for word in words])
        return [word.confidence for word in words], right


class Listening:
    """Opens models that note what they answer: (name, outputs), in the order in which they were asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, Arrays]] = []

    def open(self, path: Path, require: Spec | None = None) -> Engine:
        return _Noting(path.stem, open_engine(path, require), self.answers)


class _Noting:
    def __init__(self, name: str, engine: Engine, answers: list[tuple[str, Arrays]]) -> None:
        self._name, self._engine, self._answers = name, engine, answers
        self.backend, self.metadata = engine.backend, engine.metadata
        self.inputs, self.outputs = engine.inputs, engine.outputs

    def run(self, feeds: Arrays) -> Arrays:
        outputs = self._engine.run(feeds)
        self._answers.append((self._name, outputs))
        return outputs


def listen(clip: Clip, backgrounds: Backgrounds, weights: str) -> dict[str, list[Said]]:
    """What each model makes of a clip: the sound and both in quiet and in noise, the lips once."""
    take, said = record(clip), dict[str, list[Said]]()
    spoken = spoken_part(take.samples, take.times)
    for condition in CONDITIONS:
        if condition.kind not in ("", *backgrounds.kinds):
            continue
        listening = Listening()
        sound = take.with_sound(backgrounds.add(clip, take.samples, spoken, condition))
        Hearing(weights, opener=listening.open).words(sound, take.faces)
        for name in MODELS:
            answers = [outputs["log_probs"][0] for of, outputs in listening.answers if of == name]
            if answers and not (name == "video" and condition.kind):
                log_probs = np.concatenate(answers)
                said.setdefault(name, []).append(Said(log_probs, take.words))
    return said


def fit(said: Sequence[Said]) -> float:
    """The temperature with the least negative log-likelihood of right and wrong; 1 without words."""

    def loss(temperature: float) -> float:
        sure, right = judged(said, temperature)
        likely = np.where(right, sure, 1 - np.array(sure)).clip(1e-4)
        return float(-np.log(likely).mean()) if len(sure) else 0.0

    return float(min(TEMPERATURES, key=lambda t: (loss(t), abs(np.log(t)))))


def judged(said: Sequence[Said], temperature: float) -> tuple[list[float], list[bool]]:
    """Of all of them."""
    pairs = [each.judged(temperature) for each in said]
    return [c for sure, _ in pairs for c in sure], [r for _, right in pairs for r in right]


def error(said: Sequence[Said], temperature: float) -> Calibration | None:
    return calibration(*judged(said, temperature))


def likeness(clip: Clip, weights: str) -> float | None:
    """The mean cosine of voice and lips when it is told last, in quiet; None where it never is."""
    take, listening, sync = record(clip), Listening(), Sync()
    Hearing(weights, opener=listening.open).words(take.sound, take.faces)
    sound: Arrays | None = None
    found: float | None = None
    for name, outputs in listening.answers:
        if name == "audio":
            sound = outputs
        elif name == "video" and sound is not None:  # of the same chunk
            spoken = sound["voice"][0] >= SPOKEN
            sync.push(sound["agreement"][0], outputs["agreement"][0], spoken, np.ones_like(spoken))
            now = sync.agreement()
            found = found if now is None else now
    return found


def note(model: Path, name: str, value: float) -> None:
    """Puts a number into the metadata of the ONNX file; everything else stays."""
    content = onnx.load(str(model))
    metadata = {entry.key: entry.value for entry in content.metadata_props}
    onnx.helper.set_model_props(content, {**metadata, name: f"{value:.4g}"})
    onnx.save(content, str(model))


def calibrate(data: Path, weights: Path, count: int, console: Console) -> None:
    """Fits, writes and reports the temperature of each model in ``weights``, and the likeness."""
    clips = choose(find_clips(data), count, True, "", data)
    backgrounds = Backgrounds(usual("noise"), usual("babble"), clips)
    alike: list[float | None] = []
    halves: tuple[dict[str, list[Said]], dict[str, list[Said]]] = ({}, {})
    with Progress(*COLUMNS, console=console) as progress:
        for index, clip in enumerate(progress.track(clips, description="clips")):
            for name, said in listen(clip, backgrounds, str(weights)).items():
                halves[index % 2].setdefault(name, []).extend(said)
            alike.append(likeness(clip, str(weights)))
    if known := [each for each in alike if each is not None]:
        note(weights / "audio.onnx", "likeness", max(0.05, float(np.median(known))))
        console.print(
            f"likeness of voice and lips that belong together: {np.median(known):.2f} in the median of "
            f"{len(known)} clips, nine in ten above {np.quantile(known, 0.1):.2f}",
            highlight=False,
            soft_wrap=True,
        )
    for name in MODELS:
        fitted, kept = halves[0].get(name, []), halves[1].get(name, [])
        if fitted:
            temperature = fit(fitted)
            note(weights / f"{name}.onnx", "temperature", temperature)
            before, after = error(kept, 1.0), error(kept, temperature)
            console.print(
                f"{name}: temperature {temperature:.2f}; expected calibration error on the other clips "
                f"{after}, with temperature 1 {before}",
                highlight=False,
                soft_wrap=True,
            )


def main(
    data: Annotated[Path, typer.Argument(help="clips with transcripts")],
    weights: Annotated[Path, typer.Option(help="folder of the models, which are changed")] = WEIGHTS,
    clips: Annotated[int, typer.Option(help="how many of those kept out of training, 0 for all")] = 60,
) -> None:
    """Measure what the models' numbers are worth and write it into the models."""
    calibrate(data, weights, clips, Console())


if __name__ == "__main__":
    command(main)
