"""Which sentences are possible: a word list, or a grammar in a part of JSGF, as an automaton over words.

A word list is words separated by white space, ``#`` begins a comment; any order and number of them is
possible.  A file that begins with ``#JSGF`` is read as the Java Speech Grammar Format (W3C note of 5 June
2000): rules ``public <name> = ... ;`` of words in sequence, alternatives ``|``, groups ``()``, options
``[]``, repetition ``*`` and ``+``, and other rules that are not recursive.  Weights, tags, quotes and
imports are refused.
"""

import difflib
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nodes.runtime.errors import UserError

State = frozenset[int]
MAX_STATES = 20_000
MAX_DEPTH = 60

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)|(?P<rule><[^<>\s]+>)|(?P<mark>[()\[\]|*+=;])"
    r"|(?P<word>[^\s()<>\[\]|*+=;/{}\"\\]+)",
    re.DOTALL,
)


class Grammar:
    """``step`` from ``start`` by words; an empty state means that no sentence goes on like that.

    words: every word it uses.
    """

    def __init__(
        self, edges: dict[int, list[tuple[str, int]]], free: dict[int, list[int]], first: int, last: int
    ):
        self._edges, self._free, self._last = edges, free, last
        self.words = frozenset(word for out in edges.values() for word, _ in out)
        self.step = lru_cache(maxsize=4096)(self._step)
        self.start = self._closure({first})

    def _step(self, state: State, word: str) -> State:
        """The state after one more word."""
        return self._closure({to for s in state for w, to in self._edges.get(s, ()) if w == word})

    def accepts(self, state: State) -> bool:
        """Whether the sentence may end here."""
        return self._last in state

    def _closure(self, states: set[int]) -> State:
        seen, waiting = set(states), list(states)
        while waiting:
            for to in self._free.get(waiting.pop(), ()):
                if to not in seen:
                    seen.add(to)
                    waiting.append(to)
        return frozenset(seen)


