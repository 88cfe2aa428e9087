"""What was published, on a terminal: the words as they change, then for good, and how the pipeline is."""

import re
import time
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nodes.runtime.printable import printable

GONE_NS = 1_000_000_000  # a face that was not published for so long is not in sight any more
_FIGURE = re.compile(r"\d+([.,]\d+)?")
COLOURS = {"av": "green", "audio": "cyan", "video": "magenta", "none": "red"}


class Screen:
    """What is finished scrolls: words for good, and what the status says when it is new: a figure in it that
    changes every second is not.

    On a terminal two lines stand below it and change in place: the words of now; mode, delay and drops.
    Written to a file or a pipe there is no place to change, so voice, face and sentiment are told when they
    change.
    Where there are several recognisers each has a line for the words of now, and every line says whose it is.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        """out: where to, the terminal where not given."""
        self._console = Console(file=out, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._words: dict[str, dict[str, Any] | None] = {}  # of now, by recogniser
        self._seen: dict[str, dict[str, Any]] = {}
        self._told: dict[str, str] = {}

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(Text())
        self._live.stop()

    def show(self, topic: str, body: dict[str, Any]) -> None:
        if topic == "transcript.partial":
            self._words[body["stream"]] = body
        elif topic == "transcript.final":
            self._words[body["stream"]] = None
            self._console.print(_line(body, self._said(body), "bold"))
        elif self._is_shown(topic, body):
            self._seen[topic] = body
            self._tell(topic, body)
        if self._console.is_terminal:
            self._live.update(self._now(), refresh=True)

    def _said(self, body: dict[str, Any]) -> str:
        text = body["text"] or "(no words)"
        return f"{body['stream']}: {text}" if len(self._words) > 1 else text

    def _is_shown(self, topic: str, body: dict[str, Any]) -> bool:
        """There is room for one face and one recogniser: that with the most to go by, else the one shown."""
        shown = self._seen.get(topic, body)
        gone = body["t_start_ns"] - shown["t_start_ns"] > GONE_NS
        if topic == "face":
            return bool(body["read"] or body["track"] == shown["track"] or gone)
        if topic == "sentiment":
            return bool(body["face"] == shown["face"] or body["mode"] == "av" or gone)
        return bool(topic != "voice" or body["stream"] == shown["stream"] or body["mode"] == "av" or gone)

    def _tell(self, topic: str, body: dict[str, Any]) -> None:
        """Prints what a person wants to know once, when it changes."""
        if topic == "status":
            news, style = body["says"], "yellow"
        elif self._console.is_terminal:
            return
        elif topic == "sentiment":
            whose = f"face {body['face']}" if body["face"] is not None else "a voice"
            news, style = f"{body['emotion']} ({whose})", "dim"
        elif topic == "voice":
            news, style = "speaking" if body["speaking"] else "silent", "dim"
        elif topic == "face":
            news, style = f"face {body['track']}", "dim"
        else:
            return
        about = _FIGURE.sub("", news) if topic == "status" else news
        if topic == "voice":
            about = f"{body['mode']} {news}"
        if self._told.get(topic) != about:
            self._told[topic] = about
            self._console.print(_line(body, news, style))

    def _now(self) -> Text:
        lines = [_line(body, self._said(body), "dim") for body in self._words.values() if body]
        below = Text("  ", style="dim").join(self._facts())
        return Text("\n").join([*lines, below] if below else lines)

    def _facts(self) -> list[Text]:
        facts = []
        voice, face, status = (self._seen.get(topic) for topic in ("voice", "face", "status"))
        if latest := voice or status or face:
            sound, lips = (latest["modalities"].get(name) or 0.0 for name in ("audio", "video"))
            facts += [_mode(latest["mode"]), Text(f"sound {sound:.2f}"), Text(f"lips {lips:.2f}")]
        if voice:
            facts.append(Text("speaking" if voice["speaking"] else "silent  "))
        if face:
            facts.append(Text(f"face {face['quality'] or 0.0:.2f}"))
        if feels := self._seen.get("sentiment"):
            sure = feels["confidence"].get("emotion") or 0.0
            facts.append(Text(f"{printable(feels['emotion']):<8} {sure:.2f}"))
        if status:
            delay = status["delays"].get("voice", {})
            if delay.keys() >= {"p50_ms", "p99_ms"}:
                facts.append(Text(f"delay {delay['p50_ms']:.0f}/{delay['p99_ms']:.0f} ms"))
            facts.append(Text(f"dropped {sum(status['drops'].values())}"))
        return facts


def _mode(mode: str) -> Text:
    return Text(f"{printable(mode):<6}", style=COLOURS.get(mode, ""))


def _line(body: dict[str, Any], text: str, style: str) -> Text:
    try:
        clock = time.strftime("%H:%M:%S", time.localtime(body["unix_time"]))
    except (ValueError, OverflowError, OSError):  # no moment that a clock shows
        clock = "--:--:--"
    return Text.assemble((clock, "dim"), "  ", _mode(body["mode"]), (printable(text), style))
