"""What is asked of one shard of the training speech, and one line of what it holds."""

from dataclasses import dataclass

from engines.speech.voices import Speech

SHARD_SIZE = 600  # utterances


@dataclass(frozen=True)
class Utterance:
    """One line of a shard: `speech` said by `voice`, of `kind`, for `split`."""

    id: str
    voice: str
    kind: str
    split: str
    speech: Speech


@dataclass(frozen=True)
class Shard:
    """What one shard is to hold; `source` names where its clips are, `count` how many are asked for.

    single: of words said alone, in place of sentences.
    """

    kind: str
    index: int
    count: int
    voice: str = ""
    heldout: bool = False
    source: str = ""
    single: bool = False

    @property
    def name(self) -> str:
        return "-".join(
            ["heldout"] * self.heldout
            + ["single"] * self.single
            + [self.kind]
            + [self.voice] * bool(self.voice)
            + [f"{self.index:03d}"]
        )
