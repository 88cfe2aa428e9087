"""The three speech engines on one stream of chunks: the only owner of their state.

The audio engine hears sound alone, whatever is seen, so that without a camera, or with one, its own words are
the same bit for bit.  Which head speaks is settled for each chunk (see ``fallback``): the fusion engine's
where there is sound and a face, and for a while after (``CARRY_ON``), as far as the lips have earned it (see
``trust``); else the one that is left.  What sound and both say is told apart as well, for the words for good
(see ``hindsight``).  An engine with nothing to work on is not run; its state starts anew when the aligner
says so, the fusion's when another face is read or it was left off.  The video engine looks at every face in
view, with a state for each, so that whichever speaks can be read at once; words are read from one.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from engines.engine import Arrays, ModelError, Opener, open_engine
from engines.speech.features import BANDS, LogMel
from engines.stream import Stream
from nodes.perception.fallback import Fallback, face_quality
from nodes.perception.hindsight import Choice, Say
from nodes.perception.trust import Trust, blend
from nodes.runtime.align import Chunk
from nodes.runtime.facetrack import FaceId, identity
from nodes.runtime.messages import CHUNK_FRAMES, MOUTH_SIZE, Face

# Lips that go are soon back, or gone for long.  For so many chunks, 2 s, the fusion's head goes on without
# them: to change heads within a word can lose it, or say it twice.
CARRY_ON = 12
HEARD_BY = {"av": "av", "audio": "a", "video": "v", "none": ""}
LEAST = 0.05  # share of the say with which sound or lips count as heard or read
LIKENESS = 0.5  # of a model that was never calibrated


@dataclass(frozen=True)
class Evidence:
    """What the sound, or the lips of one face, say by themselves of who speaks in one chunk.

    agreement: float32 [4, 64].  The product of a frame's of sound and of lips is about 1 where they belong
    together as those do that the models know (``engines.speech.calibrate``), about 0 where they do not.
    voice: float32 [4], probability of speech.  there: bool [4], the frames that were heard or seen.
    """

    agreement: np.ndarray
    voice: np.ndarray
    there: np.ndarray


@dataclass(frozen=True)
class Heard:
    """What the engines make of one chunk.

    log_probs: float32 [4, V] of the head that speaks, None in mode "none".  voice: float32 [4].
    heard_by: of each frame "a", "v" or "av", what had a say in it; "" in mode "none".
    temperature: of the head that speaks.
    choices: of each frame what sound and both say, each by itself; empty where only one head says anything.

    modalities: reliability 0..1 of "audio" and "video": in mode "av" by the fusion engine, as far as the lips
    are trusted (see ``trust``); else 1 for sound that is there, and the mean quality of the faces that are.
    sound: None where it is missing.  lips: of every face in view.
    """

    mode: str
    log_probs: np.ndarray | None
    voice: np.ndarray
    heard_by: tuple[str, ...]
    temperature: float
    modalities: dict[str, float]
    sound: Evidence | None = None
    lips: dict[FaceId, Evidence] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()


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
        self._likeness = np.float32(self._audio.number("likeness", LIKENESS, 0.05, 1.0))
        self._mel = LogMel()
        self._fallback = Fallback()
        self._trust = Trust()
        self._readers: dict[FaceId, _Reader] = {}
        self._read: FaceId | None = None
        self._since_lips = CARRY_ON

    def hear(self, chunk: Chunk) -> Heard:
        """Run what the chunk has evidence for; the mode's head speaks."""
        if chunk.audio_reset:
            self._audio.reset()
            self._mel.reset()
        if chunk.audio_reset or self._since_lips >= CARRY_ON or _which(chunk.faces) not in (None, self._read):
            self._fusion.reset()
            self._trust.reset()
        mode = self._fallback.choose(chunk)
        sound = self._hear_sound(chunk)
        faces = self._look(chunk)
        valid = _valid(chunk.faces)
        read = faces.get(self._read) if self._read is not None and valid.any() else None
        self._since_lips = 0 if mode == "av" else self._since_lips + 1
        modalities = {"audio": float(sound is not None), "video": round(face_quality(chunk), 4)}
        temperature = 1.0
        heard_by = (HEARD_BY[mode],) * CHUNK_FRAMES
        speaks: Arrays | None = None
        choices: tuple[Choice, ...] = ()
        if sound is not None and self._since_lips < CARRY_ON:
            lips = read if mode == "av" else None
            both, gate = self._fuse(sound, lips, valid if lips is not None else np.zeros_like(valid))
            speaks = _between(sound, both, gate)
            temperature = (1 - gate) * self._audio.temperature + gate * self._fusion.temperature
            shares = both["reliability"][0] if lips is not None else np.array([[1, 0]] * CHUNK_FRAMES)
            choices = self._choices(sound, both, shares, gate)
            if lips is not None:
                weights = gate * shares + (1 - gate, 0)
                heard_by = tuple(_heard_by(*each) for each in weights.tolist())
                say = weights.mean(axis=0)
                modalities = {"audio": round(float(say[0]), 4), "video": round(float(say[1]), 4)}
        elif mode == "audio":
            speaks, temperature = sound, self._audio.temperature
        elif mode == "video":
            speaks, temperature = read, self._video.temperature
        return Heard(
            mode,
            speaks["log_probs"][0] if speaks is not None else None,
            speaks["voice"][0] if speaks is not None else np.zeros(CHUNK_FRAMES, np.float32),
            heard_by,
            temperature,
            modalities,
            _evidence(sound, np.ones_like(valid)) if sound is not None else None,
            {which: _evidence(found, self._readers[which].valid) for which, found in faces.items()},
            choices,
        )

    def _hear_sound(self, chunk: Chunk) -> Arrays | None:
        if chunk.samples is None:
            return None
        heard = self._audio.run({"features": self._mel.push(chunk.samples)[None]})
        return {**heard, "agreement": heard["agreement"] / self._likeness}

    def _look(self, chunk: Chunk) -> dict[FaceId, Arrays]:
        """What the video engine says of each face; the state of one out of sight for two chunks is let go."""
        read = _which(chunk.faces)
        if chunk.jumped:
            self._readers.clear()
        elif chunk.video_reset and read is not None and read == self._read:
            self._readers.pop(read, None)
        self._read = read or self._read
        found: dict[FaceId, Arrays] = {}
        for faces in (chunk.faces, *chunk.others):
            which = _which(faces)
            if which is not None and _valid(faces).any():
                reader = self._readers.setdefault(which, _Reader(self._video))
                found[which] = reader.look(faces)
        for which, reader in list(self._readers.items()):
            reader.missed = 0 if which in found else reader.missed + 1
            if reader.missed > 1:
                del self._readers[which]
        return found

    def _fuse(self, sound: Arrays, lips: Arrays | None, valid: np.ndarray) -> tuple[Arrays, float]:
        """What both say, and how far the lips are trusted."""
        encoding = lips["encoding"] if lips is not None else np.zeros_like(sound["encoding"])
        both = self._fusion.run(
            {
                "audio": sound["encoding"],
                "video": encoding,
                "audio_valid": np.ones_like(valid),
                "video_valid": valid,
            }
        )
        return both, self._trust.push(sound, lips, valid)

    def _choices(self, sound: Arrays, both: Arrays, shares: np.ndarray, gate: float) -> tuple[Choice, ...]:
        """shares: [4, 2], of sound and lips in what both say."""
        return tuple(
            Choice(
                Say(alone, "a", self._audio.temperature),
                Say(together, _heard_by(*each), self._fusion.temperature),
                gate,
                self._trust.trial,
            )
            for alone, together, each in zip(
                sound["log_probs"][0], both["log_probs"][0], shares.tolist(), strict=True
            )
        )


