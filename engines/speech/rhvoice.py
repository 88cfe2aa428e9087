"""Speech by RHVoice (statistical voices of four speakers), through its C library, in this process."""

import ctypes
import functools
from collections.abc import Sequence

import numpy as np

from engines.speech.voices import RATE, RHVOICE, PronunciationError, Speech, library, named, respell, to_rate
from nodes.runtime.errors import UserError

# The English voices under the LGPL; Debian's package has two more, which allow neither trade nor derivatives.
VOICES = ("alan", "bdl", "clb", "slt")

_RATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_SPEECH = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_uint, ctypes.c_void_p)
_WORD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
_TEXT = 0  # RHVoice_message_text
_SLOWEST = 0.5  # it takes a lower rate for this one


class _Callbacks(ctypes.Structure):
    _fields_ = (
        ("set_sample_rate", _RATE),
        ("play_speech", _SPEECH),
        ("process_mark", ctypes.c_void_p),
        ("word_starts", _WORD),
        ("word_ends", _WORD),
        ("sentence_starts", ctypes.c_void_p),
        ("sentence_ends", ctypes.c_void_p),
        ("play_audio", ctypes.c_void_p),
        ("done", ctypes.c_void_p),
    )


class _InitParams(ctypes.Structure):
    _fields_ = (
        ("data_path", ctypes.c_char_p),
        ("config_path", ctypes.c_char_p),
        ("resource_paths", ctypes.c_void_p),
        ("callbacks", _Callbacks),
        ("options", ctypes.c_uint),
    )


class _SynthParams(ctypes.Structure):
    _fields_ = (
        ("voice_profile", ctypes.c_char_p),
        ("absolute_rate", ctypes.c_double),
        ("absolute_pitch", ctypes.c_double),
        ("absolute_volume", ctypes.c_double),
        ("relative_rate", ctypes.c_double),
        ("relative_pitch", ctypes.c_double),
        ("relative_volume", ctypes.c_double),
        ("punctuation_mode", ctypes.c_int),
        ("punctuation_list", ctypes.c_char_p),
        ("capitals_mode", ctypes.c_int),
        ("flags", ctypes.c_int),
    )


class RHVoice:
    """RHVoice 1.8 with the free voices of Debian's package."""

    def __init__(self) -> None:
        lib = self._lib = library("libRHVoice.so.5", RHVOICE)
        lib.RHVoice_new_tts_engine.restype = lib.RHVoice_new_message.restype = ctypes.c_void_p
        self._rate = 0
        self._pcm: list[bytes] = []
        self._samples = 0  # in _pcm
        self._starts: dict[int, int] = {}  # a word's place in the text, and the samples before it
        self._ends: dict[int, int] = {}
        self._callbacks = _Callbacks(  # kept: the library holds only the addresses
            set_sample_rate=_RATE(self._take_rate),
            play_speech=_SPEECH(self._take_speech),
            word_starts=_WORD(functools.partial(self._take_word, self._starts)),
            word_ends=_WORD(functools.partial(self._take_word, self._ends)),
        )
        parameters = _InitParams(callbacks=self._callbacks)
        self._engine = ctypes.c_void_p(lib.RHVoice_new_tts_engine(ctypes.byref(parameters)))
        if not self._engine:
            raise UserError(f"RHVoice finds no voices; remedy: apt-get install {RHVOICE}")

    def _take_rate(self, rate: int, _: object) -> int:
        self._rate = rate
        return 1

    def _take_speech(self, samples: "ctypes._Pointer", count: int, _: object) -> int:
        self._pcm.append(ctypes.string_at(samples, count * 2))
        self._samples += count
        return 1

    def _take_word(self, places: dict[int, int], position: int, length: int, _: object) -> int:
        places[position] = self._samples
        return 1

    def say(
        self,
        words: Sequence[str],
        voice: str,
        *,
        rate: float = 1.0,
        pitch: float = 1.0,
        commas: frozenset[int] = frozenset(),
    ) -> Speech:
        """Speaks `words`, `rate` times as fast and `pitch` times as high as `voice` does by itself.

        Words' times are within 25 ms of the synthesiser's. Raises PronunciationError where it did not speak
        word for word.
        """
        text = respell(words, commas)
        # A word's event comes before the piece of sound that it falls into, a tenth of a second. Said at half
        # the pace, which stretches all alike, that is 50 ms, whose middle is at most 25 ms off.
        self._speak(text, voice, _SLOWEST, pitch)
        piece = self._rate / 10
        places = np.cumsum([0] + [len(token) + 1 for token in text.split()[:-1]]).tolist()
        if sorted(self._starts) != places or sorted(self._ends) != places:
            raise PronunciationError(f"RHVoice spoke {len(self._starts)} of {len(words)} words: {text}")
        shares = [
            ((self._starts[at] + piece / 2) / self._samples, (self._ends[at] + piece / 2) / self._samples)
            for at in places
        ]
        self._speak(text, voice, rate, pitch)
        samples = to_rate(np.frombuffer(b"".join(self._pcm), np.int16), self._rate)
        duration = len(samples) / RATE
        return Speech(samples, named(words, [(s * duration, e * duration) for s, e in shares], "RHVoice"))

    def _speak(self, text: str, voice: str, rate: float, pitch: float) -> None:
        lib = self._lib
        for taken in (self._pcm, self._starts, self._ends):
            taken.clear()
        self._samples = 0
        encoded = text.encode()
        parameters = _SynthParams(
            voice_profile=voice.encode(), relative_rate=rate, relative_pitch=pitch, relative_volume=1
        )
        message = ctypes.c_void_p(
            lib.RHVoice_new_message(
                self._engine, encoded, len(encoded), _TEXT, ctypes.byref(parameters), None
            )
        )
        if not message:
            raise UserError(f"RHVoice has no voice {voice!r}; it has {', '.join(VOICES)}")
        try:
            lib.RHVoice_speak(message)
        finally:
            lib.RHVoice_delete_message(message)


@functools.cache
def synthesiser() -> RHVoice:
    """The process's one RHVoice."""
    return RHVoice()