def load_grammar(path: Path, vocabulary: Collection[str]) -> Grammar:
    """vocabulary: words the model knows.  Raises UserError with the file and line of the first mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot read the grammar ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the grammar is not UTF-8 text; save it as UTF-8") from error
    known = frozenset(vocabulary)
    if text.lstrip().startswith("#JSGF"):
        return _Builder(path, known).build(_Parser(path, text).rules())
    edges: dict[int, list[tuple[str, int]]] = {0: []}
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.partition("#")[0].lower().split():
            _check(word, known, path, number)
            edges[0].append((word, 0))
    if not edges[0]:
        raise UserError(f"{path}: no words in it; give words, or a grammar that begins with #JSGF V1.0;")
    return Grammar(edges, {}, 0, 0)


def _check(word: str, known: Collection[str], path: Path, line: int) -> None:
    if word not in known:
        near = difflib.get_close_matches(word, known, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; it knows {len(known)} words such as {min(known)}"
        raise UserError(f"{path}:{line}: the model does not know the word {word!r}{hint}")


class _Part(NamedTuple):
    """kind: "word", "rule" (text is its name), "all" (in sequence), "any", "maybe", "some" (+), "many" (*)"""

    kind: str
    line: int
    text: str = ""
    parts: tuple["_Part", ...] = ()


class _Rule(NamedTuple):
    public: bool
    body: _Part


class _Parser:
    """Recursive descent; every mistake is a UserError with its line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.tokens = self._tokens(text)
        self.at = 0

    def rules(self) -> dict[str, _Rule]:
        found: dict[str, _Rule] = {}
        if self._word("grammar"):
            self._take("word", "the grammar's name")
            self._mark(";", "after the grammar's name")
        while self.at < len(self.tokens):
            public = self._word("public")
            line = self.line
            name = self._take("rule", "a rule such as <command>")
            if name in found:
                raise self.error(f"the rule {name} is there twice; join them with |", line)
            self._mark("=", f"after {name}")
            found[name] = _Rule(public, self._any(0))
            self._mark(";", f"at the end of {name}")
        if not any(rule.public for rule in found.values()):
            raise UserError(
                f"{self.path}: no public rule; write public before the rule for the whole sentence"
            )
        return found

    def error(self, what: str, line: int | None = None) -> UserError:
        return UserError(f"{self.path}:{line or self.line}: {what}")

    @property
    def line(self) -> int:
        return self.tokens[min(self.at, len(self.tokens) - 1)][2] if self.tokens else 1

    def _tokens(self, text: str) -> list[tuple[str, str, int]]:
        header = re.match(r"\s*#JSGF[^\n;]*;", text)
        if header is None:
            raise UserError(f"{self.path}:1: the first line must be #JSGF V1.0;")
        tokens, at = [], header.end()
        while at < len(text):
            match = _TOKEN.match(text, at)
            line = text.count("\n", 0, at) + 1
            if match is None:
                what = {"{": "tags {}", "/": "weights", '"': "quoted words"}.get(text[at], repr(text[at]))
                raise UserError(f"{self.path}:{line}: {what} cannot be used here; remove it")
            if match.lastgroup != "space":
                tokens.append((str(match.lastgroup), match[0], line))
            at = match.end()
        return tokens

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at][:2] if self.at < len(self.tokens) else ("end", "the end of the file")

    def _word(self, word: str) -> bool:
        found = self._peek() == ("word", word)
        self.at += found
        return found

    def _take(self, kind: str, wanted: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise self.error(f"{wanted} is missing before {text}")
        self.at += 1
        return text

    def _mark(self, mark: str, where: str) -> None:
        if self._peek() != ("mark", mark):
            raise self.error(f"{mark} is missing {where}, before {self._peek()[1]}")
        self.at += 1

    def _any(self, depth: int) -> _Part:
        if depth > MAX_DEPTH:
            raise self.error(f"groups lie more than {MAX_DEPTH} deep; make rules of them")
        line, choices = self.line, [self._all(depth)]
        while self._peek() == ("mark", "|"):
            self.at += 1
            choices.append(self._all(depth))
        return choices[0] if len(choices) == 1 else _Part("any", line, parts=tuple(choices))

    def _all(self, depth: int) -> _Part:
        line, parts = self.line, []
        while (part := self._one(depth)) is not None:
            while self._peek() in (("mark", "*"), ("mark", "+")):
                part = _Part("many" if self._peek()[1] == "*" else "some", part.line, parts=(part,))
                self.at += 1
            parts.append(part)
        if not parts:
            raise self.error(f"words are missing before {self._peek()[1]}")
        return _Part("all", line, parts=tuple(parts))

    def _one(self, depth: int) -> _Part | None:
        line, (kind, text) = self.line, self._peek()
        if kind in ("word", "rule"):
            self.at += 1
            return _Part(kind, line, text.lower() if kind == "word" else text)
        closing = {"(": ")", "[": "]"}.get(text) if kind == "mark" else None
        if closing is None:
            return None
        self.at += 1
        inner = self._any(depth + 1)
        self._mark(closing, f"for the {text} of line {line}")
        return inner if text == "(" else _Part("maybe", line, parts=(inner,))


class _Builder:
    """Rules to an automaton (Thompson 1968), every rule written out where it is used."""

    def __init__(self, path: Path, known: frozenset[str]) -> None:
        self.path, self.known = path, known
        self.edges: dict[int, list[tuple[str, int]]] = {}
        self.free: dict[int, list[int]] = {}
        self.states = 0

    def build(self, rules: dict[str, _Rule]) -> Grammar:
        self.rules = rules
        first, last = self._state(1), self._state(1)
        for name, rule in rules.items():
            ends = self._fragment(rule.body, (name,))
            if rule.public:
                self._join(first, ends[0])
                self._join(ends[1], last)
        return Grammar(self.edges, self.free, first, last)

    def _state(self, line: int) -> int:
        self.states += 1
        if self.states > MAX_STATES:
            raise UserError(
                f"{self.path}:{line}: the grammar is too large when its rules are written out; simplify"
            )
        return self.states

    def _join(self, a: int, b: int) -> None:
        self.free.setdefault(a, []).append(b)

    def _fragment(self, part: _Part, inside: tuple[str, ...]) -> tuple[int, int]:
        """First and last state of ``part``; ``inside``: the rules being written out."""
        if part.kind == "rule":
            if part.text in inside:
                raise UserError(f"{self.path}:{part.line}: {part.text} contains itself; use * or + to repeat")
            if part.text not in self.rules:
                near = difflib.get_close_matches(part.text, self.rules, 1)
                hint = f"; did you mean {near[0]}?" if near else "; define it in this file"
                raise UserError(f"{self.path}:{part.line}: there is no rule {part.text}{hint}")
            return self._fragment(self.rules[part.text].body, (*inside, part.text))
        first, last = self._state(part.line), self._state(part.line)
        if part.kind == "word":
            _check(part.text, self.known, self.path, part.line)
            self.edges.setdefault(first, []).append((part.text, last))
            return first, last
        if part.kind == "all":
            at = first
            for ends in (self._fragment(p, inside) for p in part.parts):
                self._join(at, ends[0])
                at = ends[1]
            self._join(at, last)
            return first, last
        for ends in (self._fragment(p, inside) for p in part.parts):
            self._join(first, ends[0])
            self._join(ends[1], last)
            if part.kind in ("some", "many"):
                self._join(ends[1], ends[0])
        if part.kind in ("maybe", "many"):
            self._join(first, last)
        return first, last
