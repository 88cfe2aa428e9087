"""How many words are wrong, by sound, lips and both, in quiet and noise?  ``python launch.py evaluate``."""

from pathlib import Path

from rich.console import Console

from engines.speech.evaluation import report
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.measure import LIPS_ALONE, SOUND_ALONE, Bench, choose, measure_all
from engines.speech.evaluation.noises import Backgrounds, Heard, usual
from engines.speech.evaluation.results import Results, calibration_by, digest, fingerprint, score, summary
from engines.speech.evaluation.views import Seen
from engines.speech.layouts import find_clips
from nodes.perception.transcribe import WEIGHTS

SNRS = (20.0, 10.0, 5.0, 0.0, -5.0)
WHOLE, HALF = Seen(), Seen(missing=0.5)
NAMES = {SOUND_ALONE: "sound", str(WHOLE): "both", str(HALF): "half seen", LIPS_ALONE: "lips"}


def evaluate(
    data: Path,
    out: Path | None,
    count: int,
    held_out: bool,
    speaker: str,
    weights: str,
    grammar: str,
    noise: Path | None,
    babble: Path | None,
) -> None:
    """Prints a table; writes evaluation.csv, .json and .svg to ``out``, next to what each clip was heard as.

    count: most clips taken, 0 for all.  held_out: only those kept out of training by their name.
    noise, babble: folders of recordings; None for those in ``../shared/data``.
    Raises UserError for a folder in which there is nothing to measure.
    """
    console = Console()
    clips = choose(find_clips(data), count, held_out, speaker, data)
    hearing = Hearing(weights, grammar)
    hearing.words([], [])  # so that a model or grammar that cannot be used ends it here, not at every clip
    noise, babble = noise or usual("noise"), babble or usual("babble")
    backgrounds = Backgrounds(noise, babble, clips)
    sounds = [Heard(), *(Heard(kind, snr) for kind in backgrounds.kinds for snr in SNRS)]
    settings = {
        "models": fingerprint(Path(weights) if weights else WEIGHTS),
        "grammar": Path(grammar).read_text() if grammar else "",
        "data": str(data.resolve()),
        "noise": str(noise),
        "babble": str(babble),
        "conditions": [str(sound) for sound in sounds],
    }
    out = out or Path("runs") / "evaluate" / f"{data.resolve().name}-{digest(settings)}"
    results = Results(out, settings)
    bench = Bench(hearing, backgrounds, sounds, (WHOLE, HALF), lips_alone=True)
    rows = measure_all(bench, clips, results, console)
    if not rows:
        return
    scores, sure = score(rows, SOUND_ALONE), calibration_by(rows)
    seen = {each.seen for each in scores}
    names = {key: name for key, name in NAMES.items() if key in seen}
    speakers = len({row.speaker for row in rows})
    by = f"{speakers} speakers" if speakers > 1 else "1 speaker"
    title = f"word error rate, %, and its 95 % interval over {len(rows)} clips of {by}"
    console.print(report.table(scores, names, title))
    for line in report.calibration_lines(sure):
        console.print(line, highlight=False, soft_wrap=True)
    report.write_csv(out / "evaluation.csv", scores)
    content = {**settings, "held_out": held_out, "clips": len(rows), "speakers": speakers}
    report.write_json(out / "evaluation.json", {**content, "scores": summary(scores)})
    drawn = report.plot(out / "evaluation.svg", scores, names, f"{data.resolve().name}, {len(rows)} clips")
    console.print(f"written: {out}/evaluation.csv, .json" + (", .svg" if drawn else ""), highlight=False)
    if not drawn:
        console.print("no plot: it needs matplotlib; pip install matplotlib")
