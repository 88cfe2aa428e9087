"""The three speech engines on one stream of chunks: the only owner of their state.

The audio engine hears sound alone, whatever is seen, so that without a camera, or with one, its own words are
the same bit for bit.  Which head speaks is settled for each chunk (see ``fallback``): the fusion engine's
where there is sound and a trusted face, else the one that is left.  An engine with nothing to work on is not
run; its state starts anew when the aligner says so, the fusion's also when it has not run for more than a
chunk.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from engines.engine import Arrays, ModelError, Opener, open_engine
from engines.speech.features import BANDS, LogMel
from engines.stream import Stream
from nodes.perception.fallback import Fallback, face_quality
from nodes.runtime.align import Chunk
from nodes.runtime.messages import CHUNK_FRAMES, MOUTH_SIZE

HEARD_BY = {"av": "av", "audio": "a", "video": "v", "none": ""}


@dataclass(frozen=True)
class Heard:
    """What the engines make of one chunk.

    log_probs: float32 [4, V] of the head that speaks, None in mode "none".  voice: float32 [4].

    modalities: reliability 0..1 of "audio" and "video": by the fusion engine's gate in mode "av"; else 1 for
    sound that is there, and the mean quality of the faces that are.
    sound, lips: float32 [4, 64], what voice and lips agree by; None where there is none.  seen: bool [4].
    """

    mode: str
    log_probs: np.ndarray | None
    voice: np.ndarray
    temperature: float
    modalities: dict[str, float]
    sound: np.ndarray | None = None
    lips: np.ndarray | None = None
    seen: np.ndarray | None = None

    @property
    def heard_by(self) -> str:
        return HEARD_BY[self.mode]


class Recogniser:
    """``hear`` chunk after chunk.  tokens: the words, index 0 the blank.

    Raises ModelError where a file of ``folder`` is missing, is not the model its name says, or does not go
    with the others.
    """

    def __init__(self, folder: Path, opener: Opener = open_engine) -> None:
        load = partial(Stream, opener=opener)
        frames = (1, CHUNK_FRAMES)
        self._audio = load(folder / "audio.onnx", {"features": (1, 4 * CHUNK_FRAMES, BANDS)})
        self._video = load(
            folder / "video.onnx", {"mouths": (*frames, MOUTH_SIZE, MOUTH_SIZE), "valid": frames}, {"mouths"}
        )
        widths = {"audio": self._audio.shape("encoding"), "video": self._video.shape("encoding")}
        valid = {"audio_valid": frames, "video_valid": frames}
        self._fusion = load(folder / "fusion.onnx", {**widths, **valid})
        self.tokens = _read_tokens(self._audio)
        words = {"log_probs": (*frames, len(self.tokens)), "voice": frames}
        encoded = {**words, "agreement": (*frames, 64)}
        self._audio.give(encoded)
        self._video.give(encoded)
        self._fusion.give({**words, "reliability": (*frames, 2)})
        for stream in (self._video, self._fusion):
            if _read_tokens(stream) != self.tokens:
                raise ModelError(
                    f"{stream.path}: knows other words than the audio model beside it; use one export"
                )
        self._mel = LogMel()
        self._fallback = Fallback()
        self._unfused = 0

    def hear(self, chunk: Chunk) -> Heard:
        """Run what the chunk has evidence for; the mode's head speaks."""
        if chunk.audio_reset:
            self._audio.reset()
            self._mel.reset()
        if chunk.video_reset:
            self._video.reset()
        if chunk.audio_reset or chunk.video_reset or self._unfused > 1:
            self._fusion.reset()
        mode = self._fallback.choose(chunk)
        sound = self._hear_sound(chunk)
        lips, valid = self._read_lips(chunk)
        self._unfused = 0 if mode == "av" else self._unfused + 1
        modalities = {"audio": float(sound is not None), "video": round(face_quality(chunk), 4)}
        if mode == "none":
            silence = np.zeros(CHUNK_FRAMES, np.float32)
            return Heard(mode, None, silence, 1.0, modalities)
        if mode == "av" and sound is not None and lips is not None:
            speaks, temperature = self._fuse(sound, lips, valid), self._fusion.temperature
            weights = speaks["reliability"][0].mean(axis=0)
            modalities = {"audio": round(float(weights[0]), 4), "video": round(float(weights[1]), 4)}
        elif sound is not None:
            speaks, temperature = sound, self._audio.temperature
        else:
            assert lips is not None
            speaks, temperature = lips, self._video.temperature
        return Heard(
            mode,
            speaks["log_probs"][0],
            speaks["voice"][0],
            temperature,
            modalities,
            sound["agreement"][0] if sound is not None else None,
            lips["agreement"][0] if lips is not None else None,
            valid[0] > 0,
        )

    def _hear_sound(self, chunk: Chunk) -> Arrays | None:
        if chunk.samples is None:
            return None
        return self._audio.run({"features": self._mel.push(chunk.samples)[None]})

    def _read_lips(self, chunk: Chunk) -> tuple[Arrays | None, np.ndarray]:
        valid = np.zeros((1, CHUNK_FRAMES), np.float32)
        mouths = np.zeros((1, CHUNK_FRAMES, MOUTH_SIZE, MOUTH_SIZE), np.uint8)
        for i, face in enumerate(chunk.faces):
            if face is not None:
                mouths[0, i], valid[0, i] = face.mouth, face.quality
        return (self._video.run({"mouths": mouths, "valid": valid}) if valid.any() else None), valid

    def _fuse(self, sound: Arrays, lips: Arrays, valid: np.ndarray) -> Arrays:
        return self._fusion.run(
            {
                "audio": sound["encoding"],
                "video": lips["encoding"],
                "audio_valid": np.ones_like(valid),
                "video_valid": valid,
            }
        )


def _read_tokens(stream: Stream) -> list[str]:
    try:
        tokens = json.loads(stream.metadata.get("tokens", ""))
    except json.JSONDecodeError:
        tokens = None
    if not isinstance(tokens, list) or len(tokens) < 2 or not all(isinstance(t, str) for t in tokens):
        raise ModelError(f"{stream.path}: its metadata has no list of tokens; re-export it")
    return tokens
