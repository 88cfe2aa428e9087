"""Speech by espeak-ng (formant synthesis), through its C library, in this process."""

import ctypes
import functools
from collections.abc import Sequence

import numpy as np

from engines.speech.voices import RATE, PronunciationError, Speech, library, to_rate
from nodes.runtime.errors import UserError

_LETTER_NAMES = {"a": "eigh", "z": "zed"}  # all other words are spoken as written


class _EspeakEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)
_WORD, _PHONEME, _END = 1, 7, 5  # espeak_EVENT_TYPE
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_PARAMETERS = {"rate": 1, "pitch": 3, "range": 4}  # espeak_PARAMETER


class Espeak:
    """espeak-ng 1.51, all its accents and variants. One instance a process: the library is global."""

    def __init__(self) -> None:
        self._lib = library("libespeak-ng.so.1")
        self._rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 200, None, _PHONEME_EVENTS)
        if self._rate <= 0:
            raise UserError("espeak-ng finds no voice data; remedy: apt-get install espeak-ng-data")
        self._pcm: list[bytes] = []
        self._events: list[tuple[int, int, int, str]] = []
        self._callback = _CALLBACK(self._take)  # kept: the library holds only the address
        self._lib.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: "ctypes._Pointer", count: int, events: "ctypes._Pointer") -> int:
        if samples and count:
            self._pcm.append(ctypes.string_at(samples, count * 2))
        index = 0
        while events[index].type:
            event = events[index]
            name = event.id.decode("utf-8", "replace") if event.type == _PHONEME else ""
            self._events.append((event.type, event.text_position, event.audio_position, name))
            index += 1
        return 0

    def say(
        self,
        words: Sequence[str],
        voice: str,
        *,
        rate: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
        commas: frozenset[int] = frozenset(),
    ) -> Speech:
        """Speaks `words` with `voice` (LANGUAGE FILE+VARIANT), a pause after `commas`.

        `rate` is in words a minute; the pitches go from 0 to 100.
        """
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"espeak-ng has no voice {voice!r}; `espeak-ng --voices=variant` lists them")
        for name, value in (("rate", rate), ("pitch", pitch), ("range", pitch_range)):
            self._lib.espeak_SetParameter(_PARAMETERS[name], value, 0)
        text, starts = "", {}
        for index, word in enumerate(words):
            starts[len(text) + 1] = index  # text_position counts from 1
            text += _LETTER_NAMES.get(word, word) + ("," if index in commas else "") + " "
        self._pcm.clear()
        self._events.clear()
        encoded = text.strip().encode()
        self._lib.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        samples = to_rate(np.frombuffer(b"".join(self._pcm), np.int16), self._rate)
        return Speech(samples, self._times(words, starts, len(samples) / RATE))

    def _times(
        self, words: Sequence[str], starts: dict[int, int], duration: float
    ) -> tuple[tuple[str, float, float], ...]:
        begin: dict[int, float] = {}
        for kind, position, milliseconds, _ in self._events:
            if kind == _WORD and position in starts:
                begin[starts[position]] = milliseconds / 1000
        if len(begin) != len(words):
            raise PronunciationError(f"espeak-ng spoke {len(begin)} of {len(words)} words: {' '.join(words)}")
        # A word lasts to the next word, or to the pause between them.
        stops = [ms / 1000 for kind, _, ms, name in self._events if kind == _END or name.startswith("_")]
        times = []
        for index, word in enumerate(words):
            end = begin.get(index + 1, duration)
            end = min([stop for stop in stops if begin[index] + 0.03 < stop < end], default=end)
            times.append((word, begin[index], end))
        return tuple(times)


@functools.cache
def synthesiser() -> Espeak:
    """The process's one espeak-ng."""
    return Espeak()
