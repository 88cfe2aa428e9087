"""The news of segments as the transcripts of one recogniser, numbered."""

from nodes.perception.utterance import News
from nodes.runtime.messages import Message, Transcript


class Telling:
    """``tell`` what is new; ``stream`` is the id of the node that does."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._told = 0

    def tell(
        self,
        news: list[News],
        epoch: int,
        mode: str,
        modalities: dict[str, float],
        sync_error_ms: float | None = None,
        face: int | None = None,
    ) -> list[Message]:
        """One ``Transcript`` for each of the news; the rest as in ``messages.Transcript``."""
        told: list[Message] = []
        for item in news:
            told.append(
                Transcript(
                    stream=self._stream,
                    seq=self._told,
                    epoch=epoch,
                    t_start_ns=item.t_start_ns,
                    t_end_ns=item.t_end_ns,
                    segment=item.segment,
                    revision=item.revision,
                    final=item.final,
                    text=item.text,
                    words=item.words,
                    mode=mode,
                    modalities=modalities,
                    sync_error_ms=sync_error_ms,
                    face=face,
                )
            )
            self._told += 1
        return told
