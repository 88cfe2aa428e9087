"""How long, on what and with which mixture the networks are trained."""

from dataclasses import dataclass

HOLD_OUT = ("fsdd/jackson",)  # a real speaker kept from training, to measure on


@dataclass
class Recipe:
    """What a stage is run with; the model card repeats it.

    blend: how far the weights go from where the stage began to where it ended.  Between the two a network
    keeps what it knew and has most of what is new (Wortsman et al. 2022, WiSE-FT).
    """

    steps: int
    batch: int
    frames: int
    peak_rate: float
    seed: int = 1
    warm_up: int = 400
    decay: float = 0.02
    average: float = 0.999
    blend: float = 1.0


@dataclass(frozen=True)
class Mixture:
    """What a stage of sound hears.

    shares: how often each kind of utterance is drawn for a canvas.  alone: the share of the utterances of
    which one word is left.  trimmed: the share whose quiet ends are cut off by their level.  gated: the share
    of the canvases with noise in the utterances and silence around them.
    """

    shares: dict[str, float]
    alone: float = 0.0
    trimmed: float = 0.0
    gated: float = 0.0


_SENTENCES = {
    "grid": 0.12, "revoiced": 0.26, "flite": 0.24, "espeak": 0.14, "festival": 0.08, "rhvoice": 0.16,
    "accent": 0.10,
    "fsdd": 0.05, "fsdd_strings": 0.05, "fsdd_revoiced": 0.06,
    "prompts": 0.03, "prompts_revoiced": 0.10, "prompts_strings": 0.07,
    "other_espeak": 0.03, "other_flite": 0.03, "other_rhvoice": 0.02, "other_prompts": 0.01,
    "other_accent": 0.02,
}  # fmt: skip
_WORDS = {
    **_SENTENCES, "single": 0.28,
    "fsdd": 0.10, "fsdd_strings": 0.07, "fsdd_revoiced": 0.14,
    "prompts": 0.05, "prompts_revoiced": 0.14,
}  # fmt: skip
# The sound is learnt from sentences first; then with far more words said alone, cut from sentences or not,
# since a person who says one word gives nothing else to go by; then, briefly, with foreign accents and with
# words whose weak consonants and silence a noise gate or a program has cut off.
SOUND = {
    "sentences": Mixture(_SENTENCES),
    "words": Mixture(_WORDS, alone=0.1),
    "audio": Mixture({**_WORDS, "foreign": 0.15}, alone=0.1, trimmed=0.5, gated=0.3),
}
PAIRS = ("grid",)

# Canvases of 11.5 s and 9.6 s: a network sees some 12 s back.  The last stage of sound is short, on small
# canvases: ten minutes of a processor core.  The seeds are those of the weights that ship.
FULL = {
    "sentences": Recipe(steps=9000, batch=80, frames=288, peak_rate=1.5e-3, seed=3),
    "words": Recipe(steps=9000, batch=80, frames=288, peak_rate=1.2e-3, seed=3),
    "audio": Recipe(
        steps=400, batch=12, frames=144, peak_rate=3e-4, seed=3, warm_up=40, average=0.98, blend=2 / 3
    ),
    "video": Recipe(steps=8000, batch=16, frames=240, peak_rate=1.2e-3, seed=3),
    "fusion": Recipe(steps=3400, batch=24, frames=240, peak_rate=1e-3),
}
SMOKE = {
    "sentences": Recipe(steps=30, batch=4, frames=100, peak_rate=1e-3, warm_up=5, average=0.9),
    "words": Recipe(steps=8, batch=4, frames=100, peak_rate=1e-3, warm_up=5, average=0.9),
    "audio": Recipe(steps=8, batch=4, frames=100, peak_rate=1e-3, warm_up=5, average=0.9),
    "video": Recipe(steps=12, batch=2, frames=80, peak_rate=1e-3, warm_up=5, average=0.9),
    "fusion": Recipe(steps=12, batch=2, frames=80, peak_rate=1e-3, warm_up=5, average=0.9),
}
