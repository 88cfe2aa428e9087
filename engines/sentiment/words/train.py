"""Train the words expert: ``python -m engines.sentiment.words.train --data DATA``.

On SST's and MELD's training sentences; a tenth of MELD's training dialogues sets how sure it is; both dev
sets only measure.
"""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from torch import Tensor

from engines.command import command
from engines.sentiment.export import export
from engines.sentiment.measures import calibration_error
from engines.sentiment.words.batches import batch
from engines.sentiment.words.card import CARD
from engines.sentiment.words.caution import calibrate
from engines.sentiment.words.corpora import meld, split, sst
from engines.sentiment.words.fit import FULL, SMOKE, Recipe, fit, learn_vocabulary
from engines.sentiment.words.grams import BUCKETS, MOST, buckets
from engines.sentiment.words.measure import conditions, figures, read
from engines.sentiment.words.model import WordsExpert
from engines.sentiment.words.reader import Reader
from engines.sentiment.words.subwords import LENGTH, SubWords, words_of

EXAMPLES = ("what a lovely surprise!", "i don't think so.", "why would you do that to me?")

console = Console()


def examples(subwords: SubWords, seed: int) -> dict[str, Tensor]:
    """One sentence after another, as the reader gives them."""
    words, before = (words_of(EXAMPLES[i % len(EXAMPLES)]) for i in (seed, seed + 1))
    arrays = {"words": subwords.encode(words), "before": subwords.encode(before), "grams": buckets(words)}
    return {name: torch.from_numpy(row)[None] for name, row in arrays.items()}


def export_words(network: WordsExpert, subwords: SubWords, path: Path) -> str:
    return export(
        network,
        path,
        lambda seed: examples(subwords, seed),
        {},
        float(network.temperature),
        {"vocabulary": json.dumps(subwords.vocabulary, ensure_ascii=False)},
    )


def train(data: Path, out: Path, recipe: Recipe, limit: int | None = None) -> None:
    """Learns, exports to OUT/words.onnx with its card, and measures.  limit: sentences of each corpus."""
    graded, felt = sst(data, "fine.train")[:limit], meld(data, "train")[:limit]
    learnt, kept = split(felt)
    subwords = learn_vocabulary([*graded, *learnt], recipe.pieces)
    network = fit(
        [graded, learnt],
        subwords,
        recipe,
        lambda step, loss: console.print(f"words, step {step} of {recipe.steps}: loss {loss:.2f}"),
    )
    before, after = calibrate(network, subwords, kept)
    console.print(export_words(network, subwords, out / "words.onnx"), highlight=False)
    reader = Reader(out / "words.onnx")
    dev_graded, dev_felt = conditions(sst(data, "binary.dev")[:limit]), conditions(meld(data, "dev")[:limit])
    rows = [f"| {name} | {figures(reader, dev_graded[name], dev_felt[name]).row()} |" for name in dev_felt]
    answers = read(reader, dev_felt["as written"])["logits"]
    emotions = batch(dev_felt["as written"], subwords).labels["logits"].numpy()
    console.print("\n".join(rows), highlight=False)
    (out / "words.md").write_text(
        CARD.format(
            parameters=sum(p.numel() for p in network.parameters()),
            vocabulary=len(subwords.vocabulary),
            buckets=BUCKETS,
            length=LENGTH,
            most=MOST,
            rows="\n".join(rows),
            graded=len(graded),
            learnt=len(learnt),
            kept=len(kept),
            steps=recipe.steps,
            batch=recipe.batch,
            seed=recipe.seed,
            temperature=reader.temperature,
            kept_before=before,
            kept_after=after,
            dev=calibration_error(answers, emotions, reader.temperature),
            caution=network.caution.tolist(),
        )
    )


def main(
    data: Annotated[Path, typer.Option(help="folder of sst/ and meld/")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the engine goes")] = Path("engines/sentiment/weights"),
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Train the words expert, measure it, and export it with its card."""
    torch.set_num_threads(1)
    train(data, out, SMOKE if smoke else FULL, 300 if smoke else None)


if __name__ == "__main__":
    command(main)
