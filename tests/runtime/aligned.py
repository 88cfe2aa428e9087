"""Sound, faces and gaps to align, a clock to do it by, and what holds for all chunks."""

from itertools import pairwise

import numpy as np

from nodes.runtime.align import Aligner
from nodes.runtime.messages import Audio, Face, Gap
from nodes.runtime.node import Context

MS = 1_000_000
SECOND = 1_000 * MS
MOUTH = np.zeros((88, 88), np.uint8)
SMALL = np.zeros((64, 64), np.uint8)
LANDMARKS = np.zeros((5, 2), np.float32)


def face(start_ns, seq, period_ns=40 * MS, epoch=0, track=0, stream="camera"):
    return Face(
        stream=stream,
        seq=seq,
        epoch=epoch,
        t_start_ns=int(start_ns),
        t_end_ns=int(start_ns + period_ns),
        mouth=MOUTH,
        face=SMALL,
        box=(0.0, 0.0, 1.0, 1.0),
        landmarks=LANDMARKS,
        quality=1.0,
        track=track,
    )


def faces(until_s, fps=25.0, phase_ns=0, from_s=0.0, jitter=(), **more):
    period = SECOND / fps
    count = int((until_s - from_s) * fps)
    shifts = [*jitter, *[0] * count]
    return [
        face(from_s * SECOND + phase_ns + i * period + shifts[i], i, int(period), **more)
        for i in range(count)
    ]


def sound(until_s, block=160, from_s=0.0, seq=0, epoch=0, rate=1.0, first=None):
    """Blocks of a ramp that counts the device's samples, so that every sample can be told from every other.

    rate: seconds of the host for each second of the device.
    """
    out, position = [], int(from_s * 16_000) if first is None else first
    start_ns = from_s * SECOND
    step_ns = block / 16_000 * SECOND * rate
    while start_ns + step_ns <= until_s * SECOND + 1:
        samples = np.arange(position, position + block, dtype=np.float32)
        out.append(
            Audio(
                stream="microphone",
                seq=seq,
                epoch=epoch,
                t_start_ns=round(start_ns),
                t_end_ns=round(start_ns + step_ns),
                samples=samples,
            )
        )
        position, seq, start_ns = position + block, seq + 1, start_ns + step_ns
    return out


def gap(of, start_s, end_s, seq=0, epoch=0):
    return Gap(
        stream="x",
        seq=seq,
        epoch=epoch,
        t_start_ns=round(start_s * SECOND),
        t_end_ns=round(end_s * SECOND),
        of=of,
        reason="unplugged",
    )


def by_time(*tracks):
    return sorted((m for track in tracks for m in track), key=lambda m: m.t_end_ns)


def replay(messages, **options):
    """The chunks of messages that are read as fast as they come."""
    aligner = Aligner(Context(name="transcribe", live=False), **options)
    chunks = []
    for message in messages:
        aligner.push([message])
        chunks += drain(aligner)
    return chunks


def drain(aligner):
    chunks = []
    while (chunk := aligner.pop()) is not None:
        chunks.append(chunk)
    return chunks


def check_timeline(chunks):
    for before, after in pairwise(chunks):
        assert after.t_start_ns == before.t_end_ns or after.jumped
        assert after.epoch >= before.epoch
        assert after.epoch > before.epoch or not after.audio_reset
    for chunk in chunks:
        assert len(chunk.faces) == len(chunk.frames_ns) == 4
        assert chunk.frames_ns[0] == chunk.t_start_ns
        assert list(chunk.frames_ns) == sorted(chunk.frames_ns)
        assert chunk.samples is None or (chunk.samples.shape == (2560,) and chunk.samples.dtype == np.float32)


def check_faces(chunks):
    used = [f.t_start_ns for chunk in chunks for f in chunk.faces if f is not None]
    assert used == sorted(set(used)), "a face was used twice or out of order"
    for chunk in chunks:
        for frame_ns, seen in zip(chunk.frames_ns, chunk.faces, strict=True):
            assert seen is None or abs(seen.t_start_ns - frame_ns) <= 20 * MS


def heard(chunks):
    pieces = [chunk.samples for chunk in chunks if chunk.samples is not None]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


class Live:
    """An aligner on a simulated host clock: messages arrive at their time, ``step`` is called every 20 ms."""

    def __init__(self, wired=None, silent_ns=lambda now_ns: None, **options):
        """silent_ns: for how long the other host that the faces come from is not heard."""
        self.now_ns = 0
        context = Context(
            name="transcribe",
            now_ns=lambda: self.now_ns,
            wired=wired,
            silent_ns=lambda port: silent_ns(self.now_ns) if port == "face" else None,
        )
        self.aligner = Aligner(context, **options)
        self.released = []

    def run(self, arrivals, until_s):
        """arrivals: (host ns, message) pairs."""
        waiting = sorted(arrivals, key=lambda pair: pair[0])
        while self.now_ns < until_s * SECOND:
            due = [m for at, m in waiting if at <= self.now_ns]
            waiting = waiting[len(due) :]
            self.aligner.push(due)
            self.released += [(self.now_ns, chunk) for chunk in drain(self.aligner)]
            self.now_ns += 5 * MS
        return self.released


def arriving(messages, delay_ms=20):
    return [(m.t_end_ns + delay_ms * MS, m) for m in messages]
