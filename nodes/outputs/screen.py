"""What was published, on a terminal: the words as they change, then for good; the status when it changes."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

COLOURS = {"av": "green", "audio": "cyan", "video": "magenta", "none": "red"}


class Screen:
    """Finished words scroll; the words of now stand below them and change in place (only on a terminal)."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._said = ""

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, topic: str, body: dict[str, Any]) -> None:
        if topic == "transcript.partial":
            if self._console.is_terminal:
                self._live.update(_words(body, "dim"), refresh=True)
        elif topic == "transcript.final":
            self._live.update(Text(), refresh=True)
            self._console.print(_words(body, "bold"))
        elif topic == "status":
            if body["says"] != self._said:
                self._said = body["says"]
                self._console.print(_line(body, self._said, "yellow"))
        else:
            facts = {"voice": ("speaking", "probability"), "face": ("box", "quality", "track")}.get(topic, ())
            self._console.print(
                _line(body, " ".join(f"{name}={body.get(name)}" for name in (*facts,)), "dim")
            )


def _words(body: dict[str, Any], style: str) -> Text:
    return _line(body, body["text"] or "(no words)", style)


def _line(body: dict[str, Any], text: str, style: str) -> Text:
    clock = time.strftime("%H:%M:%S", time.localtime(body["unix_time"]))
    mode = body["mode"]
    return Text.assemble((clock, "dim"), "  ", (f"{mode:<6}", COLOURS.get(mode, "")), (text, style))
