"""Who speaks, and how far apart are sound and picture?  ``python -m benchmarks.agreement``.

Each clip of 3 s goes through the media source, the face node, the aligner, the recogniser and the choice of
the speaker, chunk by chunk as it would live, once for each question.

- Offset: the clip's pictures are moved by up to 200 ms either way; told right is within 40 ms of that.
- Speaking: three faces are in view at once: the clip's own, one that says another clip's sentence, and one
  that is silent (a still picture for every other clip, else the stretch before another clip's first word, to
  and fro).  Right is that the first is called speaking and the others are not, by what is said last of each
  while the voice is heard.  The face with the other sentence is read to begin with: it is also counted how
  often, and how soon, the right one is taken instead.

- Cost: processor time for each second of pictures with one, two and three faces in them, of the face node and
  of all that hears and chooses.

GRID: the validation clips (crc32 of the name, modulo 10, is 0).  Strangers: a folder of clips named and
labelled as GRID's are, of people no lips were learnt from; rendered ones are made by
``python -m nodes.sources.talker.generate --many N DIR``.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import typer
from msgspec import structs
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engines.command import command
from engines.speech.evaluation.noises import SHARED as DATA
from engines.speech.evaluation.replay import blocks, play
from engines.speech.recordings import grid_clips, grid_split, read_align, read_sound
from nodes.perception.face import Face as FaceNode
from nodes.perception.recogniser import Heard, Recogniser
from nodes.perception.segmenter import Segmenter
from nodes.perception.speaker import Speakers
from nodes.perception.sync import TOGETHER
from nodes.perception.transcribe import WEIGHTS
from nodes.runtime.align import Aligner, Chunk
from nodes.runtime.facetrack import FaceId, identity
from nodes.runtime.messages import CHUNK_NS, FRAME_NS, Audio, Face, Message, Picture
from nodes.runtime.node import Context

REACH_MS, TOLERANCE_MS = 200, 40
OWN, OTHER, SILENT = range(3)
ROLES = {OWN: "its own face", OTHER: "another sentence", SILENT: "silent"}


@dataclass
class Clip:
    """faces: one for each picture that has one.  words_start_s: where the first word begins."""

    name: str
    sound: list[Message]
    faces: list[Face]
    words_start_s: float


@dataclass
class Tally:
    """off_ms: error of each offset, None where none was told.  told: what was said last of each role.

    agreement: of each role, at that moment.  taken_s: seconds of speech until the right face was read, None
    where it never was.  misled: whether an offset was ever told of the face with the other sentence.
    """

    off_ms: list[float | None] = field(default_factory=list)
    told: dict[int, list[bool | None]] = field(default_factory=lambda: {role: [] for role in ROLES})
    agreement: dict[int, list[float]] = field(default_factory=lambda: {role: [] for role in ROLES})
    taken_s: list[float | None] = field(default_factory=list)
    misled: list[bool] = field(default_factory=list)


def read_clip(path: Path) -> Clip:
    faces = [message for message in play(path).faces if isinstance(message, Face)]
    words = read_align(path.with_suffix(".align"))
    first = {message.t_start_ns: message for message in reversed(faces)}  # the most prominent of each picture
    return Clip(path.stem, blocks(read_sound(path)), list(first.values())[::-1], words[0][1])


class Listening:
    """One stream, heard as ``transcribe`` hears it; ``read`` is the face that is read from the start."""

    def __init__(self, messages: Sequence[Message], recogniser: Recogniser, read: int) -> None:
        self._aligner = Aligner(Context(name="agreement", live=False))
        self._aligner.push(sorted(messages, key=lambda message: message.t_end_ns))
        camera = next(message for message in messages if isinstance(message, Face))
        self._aligner.read((camera.stream, camera.epoch, read))
        self._recogniser = recogniser
        self._segmenter = Segmenter()
        self.speakers = Speakers(self._segmenter.onset)

    def chunks(self) -> Iterator[tuple[Chunk, Heard, bool, FaceId | None]]:
        """Each chunk, what was made of it, whether somebody speaks, and the face that is read."""
        while (chunk := self._aligner.pop()) is not None:
            heard = self._recogniser.hear(chunk)
            self.speakers.push(heard.sound, heard.lips, anew=bool(chunk.audio_reset))
            for voice in heard.voice:
                self._segmenter.push(float(voice))
            seen = next((identity(face) for face in chunk.faces if face is not None), None)
            yield chunk, heard, self._segmenter.speaking, seen
            if chunk.others and seen is not None:
                self._aligner.read(self.speakers.choose(seen))


def measure_offset(clip: Clip, late_ms: float, weights: Path, tally: Tally) -> None:
    late_ns = round(late_ms * 1e6)
    moved = [
        structs.replace(
            face, track=OWN, t_start_ns=face.t_start_ns + late_ns, t_end_ns=face.t_end_ns + late_ns
        )
        for face in clip.faces
    ]
    listening, told = Listening([*clip.sound, *moved], Recogniser(weights), OWN), None
    for _, _, _, seen in listening.chunks():
        error_ms = listening.speakers.error_ms(seen)
        told = told if error_ms is None else error_ms
    tally.off_ms.append(None if told is None else abs(told - late_ms))


def measure_speaking(clip: Clip, other: Clip, still: bool, weights: Path, tally: Tally) -> None:
    quiet = [face for face in other.faces if face.t_end_ns < other.words_start_s * 1e9 - 100e6]
    quiet = quiet[:1] if still or not quiet else [*quiet, *quiet[-2:0:-1]]
    views: list[Message] = []
    for i, (own, another) in enumerate(zip(clip.faces, other.faces, strict=False)):
        silent = (quiet or other.faces[:1])[i % max(1, len(quiet))]
        for role, face in ((OWN, own), (OTHER, another), (SILENT, silent)):
            times = {"t_start_ns": own.t_start_ns, "t_end_ns": own.t_end_ns, "epoch": own.epoch}
            views.append(structs.replace(face, track=role, last=role == SILENT, **times))
    listening = Listening([*clip.sound, *views], Recogniser(weights), OTHER)
    told: dict[int, bool | None] = dict.fromkeys(ROLES)
    agreement = dict.fromkeys(ROLES, 0.0)
    began_ns, taken_ns, misled = None, None, False
    for chunk, _, voice, seen in listening.chunks():
        began_ns = chunk.t_start_ns if voice and began_ns is None else began_ns
        read_own = seen is not None and seen[2] == OWN
        taken_ns = None if not read_own else taken_ns or chunk.t_start_ns
        if not voice:
            continue
        for which, speaks in listening.speakers.speaking(voice).items():
            if which[2] == OTHER:
                misled = misled or listening.speakers.error_ms(which) is not None
            if speaks is not None:
                told[which[2]] = speaks
                agreement[which[2]] = listening.speakers.agreements()[which] or 0.0
    tally.misled.append(misled)
    for role in ROLES:
        tally.told[role].append(told[role])
        if told[role] is not None:
            tally.agreement[role].append(agreement[role])
    taken = taken_ns is not None and began_ns is not None
    tally.taken_s.append((taken_ns - began_ns) / 1e9 if taken else None)  # type: ignore[operator]


def run(name: str, paths: Sequence[Path], weights: Path) -> Tally:
    tally, rng = Tally(), np.random.default_rng(5)
    clips = [read_clip(path) for path in track(paths, f"{name}: faces", transient=True)]
    clips = [clip for clip in clips if clip.faces]
    pairs = list(pairwise([*clips, *clips[:1]]))
    for i, (clip, other) in enumerate(track(pairs, f"{name}: clips", transient=True)):
        measure_offset(clip, float(rng.uniform(-REACH_MS, REACH_MS)), weights, tally)
        measure_speaking(clip, other, i % 2 == 0, weights, tally)
    return tally


def costs(paths: Sequence[Path], weights: Path) -> list[str]:
    """Shares of a core with the clips of one, two, ... people side by side, and the sound of the first."""
    lines = []
    for count in range(1, len(paths) + 1):
        clips = [pictures_of(path) for path in paths[:count]]
        node, faces, spent_s = FaceNode(faces=count), [], 0.0
        node.open(Context(name="face", live=False))
        for i, images in enumerate(zip(*clips, strict=False)):
            times = {"t_start_ns": i * FRAME_NS, "t_end_ns": (i + 1) * FRAME_NS}
            picture = Picture(stream="camera", seq=i, epoch=0, **times, image=np.hstack(images))
            began_s = time.process_time()
            faces += node.step([picture])
            spent_s += time.process_time() - began_s
        node.close()
        seconds = len(clips[0]) * FRAME_NS / 1e9
        sound = [message for message in blocks(read_sound(paths[0])) if isinstance(message, Audio)]
        listening = Listening([*sound, *faces], Recogniser(weights), 0)
        began_s = time.process_time()
        chunks = sum(1 for _ in listening.chunks())
        heard = (time.process_time() - began_s) / (chunks * CHUNK_NS / 1e9)
        seen = len([face for face in faces if isinstance(face, Face)]) / len(clips[0])
        lines.append(
            f"{seen:.1f} faces a picture: {spent_s / seconds:.3f} of a core to follow them, "
            f"{heard:.3f} to hear and choose, {spent_s / seconds + heard:.3f} together"
        )
    return lines


def pictures_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]  # type: ignore[misc]


def percent(hits: Sequence[bool]) -> str:
    return f"{100 * np.mean(hits):.1f} %" if len(hits) else "none"


def threshold(tally: Tally) -> tuple[float, float]:
    """The agreement that parts speaking from not best, and the share that it gets right of each, averaged."""
    own = np.array(tally.agreement[OWN])
    others = np.array([*tally.agreement[OTHER], *tally.agreement[SILENT]])
    tried = np.arange(0, 1, 0.01)
    right = [((own >= t).mean() + (others < t).mean()) / 2 for t in tried]
    best = np.flatnonzero(np.array(right) == max(right))
    return float(tried[best].mean()), float(max(right))


def show(tallies: dict[str, Tally], console: Console) -> None:
    table = Table("", *tallies, title="sound and lips on clips of 3 s")
    rows: dict[str, list[str]] = {}
    for tally in tallies.values():
        off = [ms for ms in tally.off_ms if ms is not None]
        rows.setdefault("clips", []).append(str(len(tally.off_ms)))
        rows.setdefault(f"offset within {TOLERANCE_MS} ms, of all", []).append(
            percent([ms is not None and ms <= TOLERANCE_MS for ms in tally.off_ms])
        )
        rows.setdefault("offset told at all", []).append(percent([ms is not None for ms in tally.off_ms]))
        rows.setdefault("offset error where told, median", []).append(
            f"{np.median(off):.0f} ms" if off else ""
        )
        rows.setdefault("offset told of another sentence", []).append(percent(tally.misled))
        hits = {role: [told is (role == OWN) for told in tally.told[role]] for role in ROLES}
        all_hits = [*hits[OWN], *hits[OTHER], *hits[SILENT]]
        rows.setdefault("speaking or not, right", []).append(percent(all_hits))
        for role, title in ROLES.items():
            rows.setdefault(f"  {title}", []).append(percent(hits[role]))
            low, middle, high = np.percentile(tally.agreement[role] or [np.nan], [5, 50, 95])
            rows.setdefault(f"  {title}: agreement 5, 50, 95 %", []).append(
                f"{low:.2f} {middle:.2f} {high:.2f}"
            )
        rows.setdefault(f"best threshold, now {TOGETHER}", []).append(
            "{:.2f} ({:.1%})".format(*threshold(tally))
        )
        taken = [s for s in tally.taken_s if s is not None]
        rows.setdefault("the speaker is read in the end", []).append(
            percent([s is not None for s in tally.taken_s])
        )
        rows.setdefault("  seconds of speech until then, median", []).append(
            f"{np.median(taken):.2f}" if taken else ""
        )
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)


def main(
    clips: Annotated[int, typer.Option(help="GRID clips")] = 40,
    strangers: Annotated[Path | None, typer.Option(help="folder of clips of other people")] = None,
    weights: Annotated[Path, typer.Option(help="folder of the three engines")] = WEIGHTS,
) -> None:
    console, tallies = Console(width=108), {}
    folders = {"GRID s1": DATA / "grid_s1", **({strangers.name: strangers} if strangers else {})}
    for name, folder in folders.items():
        paths = [p for p in grid_clips(folder) if folder == strangers or grid_split(p) == "validation"]
        if not paths:
            raise SystemExit(f"{folder}: no clips there; the recordings are not part of the repository")
        tallies[name] = run(name, paths[:clips], weights)
    show(tallies, console)
    grid = [path for path in grid_clips(DATA / "grid_s1") if grid_split(path) == "validation"]
    for line in costs(grid[:3], weights):
        console.print(line)


if __name__ == "__main__":
    command(main)
