"""Speech by flite (three statistical voices and one of diphones), through its C library, in this process."""

import ctypes
import functools
from collections.abc import Sequence

import numpy as np

from engines.speech.voices import Speech, library, named, respell, to_rate


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


VOICES = ("awb", "rms", "slt", "kal16")


class Flite:
    """flite 2.2 with the four voices of Debian's package."""

    def __init__(self) -> None:
        lib = self._lib = library("libflite.so.1")
        for name in ("flite_synth_text", "utt_wave", "utt_relation", "relation_head", "item_next"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.flite_ffeature_float.restype = ctypes.c_float
        lib.flite_init()
        self._voices: dict[str, ctypes.c_void_p] = {}
        for name in VOICES:
            register = getattr(library(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
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
        utterance = ctypes.c_void_p(lib.flite_synth_text(respell(words, commas).encode(), handle))
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
        # A segment has only an end: a word starts where the segment before its first one ends.
        before = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"
        last = b"R:SylStructure.daughtern.daughtern.R:Segment.end"
        item = lib.relation_head(ctypes.c_void_p(lib.utt_relation(utterance, b"Word")))
        while item:
            word = ctypes.c_void_p(item)
            times.append((lib.flite_ffeature_float(word, before), lib.flite_ffeature_float(word, last)))
            item = lib.item_next(word)
        return named(words, times, "flite")


@functools.cache
def synthesiser() -> Flite:
    """The process's one flite."""
    return Flite()
