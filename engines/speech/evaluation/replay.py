"""A clip as the messages that its sound and its faces are live, by the nodes that make them live."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.speech.layouts import Clip, Times
from nodes.perception.face import Face
from nodes.runtime.messages import FRAME_NS, Audio, Gap, Message, Picture
from nodes.runtime.node import Context
from nodes.sources.container import SAMPLE_NS, probe
from nodes.sources.media import Media

Sound = NDArray[np.float32]
Cover = Callable[[Picture], Picture]

# A single word is cut close; live there is always something before it, and silence after it.
QUIET_NS = 520_000_000
TAIL_NS = 1_000_000_000
BLOCK = 320


@dataclass(frozen=True)
class Take:
    """sound, faces: messages from time 0 on.  end_ns: where the last of them ends.

    words: what is said; times: when, in seconds, empty where that is not known.
    joints_ns: where a sentence ends and the next begins, see ``talk``.
    """

    clip: Clip
    words: tuple[str, ...]
    times: Times
    sound: list[Message]
    faces: list[Message]
    end_ns: int
    joints_ns: tuple[int, ...] = ()

    @property
    def samples(self) -> Sound:
        """All of the sound from time 0 on, zeros where there is none: float32 [n]."""
        whole = np.zeros(self.end_ns // SAMPLE_NS, np.float32)
        for message in self.sound:
            if isinstance(message, Audio):
                first = message.t_start_ns // SAMPLE_NS
                piece = message.samples[: len(whole) - first]
                whole[first : first + len(piece)] = piece
        return whole

    def with_sound(self, samples: Sound) -> list[Message]:
        """The same messages with other sound in them."""
        other: list[Message] = []
        for message in self.sound:
            if isinstance(message, Audio):
                first = message.t_start_ns // SAMPLE_NS
                piece = samples[first : first + len(message.samples)]
                message = msgspec.structs.replace(
                    message, samples=np.pad(piece, (0, len(message.samples) - len(piece)))
                )
            other.append(message)
        return other


@dataclass
class Played:
    """The messages of a file's sound and of the faces in it."""

    sound: list[Message] = field(default_factory=list)
    faces: list[Message] = field(default_factory=list)


def record(clip: Clip) -> Take:
    """Raises UserError for media or a transcript that cannot be read."""
    words, times = clip.words(), clip.times()
    with ExitStack() as stack:
        media = stack.enter_context(clip.media.on_disk())
        elsewhere = clip.sound is not None and not probe(str(media)).sound
        kept = play(media)
        if elsewhere and clip.sound is not None:
            kept.sound = play(stack.enter_context(clip.sound.on_disk())).sound
    end_ns = max(message.t_end_ns for message in (*kept.sound, *kept.faces))
    if clip.isolated:
        kept.sound = _amid_quiet(kept.sound)
        end_ns = kept.sound[-1].t_end_ns
        kept.faces = nothing("face", 0, end_ns)
        times = tuple((word, start + QUIET_NS / 1e9, end + QUIET_NS / 1e9) for word, start, end in times)
    return Take(clip, words, times, kept.sound, kept.faces, end_ns)


def faces_of(clip: Clip, cover: Cover) -> list[Message]:
    """What the face node makes of the clip's pictures when something covers a part of each."""
    with clip.media.on_disk() as media:
        return play(media, cover).faces


def nothing(of: str, start_ns: int, end_ns: int, first: int = 0) -> list[Message]:
    """Gaps of a frame."""
    starts = range(start_ns, end_ns, FRAME_NS)
    return [
        Gap(
            stream="evaluation",
            seq=first + i,
            epoch=0,
            t_start_ns=t,
            t_end_ns=min(t + FRAME_NS, end_ns),
            of=of,
            reason="left out",
        )
        for i, t in enumerate(starts)
    ]


def play(media: Path, cover: Cover | None = None) -> Played:
    """What the media node and the face node make of a file, with something before the camera if ``cover``."""
    source, face, kept = Media(path=str(media), speed=0), Face(), Played()
    source.open(Context(name="file", live=False))
    face.open(Context(name="face", live=False))
    try:
        for message in messages_of(source):
            if message.port == "audio":
                kept.sound.append(message)
            else:
                seen = cover(message) if cover and isinstance(message, Picture) else message
                kept.faces += face.step([seen])
    finally:
        source.close()
        face.close()
    return kept


def messages_of(source: Media) -> Iterator[Message]:
    while not source.finished:
        ready: Sequence[Message] = source.step([])
        yield from ready
        if not ready:
            time.sleep(0.001)


def blocks(samples: Sound) -> list[Message]:
    """The sound in blocks of 20 ms from time 0 on, then nothing for a second."""
    sound: list[Message] = [
        Audio(
            stream="evaluation",
            seq=i,
            epoch=0,
            t_start_ns=first * SAMPLE_NS,
            t_end_ns=(first + BLOCK) * SAMPLE_NS,
            samples=samples[first : first + BLOCK],
        )
        for i, first in enumerate(range(0, len(samples) - BLOCK + 1, BLOCK))
    ]
    end_ns = sound[-1].t_end_ns
    return [*sound, *nothing("audio", end_ns, end_ns + TAIL_NS, len(sound))]


def _amid_quiet(sound: list[Message]) -> list[Message]:
    quiet = np.zeros(QUIET_NS // SAMPLE_NS, np.float32)
    pieces = [message.samples for message in sound if isinstance(message, Audio)]
    return blocks(np.concatenate([quiet, *pieces, quiet]))
