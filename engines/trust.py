"""May an engine take the place of another?  It reproduces the golden file, and hears the same words.

An engine in a lower precision differs in every number; what counts is that the same token is the best one in
(nearly) every frame of speech, state and all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.engine import Arrays, Engine, ModelError, next_state, zero_state
from engines.golden import TOLERANCE, golden_error

# Largest absolute difference to the golden file: about three times what was measured (docs/engines.md).
TOLERANCES = {"float32": TOLERANCE, "float16": 5e-2, "int8": 0.3}
# Least share of frames whose best token is the same.
AGREEMENTS = {"float32": 0.999, "float16": 0.999, "int8": 0.995}
TOKENS = "log_probs"


@dataclass(frozen=True)
class Proof:
    """error: to the golden file.  agreement: over ``frames`` frames; None where the model gives no tokens."""

    error: float
    agreement: float | None
    frames: int

    def __str__(self) -> str:
        tokens = "" if self.agreement is None else f", {self.agreement:.2%} of {self.frames} tokens the same"
        return f"{self.error:.1e} from the golden file{tokens}"


def check_golden(engine: Engine, golden: Path, precision: str) -> float:
    """The engine's error.  Raises ModelError where it is above the precision's tolerance or cannot be had."""
    error = golden_error(engine, golden)
    if error > TOLERANCES[precision]:
        most = TOLERANCES[precision]
        raise ModelError(
            f"{golden}: {engine.backend} {precision} is {error:.1e} off it, more than {most:.0e}"
        )
    return error


def prove(
    engine: Engine, reference: Engine, golden: Path, precision: str, speech: Iterable[Arrays] = ()
) -> Proof:
    """Raises ModelError unless the engine reproduces ``golden`` and hears ``speech`` as ``reference`` does.

    speech: inputs step after step, without the state, for a batch of one; of no use to models without tokens.
    """
    error = check_golden(engine, golden, precision)
    if TOKENS not in engine.outputs:
        return Proof(error, None, 0)
    agreement, frames = token_agreement(engine, reference, speech)
    if not agreement >= AGREEMENTS[precision]:
        raise ModelError(
            f"{golden}: {engine.backend} {precision} hears {agreement:.2%} of {frames} tokens as it should, "
            f"less than {AGREEMENTS[precision]:.1%}"
        )
    return Proof(error, agreement, frames)


def token_agreement(engine: Engine, reference: Engine, speech: Iterable[Arrays]) -> tuple[float, int]:
    """Share of frames whose best token is the same with both engines, each with its own state; and how many.

    An engine of a larger batch is given the same speech in every row, and every row counts.
    """
    batch = engine.outputs[TOKENS][0][0]
    state, expected_state = zero_state(engine), zero_state(reference)
    same = frames = 0
    for feeds in speech:
        expected = reference.run({**feeds, **expected_state})
        rows = {name: np.repeat(value, batch, axis=0) for name, value in feeds.items()}
        outputs = engine.run({**rows, **state})
        state, expected_state = next_state(outputs), next_state(expected)
        agrees = outputs[TOKENS].argmax(-1) == expected[TOKENS].argmax(-1)
        same, frames = same + int(agrees.sum()), frames + agrees.size
    return (same / frames if frames else 0.0), frames
