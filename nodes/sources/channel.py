"""One camera or microphone of a recording of several: stands in its place when the recording is replayed."""

from collections.abc import Sequence
from typing import ClassVar

from nodes.runtime.messages import Audio, Message, Picture
from nodes.runtime.node import Context


class Channel:
    """Passes on what is of ``stream``, the id of the source that was recorded."""

    inputs: ClassVar[tuple[str, ...]] = (Audio.port, Picture.port)
    outputs: ClassVar[tuple[str, ...]] = (Audio.port, Picture.port)

    def __init__(self, *, stream: str) -> None:
        self.stream = stream

    def open(self, context: Context) -> None:
        pass

    def step(self, messages: Sequence[Message]) -> list[Message]:
        return [message for message in messages if message.stream == self.stream]

    def close(self) -> None:
        pass
