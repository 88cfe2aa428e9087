"""Sound and faces to chunks of 160 ms on one timeline, whatever pace, order and holes they come with.

Sound is the master: a frame is 640 samples in a row whatever the clocks say, its host time is interpolated
in the block it lies in, and the face nearest to it within half a frame goes with it.  A hole in the sound
costs the chunks it touches (``samples`` is None, nothing is padded); the timeline goes on through it in steps
of 160 ms, by the faces, by ``Gap``, or by the host's clock, and the sound joins again at the next chunk.

Waiting.  A chunk goes out when both inputs are known past its end.  Live, it waits no longer than ``wait_ms``
after its sound is complete: then the faces are late, and they are not waited for again before they have
caught up with the timeline.  Faces from another host are waited for up to 400 ms, since a packet that was
lost is sent again, and again; but not once the link is cut, which is when the host has given no sign of life
for 160 ms.  A chunk that the cut divides keeps no face, so that it is told at once that there is sound alone.
Sound is waited for as long as it gets on at all; it is silent once nothing new, not even a ``Gap``, has come
for 400 ms and one of its blocks, longer than a busy machine holds it up.  Not live, no clock is read, so the
same messages give the same chunks: only an input 30 s behind is given up.  An input that nothing is connected
to is never waited for.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nodes.runtime.facetrack import FaceId, FaceTrack, by_face, identity
from nodes.runtime.messages import CHUNK_FRAMES, CHUNK_NS, FRAME_NS, Audio, Face, Gap, Message
from nodes.runtime.node import Context
from nodes.runtime.soundtrack import Look, Sound, SoundTrack

# Where neither input has anything for so long, the timeline skips it.
JUMP_NS = 2_000_000_000
MAX_LAG_NS = 30_000_000_000
FAR_WAIT_NS = 400_000_000  # a packet that is lost three times, at 80 ms there and back
CUT_NS = 160_000_000  # of eight questions none is answered; a busy machine answers late, too
SILENT_NS = 400_000_000
MAX_BLOCK_NS = 500_000_000


@dataclass(frozen=True)
class Chunk:
    """Four frames of 40 ms.

    samples: float32 [2560], or None where some are missing.
    faces: those of the face that is read, one for each frame, None where none is near.  others: the same of
    every other face in view.  frames_ns: start of each frame.
    ``t_start_ns`` is the ``t_end_ns`` of the chunk before, unless the timeline ``jumped``.
    audio_reset, video_reset: why state kept for that input must start anew with this chunk, or "".
    epoch: rises with every reset of the sound, and with those of the picture while it is all there is.
    """

    t_start_ns: int
    t_end_ns: int
    epoch: int
    samples: np.ndarray | None
    faces: tuple[Face | None, ...]
    frames_ns: tuple[int, ...]
    jumped: bool = False
    audio_reset: str = ""
    video_reset: str = ""
    others: tuple[tuple[Face | None, ...], ...] = ()


class Aligner:
    """``push`` Audio, Face and Gap messages as they come; ``pop`` chunks until None.

    The face that is read is the first that is seen, and when it is out of sight for more than a chunk, the
    most prominent of the others; ``read`` says that it is another.
    """

    def __init__(self, context: Context, *, wait_ms: int = 80) -> None:
        self._context = context
        self._wait_ns = wait_ms * 1_000_000
        wired = context.wired if context.wired is not None else frozenset({"audio", "face"})
        self._has_sound, self._has_faces = "audio" in wired, "face" in wired
        self._sound = SoundTrack()
        self._faces = FaceTrack()
        self._cursor: int | None = None
        self._jumped = False
        self._arrival_ns = self._now()
        self._sound_known_at: int | None = None
        self._faces_late = False
        self._read: FaceId | None = None
        self._out_of_sight = 0
        self._ended = False
        self._resets = _Resets(context.epoch)

    @property
    def dropped(self) -> dict[str, Counter[str]]:
        """What was dropped, by input and rule."""
        return {"audio": self._sound.dropped, "face": self._faces.dropped}

    def push(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, Face) or (isinstance(message, Gap) and message.of == "face"):
                self._faces.put(message)
            elif isinstance(message, Audio) or (isinstance(message, Gap) and message.of == "audio"):
                mark = self._sound.mark_ns
                if self._sound.put(message):
                    self._faces.restart()
                    self._cursor, self._jumped = None, True
                # Sound is alive as long as it gets on, wherever it has got to.
                if self._sound.mark_ns != mark:
                    self._arrival_ns = self._now()

    def read(self, face: FaceId) -> None:
        """From the next chunk on ``face`` is the one that is read."""
        self._read, self._out_of_sight = face, 0

    def end(self) -> None:
        """Nothing more will be pushed: no picture is waited for any more."""
        self._ended = True

    def pop(self) -> Chunk | None:
        """The next chunk, or None while it has to be waited for."""
        start = self._first() if self._cursor is None else self._over_nothing(self._cursor)
        if start is None:
            return None
        if self._cursor is None:
            self._sound_known_at = None
        self._cursor = start
        sound = self._sound.look(start)
        if sound is Look.WAIT and not self._sound_given_up(start + CHUNK_NS):
            return None
        end = sound.times_ns[-1] if isinstance(sound, Sound) else start + CHUNK_NS
        complete = self._faces.complete(end)
        if not complete and not self._faces_given_up(end, known=sound is not Look.WAIT):
            return None
        return self._chunk(start, end, sound, divided=not complete and self._cut)

    def _chunk(self, start: int, end: int, sound: Sound | Look, divided: bool) -> Chunk:
        """divided: the link to the faces was cut in the middle of it."""
        if isinstance(sound, Sound):
            self._sound.take()
            frames, samples, epoch = sound.times_ns[:-1], sound.samples, sound.epoch
        else:
            self._sound.skip()
            frames, samples, epoch = tuple(start + i * FRAME_NS for i in range(CHUNK_FRAMES)), None, None
        faces, others = self._pick(frames)
        if divided and samples is not None:
            faces, others = (None,) * len(frames), ()
        audio_reset, video_reset = self._resets.update(epoch, faces, self._jumped)
        chunk = Chunk(
            start,
            end,
            self._resets.epoch,
            samples,
            faces,
            frames,
            self._jumped,
            audio_reset,
            video_reset,
            others,
        )
        self._cursor, self._jumped, self._sound_known_at = end, False, None
        return chunk

    def _pick(
        self, frames: tuple[int, ...]
    ) -> tuple[tuple[Face | None, ...], tuple[tuple[Face | None, ...], ...]]:
        """The pictures of the face that is read, and of each other."""
        seen = by_face(self._faces.pick(frames))
        self._out_of_sight = 0 if self._read in seen else self._out_of_sight + 1
        same_camera = any(self._read is not None and face[:2] == self._read[:2] for face in seen)
        if seen and (self._out_of_sight > 1 or (self._out_of_sight and not same_camera)):
            self._read, self._out_of_sight = next(iter(seen)), 0
        faces: tuple[Face | None, ...] = (None,) * len(frames)
        if self._read is not None:
            faces = seen.pop(self._read, faces)
        return faces, tuple(seen.values())

    def _now(self) -> int:
        return self._context.now_ns() if self._context.live else 0

    @property
    def _cut(self) -> bool:
        """Whether the faces come from another host, and it gives no sign of life."""
        silent_ns = self._context.silent_ns("face")
        return silent_ns is not None and silent_ns >= CUT_NS

    def _patience_ns(self) -> int:
        """How late a face may be."""
        if self._context.silent_ns("face") is None:
            return self._wait_ns
        return 0 if self._cut else max(self._wait_ns, FAR_WAIT_NS)

    def _caught_up_ns(self, end: int, now: int) -> int:
        """How far faces that were late must have come to be waited for again."""
        far = self._context.silent_ns("face") is not None
        return min(end - CHUNK_NS, now - self._patience_ns()) if far else end - CHUNK_NS

    def _sound_given_up(self, end: int) -> bool:
        if not self._has_sound:
            return True
        if not self._context.live:
            return _far_behind(self._faces.mark_ns, end)
        patience = SILENT_NS + min(self._sound.block_ns, MAX_BLOCK_NS)
        return self._now() - self._arrival_ns > patience

    def _faces_given_up(self, end: int, *, known: bool) -> bool:
        """known: the sound of the chunk, or its hole, has come by itself rather than been given up."""
        if known and (self._ended or not self._has_faces):
            return True
        if not self._context.live:
            return _far_behind(self._sound.mark_ns, end)
        now = self._now()
        if self._faces.mark_ns is not None and self._faces.mark_ns >= self._caught_up_ns(end, now):
            self._faces_late = False
        if not known:
            deadline = end + self._patience_ns()
        elif self._faces_late:
            return True
        else:
            if self._sound_known_at is None:
                self._sound_known_at = now
            deadline = self._sound_known_at + self._patience_ns()
        self._faces_late = now >= deadline
        return self._faces_late

    def _first(self) -> int | None:
        """Where the timeline starts: on the first sample, or whole chunks of faces before it."""
        sound, face = self._sound.next_ns(), self._faces.next_ns()
        marks = [mark for mark in (self._sound.mark_ns, self._faces.mark_ns) if mark is not None]
        first = sound if sound is not None else face if face is not None else min(marks, default=self._now())
        if self._sound.mark_ns is None and not self._sound_given_up(first):
            return None
        if self._faces.mark_ns is None and not self._faces_given_up(first, known=True):
            return None
        early = sound - face if sound is not None and face is not None else 0
        return first - max(0, early // CHUNK_NS) * CHUNK_NS

    def _over_nothing(self, start: int) -> int:
        """``start``, or the end of more than 2 s from there in which neither input has anything."""
        known, horizon = self._known_ns(start + CHUNK_NS), start + JUMP_NS
        if self._sound.locked or known < horizon:
            return start
        ahead = [t for t in (self._sound.next_ns(), self._faces.next_ns()) if t is not None]
        target = min(ahead, default=known)
        if target < horizon:
            return start
        self._jumped = True
        return target

    def _known_ns(self, end: int) -> int:
        """How far both inputs are known; one that was given up counts as far as the clock or the other is."""
        sound, faces = self._sound.mark_ns, self._faces.mark_ns
        live, now = self._context.live, self._now() - self._wait_ns
        if self._sound_given_up(end):
            sound = now if live else faces
        late = self._faces_late if live else _far_behind(self._sound.mark_ns, end)
        if late or not self._has_faces:
            faces = now if live else sound
        return min(sound or 0, faces or 0)


def _far_behind(other_mark_ns: int | None, end_ns: int) -> bool:
    return other_mark_ns is not None and other_mark_ns - end_ns > MAX_LAG_NS


class _Resets:
    """When streaming state must start anew: another source, another face, more than one chunk without any."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._source: int | None = None
        self._face: FaceId | None = None
        self._deaf = self._blind = 0

    def update(self, source: int | None, faces: tuple[Face | None, ...], jumped: bool) -> tuple[str, str]:
        seen = next((face for face in faces if face is not None), None)
        face = identity(seen) if seen else None
        audio = video = "the timeline jumped" if jumped else ""
        if source is not None:
            if self._source is not None and not audio:
                audio = _reason(source != self._source, self._deaf, "microphone restarted", "sound")
            self._source = source
        if face is not None:
            if self._face is not None and not video:
                video = _reason(face != self._face, self._blind, "another face or camera", "face")
            self._face = face
        self._deaf = 0 if source is not None else self._deaf + 1
        self._blind = 0 if face is not None else self._blind + 1
        if audio or (video and source is None):
            self.epoch += 1
        return audio, video


def _reason(changed: bool, missing: int, change: str, what: str) -> str:
    if changed:
        return change
    return f"no {what} for {missing * CHUNK_NS // 1_000_000} ms" if missing > 1 else ""
