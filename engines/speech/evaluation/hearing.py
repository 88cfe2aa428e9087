"""Messages to words by the node that does it live."""

from collections.abc import Sequence
from typing import Any

from engines.engine import Opener
from engines.speech.evaluation.memory import Memory
from nodes.perception.transcribe import Transcribe
from nodes.runtime.messages import Message, Transcript, Word
from nodes.runtime.node import Context


class Hearing:
    """weights, grammar: as in ``pipeline.yaml``, "" for what comes with hearsee.

    opener: loads the models; they are loaded once and their answers remembered where it is not given.
    """

    def __init__(self, weights: str = "", grammar: str = "", opener: Opener | None = None) -> None:
        self._options: dict[str, Any] = {"weights": weights, "grammar": grammar}
        self._opener = opener
        self.memory = Memory()
        self._node = type("Measured", (Transcribe,), {"opener": opener or self.memory.open})

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it opens the models anew."""
        return Hearing, (self._options["weights"], self._options["grammar"], self._opener)

    def words(self, sound: Sequence[Message], faces: Sequence[Message]) -> list[Word]:
        """Every word of every final, to the end.  An input without messages is one that is not connected."""
        wired = frozenset(port for port, messages in (("audio", sound), ("face", faces)) if messages)
        node = self._node(**self._options)
        node.open(Context(name="transcribe", live=False, wired=wired))
        told = node.step(sorted([*sound, *faces], key=lambda message: message.t_end_ns))
        told += node.flush()  # as at the end of a file: no sentence is lost that had not ended
        node.close()
        return [word for m in told if isinstance(m, Transcript) and m.final for word in m.words]
