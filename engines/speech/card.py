"""The model cards of the recogniser: ``python -m engines.speech.card WORK --corpus DIR --lips DIR``.

What the networks were trained on, under which licences, and what they cannot do.  ``train.py`` writes them when all
stages are done; what they get right is put in by ``engines.speech.figures``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer

from engines.command import command
from engines.speech.conditions import Bench, open_bench
from engines.speech.figures import BEGIN, END
from engines.speech.recipe import FULL, HOLD_OUT, PAIRS, SOUND, Recipe
from engines.speech.vocabulary import WORDS

TITLES = {
    "audio": "sound to words",
    "video": "lips to words",
    "fusion": "sound and lips to words",
}
SOURCES = {
    "grid": "GRID corpus, speaker s1 (Cooke et al. 2006), CC BY 4.0",
    "revoiced": "the same clips with other pitch and formants (WORLD vocoder), CC BY 4.0",
    "flite": "flite voices awb, rms, slt, kal (CMU, BSD-like), synthesised",
    "espeak": "espeak-ng voices (GPL-3.0 program, its output is free), synthesised",
    "festival": "festival voices kal, slt (BSD-like), synthesised",
    "rhvoice": "RHVoice voices alan, bdl, clb, slt (LGPL-2.1 or later), synthesised",
    "accent": "English sentences by festival's Italian (GPL-2+), Czech (GPL-2+, GPL-3+) and Finnish (LGPL-2+) voices, "
    "synthesised",
    "foreign": "digits by espeak-ng's voices of 15 other languages (GPL-3.0 program, its output is free), synthesised",
    "single": "words said alone by all of these synthetic voices",
    "fsdd": "Free Spoken Digit Dataset, CC BY-SA 4.0",
    "fsdd_strings": "its digits joined to numbers, CC BY-SA 4.0",
    "fsdd_revoiced": "its digits with other pitch and formants, CC BY-SA 4.0",
    "prompts": "letters and digits by four people: asterisk-core-sounds-en (CC BY-SA 3.0), saytime (GPL-2), "
    "klettres-data (GPL-2+)",
    "prompts_revoiced": "the same with other pitch and formants",
    "prompts_strings": "the same joined",
    "other_espeak": "everyday sentences outside the vocabulary, so that it learns to stay silent",
    "other_flite": "likewise",
    "other_rhvoice": "likewise",
    "other_accent": "likewise",
    "other_prompts": "likewise, by two of the four people",
}
LIMITS = f"""\
- It knows {len(WORDS)} words, those of the GRID corpus: {", ".join(WORDS)}. Anything else it leaves out or takes for one
  of these. It is not a recogniser of open English.
- English only. Real voices in training: one British man, three speakers of digits, and four people who say each letter or
  digit once; every other voice is synthetic or re-voiced, so accents, children and old people are less certain than the figures say.
- Lips in training: one man, facing the camera, in good light; the figures above for lips are for that man's clips that
  were kept out. Other people's lips are read far worse; how far they have a say in the words is not left to these weights
  but to `nodes/perception/trust.py`, and what is gained and lost is in `docs/never_worse.md`.
- Words that sound the same in isolation ("eight" and the letter a, "two" and q) are told apart by context only."""


def mixture(bench: Bench, name: str) -> str:
    """What the stage was trained on, from the corpus itself."""
    kinds = tuple(SOUND["audio"].shares) if name == "audio" else PAIRS
    counts: Counter[str] = Counter()
    hours: Counter[str] = Counter()
    for u in bench.corpus.utterances:
        if (
            u.split == "train"
            and u.kind in kinds
            and (name == "audio" or (bench.lips and u.id in bench.lips.clips))
        ):
            counts[u.kind] += 1
            hours[u.kind] += u.seconds / 3600  # type: ignore[assignment]
    rows = (
        f"| {kind} | {counts[kind]} | {hours[kind]:.2f} | {SOURCES[kind]} |" for kind in kinds if counts[kind]
    )
    return "| kind | utterances | hours | what, licence |\n|---|---|---|---|\n" + "\n".join(rows)


def card(
    name: str,
    bench: Bench,
    recipes: Mapping[str, Recipe],
    hold_out: Sequence[str],
    parameters: int,
    seeds: str,
) -> str:
    """seeds: the tables of ``choose.py``, or nothing."""
    recipe, before = recipes[name], ""
    if name == "audio":
        before = f"{recipes['sentences'].steps} steps with hardly a word said alone, {recipes['words'].steps} with more, then "
    way = f" that go {recipe.blend:.2f} of the way" if recipe.blend < 1 else ""
    frozen = " The sound and lip networks are frozen while it learns." if name == "fusion" else ""
    if seeds:
        seeds = f"\nThe best of these trainings, by clips kept out of it that are measured on below, too (a little kind to it):\n\n{seeds}"
    return f"""\
# {name}.onnx: {TITLES[name]}

One step of 160 ms of a streaming network (`engines/speech/model.py`), {parameters / 1e6:.2f} million parameters, weights
rounded to float16, computing in float32. Licence of these weights: CC BY-SA 4.0, as the digits it was trained on ask.

## Trained on

{mixture(bench, name)}

{before}{recipe.steps} steps of {recipe.batch} canvases of {recipe.frames * 0.04:.1f} s, AdamW, peak rate {recipe.peak_rate:g},
averaged weights{way}, seed {recipe.seed}, with `python -m engines.speech.train`.{frozen}
With rooms (measured and synthetic), microphones, noise from -10 to 20 dB, levels from -45 to -10 dBFS; lips moved, turned,
lit, blurred, covered and dropped. Noises and rooms: `../shared/data/noise` and `rir` (BSD-2-Clause, Apache-2.0).
Kept out: {", ".join(hold_out)}, voices espeak-ng steph and festival ked, and GRID clips whose name's crc32 % 10 is 0.
{seeds}
## Measured

Word error rate in percent, with its 95 % interval, streaming, through the nodes that run live, by
`python launch.py evaluate`.

{BEGIN}
{END}

## Limits

{LIMITS}
"""


def write_cards(
    out: Path, work: Path, bench: Bench, recipes: Mapping[str, Recipe], hold_out: Sequence[str]
) -> None:
    """Writes ``out``/NAME.md for each network that ``work`` holds; ``engines.speech.figures`` puts in figures."""
    for name in TITLES:
        state = torch.load(work / f"{name}.weights.pt", map_location="cpu", weights_only=True)
        weights = (each for key, each in state.items() if "running" not in key and "num_batches" not in key)
        parameters = sum(tensor.numel() for tensor in weights)
        stages = tuple(SOUND) if name == "audio" else (name,)
        tables = {stage: work / f"{stage}.seeds.md" for stage in stages}
        told = "\n".join(
            f"Stage *{stage}*:\n\n{table.read_text()}" for stage, table in tables.items() if table.exists()
        )
        (out / f"{name}.md").write_text(card(name, bench, recipes, hold_out, parameters, told))


def main(
    work: Annotated[Path, typer.Argument(help="where train.py left NAME.weights.pt")],
    corpus: Annotated[Path, typer.Option(help="as for train.py")],
    lips: Annotated[list[Path], typer.Option(help="as for train.py")],
    data: Annotated[Path, typer.Option(help="as for train.py")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the cards go")] = Path("engines/speech/weights"),
) -> None:
    """Write the cards of trained networks."""
    bench = open_bench(corpus, lips, data, HOLD_OUT, 1, torch.device("cpu"))
    write_cards(out, work, bench, FULL, HOLD_OUT)


if __name__ == "__main__":
    command(main)
