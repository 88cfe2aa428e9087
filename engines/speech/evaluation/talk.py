"""Several clips as one stream: a sentence, a pause in which nothing is said but the lips go on, the next.

What a model carries over the end of a sentence, or over a silence, shows in no clip of one sentence.
"""

import zlib
from dataclasses import dataclass

import msgspec
import numpy as np

from engines.speech.evaluation.replay import Take, blocks, record
from engines.speech.layouts import Clip
from nodes.runtime.messages import FRAME_NS, SAMPLE_RATE, Audio, Face, Message
from nodes.sources.container import SAMPLE_NS

PAUSES = (0, 8, 25, 50)  # frames added to what the clips have of silence
FRAME = FRAME_NS // SAMPLE_NS  # samples
TONE = SAMPLE_RATE // 5  # the last of a clip, of which a pause is made


@dataclass(frozen=True)
class Talk:
    """clips: all of one speaker."""

    clips: tuple[Clip, ...]

    @property
    def name(self) -> str:
        return "+".join(clip.name for clip in self.clips)

    @property
    def speaker(self) -> str:
        return self.clips[0].speaker


def take_of(clip: Clip | Talk) -> Take:
    """Raises UserError for media or a transcript that cannot be read."""
    return record(clip) if isinstance(clip, Clip) else joined(clip, [record(each) for each in clip.clips])


def talks(clips: list[Clip], sentences: int) -> list[Talk]:
    """So many clips after each other, each of them once; what is left over is left out."""
    by_speaker: dict[str, list[Clip]] = {}
    for clip in clips:
        by_speaker.setdefault(clip.speaker, []).append(clip)
    return [
        Talk(tuple(own[i : i + sentences]))
        for own in by_speaker.values()
        for i in range(0, len(own) - sentences + 1, sentences)
    ]


def joined(talk: Talk, takes: list[Take]) -> Take:
    """One take of all, with the pauses that the name of the talk draws."""
    rng = np.random.default_rng(zlib.crc32(talk.name.encode()))
    sound: list[np.ndarray] = []
    faces: list[Message] = []
    times: list[tuple[str, float, float]] = []
    joints: list[int] = []
    begin_ns = 0
    for i, take in enumerate(takes):
        # A clip ends with nothing at all, for as long as it takes to know that it has ended.
        samples = take.samples[: max(m.t_end_ns for m in take.sound if isinstance(m, Audio)) // SAMPLE_NS]
        frames = -(-len(samples) // FRAME)
        if i < len(takes) - 1:
            frames += int(rng.choice(PAUSES))
        tone = samples[-TONE:]
        rest = np.resize(np.concatenate([tone[::-1], tone]), frames * FRAME - len(samples))
        sound.append(np.concatenate([samples, rest]).astype(np.float32))
        faces += _faces(take.faces, begin_ns, frames * FRAME_NS, len(faces))
        times += [(word, t0 + begin_ns / 1e9, t1 + begin_ns / 1e9) for word, t0, t1 in take.times]
        begin_ns += frames * FRAME_NS
        joints.append(begin_ns)
    heard = blocks(np.concatenate(sound))
    words = tuple(word for take in takes for word in take.words)
    return Take(takes[0].clip, words, tuple(times), heard, faces, begin_ns, tuple(joints[:-1]))


def _faces(faces: list[Message], begin_ns: int, length_ns: int, first: int) -> list[Message]:
    """From ``begin_ns`` on; where the clip has no pictures any more, its last face goes on to the end."""
    last = max((i for i, message in enumerate(faces) if isinstance(message, Face)), default=len(faces) - 1)
    shown = [(message, message.t_start_ns, message.t_end_ns) for message in faces[: last + 1]]
    if shown and isinstance(faces[last], Face):
        ends = range(faces[last].t_end_ns + FRAME_NS, length_ns + 1, FRAME_NS)
        shown += [(faces[last], end_ns - FRAME_NS, end_ns) for end_ns in ends]
    return [
        msgspec.structs.replace(
            message, seq=first + i, t_start_ns=begin_ns + start_ns, t_end_ns=begin_ns + end_ns
        )
        for i, (message, start_ns, end_ns) in enumerate(shown)
    ]
