"""What comparisons of conditions have in common: the clips, whose lips may stand in, and the background."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.speech.evaluation.measure import choose
from engines.speech.evaluation.noises import Backgrounds, Heard, usual
from engines.speech.evaluation.results import fingerprint
from engines.speech.evaluation.views import Seen
from engines.speech.layouts import Clip, find_clips


@dataclass(frozen=True)
class Compared:
    """chosen: clips kept out of training.  others: of strangers, may be empty."""

    data: Path
    strangers: Path | None
    chosen: list[Clip]
    others: list[Clip]
    backgrounds: Backgrounds

    def sounds(self, wanted: Sequence[Heard]) -> list[Heard]:
        """Those for which there is a background."""
        return [sound for sound in wanted if sound.kind in ("", *self.backgrounds.kinds)]

    def settings(self, weights: Path, sounds: Sequence[Heard], views: Sequence[Seen]) -> dict[str, Any]:
        """What results depend on."""
        return {
            "models": fingerprint(weights),
            "data": self.data.name,
            "strangers": self.strangers.name if self.strangers else "",
            "noise": str(usual("noise")),
            "babble": str(usual("babble")),
            "conditions": [*map(str, sounds), *map(str, views)],
        }


def compared(data: Path, count: int, strangers: Path | None) -> Compared:
    """count: how many clips of those kept out of training, 0 for all."""
    chosen = choose(find_clips(data), count, True, "", data)
    others = find_clips(strangers) if strangers else []
    return Compared(data, strangers, chosen, others, Backgrounds(usual("noise"), usual("babble"), chosen))
