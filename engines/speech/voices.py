"""How text becomes speech whose word times are known: espeak-ng, flite, festival.

The synthesisers are Debian packages (`espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k
festvox-us-slt-hts`). espeak-ng and flite run inside this process through their C libraries, festival as one
process a batch. Word times come from the synthesiser's own timing, never from the sound.
"""

import ctypes
import functools
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from nodes.runtime.errors import UserError

RATE = 16_000
DEBIAN = "espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"

# Respellings that every voice's phone output was checked with; all other words are spoken as written.
_LETTER_NAMES = {"a": "ay", "z": "zed"}  # flite, festival: both use CMU's lexicon
_ESPEAK_LETTERS = {"a": "eigh", "z": "zed"}


class PronunciationError(ValueError):
    """The synthesiser did not speak one word for each word it was given."""


@dataclass(frozen=True)
class Speech:
    """One utterance. samples: float32 (n,) at 16 kHz, within ±1; words: (text, start, end) in seconds."""

    samples: NDArray[np.float32]
    words: tuple[tuple[str, float, float], ...]


def to_rate(samples: NDArray[np.generic], rate: int) -> NDArray[np.float32]:
    """Int16 or float samples (n,) at `rate` Hz, as float32 at 16 kHz."""
    floats = samples.astype(np.float32)
    if samples.dtype == np.int16:
        floats /= 32768
    if rate != RATE:
        divisor = gcd(RATE, rate)
        floats = resample_poly(floats, RATE // divisor, rate // divisor).astype(np.float32)
    return floats


def trim(speech: Speech, margin: float) -> Speech:
    """`speech` from `margin` seconds before its first word to as long after its last one."""
    start = max(round((speech.words[0][1] - margin) * RATE), 0)
    end = round((speech.words[-1][2] + margin) * RATE)
    words = tuple((text, begin - start / RATE, stop - start / RATE) for text, begin, stop in speech.words)
    return Speech(speech.samples[start:end], words)


def _library(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise UserError(f"{name} not found; it makes training speech: apt-get install {DEBIAN}") from None


# --- espeak-ng (formant synthesis) -----------------------------------------------------------------


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
        self._lib = _library("libespeak-ng.so.1")
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
            text += _ESPEAK_LETTERS.get(word, word) + ("," if index in commas else "") + " "
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


# --- flite (unit-free statistical voices awb, rms, slt; diphone voice kal16) -----------------------


class _FliteWave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _FliteVoice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


FLITE_VOICES = ("awb", "rms", "slt", "kal16")


class Flite:
    """flite 2.2 with the four voices of Debian's package."""

    def __init__(self) -> None:
        lib = self._lib = _library("libflite.so.1")
        pointers = ["flite_synth_text", "utt_wave", "utt_relation", "relation_head", "item_next"]
        for name in (*pointers, "item_parent", "item_as", "path_to_item"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.flite_ffeature_string.restype = ctypes.c_char_p
        lib.flite_ffeature_float.restype = ctypes.c_float
        lib.flite_init()
        self._voices: dict[str, ctypes.c_void_p] = {}
        for name in FLITE_VOICES:
            register = getattr(_library(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
            register.restype = ctypes.c_void_p
            self._voices[name] = ctypes.c_void_p(register(None))

    def say(
        self,
        words: Sequence[str],
        voice: str,
        *,
        stretch: float = 1.0,
        f0_mean: float | None = None,
        commas: frozenset[int] = frozenset(),
    ) -> Speech:
        """Speaks `words`; `stretch` times as long as the voice's own pace, at `f0_mean` Hz on average."""
        lib, handle = self._lib, self._voices[voice]
        features = ctypes.c_void_p(ctypes.cast(handle, ctypes.POINTER(_FliteVoice)).contents.features)
        lib.feat_set_float(features, b"duration_stretch", ctypes.c_float(stretch))
        if f0_mean is None:
            lib.feat_remove(features, b"int_f0_target_mean")
        else:
            lib.feat_set_float(features, b"int_f0_target_mean", ctypes.c_float(f0_mean))
        utterance = ctypes.c_void_p(lib.flite_synth_text(_respell(words, commas).encode(), handle))
        try:
            pcm = ctypes.cast(lib.utt_wave(utterance), ctypes.POINTER(_FliteWave)).contents
            samples = np.ctypeslib.as_array(pcm.samples, (pcm.num_samples,)).copy()
            speech = Speech(to_rate(samples, pcm.sample_rate), self._times(utterance, words))
        finally:
            lib.delete_utterance(utterance)
        return speech

    def _times(
        self, utterance: ctypes.c_void_p, words: Sequence[str]
    ) -> tuple[tuple[str, float, float], ...]:
        lib, times = self._lib, []
        first, last = (
            b"R:SylStructure.daughter1.daughter1.R:Segment.p.end",
            b"R:SylStructure.daughtern.daughtern",
        )
        item = lib.relation_head(ctypes.c_void_p(lib.utt_relation(utterance, b"Word")))
        while item:
            word = ctypes.c_void_p(item)
            end = lib.flite_ffeature_float(word, last + b".R:Segment.end")
            times.append((lib.flite_ffeature_float(word, first), end))
            item = lib.item_next(word)
        return _named(words, times, "flite")


def _respell(words: Sequence[str], commas: frozenset[int]) -> str:
    spoken = (_LETTER_NAMES.get(word, word) + ("," if i in commas else "") for i, word in enumerate(words))
    return " ".join(spoken)


def _named(
    words: Sequence[str], times: Sequence[tuple[float, float]], synthesiser: str
) -> tuple[tuple[str, float, float], ...]:
    if len(times) != len(words):
        raise PronunciationError(f"{synthesiser} spoke {len(times)} of {len(words)} words: {' '.join(words)}")
    return tuple((word, start, end) for word, (start, end) in zip(words, times, strict=True))


# --- festival (diphone voices, one HTS voice) ------------------------------------------------------

FESTIVAL_VOICES = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")

_FESTIVAL_SCRIPT = """
(define (say_one n stretch text)
  (Parameter.set 'Duration_Stretch stretch)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt (format nil "{folder}/%d.wav" n) 'riff)
    (format t "utterance %d\\n" n)
    (mapcar (lambda (word) (format t "%f %f\\n" (item.feat word "word_start") (item.feat word "word_end")))
            (utt.relation.items utt 'Word))))
(voice_{voice})
"""


def festival_say(
    sentences: Sequence[Sequence[str]],
    voice: str,
    *,
    stretches: Sequence[float],
    commas: Sequence[frozenset[int]],
) -> list[Speech | None]:
    """Speaks every sentence with one festival process; None where it did not speak word for word."""
    with tempfile.TemporaryDirectory() as folder:
        script = _FESTIVAL_SCRIPT.format(folder=folder, voice=voice)
        for index, sentence in enumerate(sentences):
            script += f'(say_one {index} {stretches[index]:.3f} "{_respell(sentence, commas[index])}")\n'
        path = Path(folder) / "say.scm"
        path.write_text(script)
        command = ["festival", "--batch", str(path)]
        try:
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or str(error)
            raise UserError(
                f"festival cannot speak with {voice}: {why.strip()[:200]}; apt-get install {DEBIAN}"
            ) from None
        spoken: list[Speech | None] = []
        for block in output.split("utterance ")[1:]:
            number, *lines = block.strip().splitlines()
            times = [(float(start), float(end)) for start, end in (line.split()[:2] for line in lines)]
            try:
                named = _named(sentences[int(number)], times, "festival")
            except PronunciationError:
                spoken.append(None)
                continue
            with wave.open(f"{folder}/{number}.wav") as file:
                pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
                spoken.append(Speech(to_rate(pcm, file.getframerate()), named))
        return spoken


@functools.cache
def espeak() -> Espeak:
    """The process's one espeak-ng."""
    return Espeak()


@functools.cache
def flite() -> Flite:
    """The process's one flite."""
    return Flite()