class _Reader:
    """The video engine on one face.  valid: [1, 4] of the last chunk.  missed: chunks without it since."""

    def __init__(self, video: Stream) -> None:
        self._video = video.fork()
        self.valid = np.zeros((1, CHUNK_FRAMES), np.float32)
        self.missed = 0

    def look(self, faces: tuple[Face | None, ...]) -> Arrays:
        mouths = np.zeros((1, CHUNK_FRAMES, MOUTH_SIZE, MOUTH_SIZE), np.uint8)
        for i, face in enumerate(faces):
            if face is not None:
                mouths[0, i] = face.mouth
        self.valid = _valid(faces)
        return self._video.run({"mouths": mouths, "valid": self.valid})


def _between(sound: Arrays, both: Arrays, gate: float) -> Arrays:
    """What is heard with lips that are trusted so far."""
    return {
        "log_probs": blend(sound["log_probs"], both["log_probs"], gate),
        "voice": sound["voice"] + np.float32(gate) * (both["voice"] - sound["voice"]),
    }


def _heard_by(sound: float, lips: float) -> str:
    """Of a frame, by the share of the say that each has in it."""
    least = LEAST * (sound + lips)
    return "a" * (sound >= least) + "v" * (lips > least) or "a"


def _evidence(outputs: Arrays, valid: np.ndarray) -> Evidence:
    return Evidence(outputs["agreement"][0], outputs["voice"][0], valid[0] > 0)


def _which(faces: tuple[Face | None, ...]) -> FaceId | None:
    return next((identity(face) for face in faces if face is not None), None)


def _valid(faces: tuple[Face | None, ...]) -> np.ndarray:
    """float32 [1, 4]: the quality of each, 0 where there is none."""
    return np.array([[face.quality if face is not None else 0.0 for face in faces]], np.float32)


def _read_tokens(stream: Stream) -> list[str]:
    try:
        tokens = json.loads(stream.metadata.get("tokens", ""))
    except (ValueError, RecursionError):
        tokens = None
    if not isinstance(tokens, list) or len(tokens) < 2 or not all(isinstance(t, str) for t in tokens):
        raise ModelError(f"{stream.path}: its metadata has no list of tokens; re-export it")
    return tokens
