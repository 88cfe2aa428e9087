"""Confidence that can be believed: ``python -m engines.speech.calibrate DATA``.

Each model's log-probabilities are divided by one temperature before a word's confidence is read off them (Guo
et al. 2017).  It is the one under which the words of half of the clips that were kept out of training are the
most likely to be right or wrong as they are; the expected calibration error is printed for the other half.
The temperature goes into the model file's metadata.  It changes no word: decoding does not use it.
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
from nodes.perception.transcribe import WEIGHTS
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
    """Opens models that note what they answer, by name."""

    def __init__(self) -> None:
        self.answers: dict[str, list[np.ndarray]] = {}

    def open(self, path: Path, require: Spec | None = None) -> Engine:
        return _Noting(open_engine(path, require), self.answers.setdefault(path.stem, []))


class _Noting:
    def __init__(self, engine: Engine, answers: list[np.ndarray]) -> None:
        self._engine, self._answers = engine, answers
        self.backend, self.metadata = engine.backend, engine.metadata
        self.inputs, self.outputs = engine.inputs, engine.outputs

    def run(self, feeds: Arrays) -> Arrays:
        outputs = self._engine.run(feeds)
        self._answers.append(outputs["log_probs"][0])
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
        for name, answers in listening.answers.items():
            if answers and not (name == "video" and condition.kind):
                said.setdefault(name, []).append(Said(np.concatenate(answers), take.words))
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


def write_temperature(model: Path, temperature: float) -> None:
    """Puts it into the metadata of the ONNX file; everything else stays."""
    content = onnx.load(str(model))
    metadata = {entry.key: entry.value for entry in content.metadata_props}
    onnx.helper.set_model_props(content, {**metadata, "temperature": f"{temperature:.4g}"})
    onnx.save(content, str(model))


def calibrate(data: Path, weights: Path, count: int, console: Console) -> None:
    """Fits, writes and reports the temperature of each model in ``weights``."""
    clips = choose(find_clips(data), count, True, "", data)
    backgrounds = Backgrounds(usual("noise"), usual("babble"), clips)
    halves: tuple[dict[str, list[Said]], dict[str, list[Said]]] = ({}, {})
    with Progress(*COLUMNS, console=console) as progress:
        for index, clip in enumerate(progress.track(clips, description="clips")):
            for name, said in listen(clip, backgrounds, str(weights)).items():
                halves[index % 2].setdefault(name, []).extend(said)
    for name in MODELS:
        fitted, kept = halves[0].get(name, []), halves[1].get(name, [])
        if fitted:
            temperature = fit(fitted)
            write_temperature(weights / f"{name}.onnx", temperature)
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
    """Fit the temperature of each model's confidence and write it into the model."""
    calibrate(data, weights, clips, Console())


if __name__ == "__main__":
    command(main)
