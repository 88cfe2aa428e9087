"""Which clips lie in a folder, who speaks in them, and what is said, as corpora are published.

* GRID (https://zenodo.org/records/3625687): ``s1.zip`` … ``s34.zip`` and ``alignments.zip``, or what they
  unpack to: ``sN/NAME.mpg``, ``alignments/sN/NAME.align`` or ``sN/align/NAME.align``.
* Lombard GRID (https://spandh.dcs.shef.ac.uk/avlombard): ``front/sN_C_NAME.mov``, ``audio/sN_C_NAME.wav``,
  ``alignment/sN_C_NAME.json``; the view from the ``side`` is left out.
* Free Spoken Digit Dataset: ``DIGIT_SPEAKER_N.wav``.
* Your own: any media file with ``NAME.align`` or ``NAME.txt`` (its words) beside it; the folder it lies in
  names the speaker.

Nothing is unpacked for good: a clip in an archive is on the disk while it is read.
"""

import contextlib
import json
import re
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engines.speech.vocabulary import ADVERBS, COLOURS, COMMANDS, DIGITS, LETTERS, PREPOSITIONS
from nodes.runtime.errors import UserError

Times = tuple[tuple[str, float, float], ...]

PICTURES = frozenset({".mp4", ".mpg", ".mpeg", ".mov", ".mkv", ".avi", ".webm"})
SOUNDS = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"})
LABELS = (".align", ".json", ".txt")  # the better one first
_ALIGN_UNITS_PER_SECOND = 25_000  # 1000 units are one picture at 25 Hz
_FSDD = re.compile(r"(\d)_([a-z]+)_\d+")
_LOMBARD = re.compile(r"(s\d+)_[a-z]+_(?:\w+_WRONG_)?([a-z]{4}[0-9z][a-z])")
_GRID_SPEAKER = re.compile(r"s\d+")
_GRID_SLOTS = (COMMANDS, COLOURS, PREPOSITIONS, LETTERS, ("z", *"123456789"), ADVERBS)


@dataclass(frozen=True)
class Stored:
    """A file, or a member of a zip archive.  place: its path within the corpus."""

    path: Path
    place: PurePosixPath
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    def read(self) -> bytes:
        if not self.member:
            return self.path.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(self.member)

    @contextlib.contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path under which it can be read until the block ends."""
        if not self.member:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="hearsee-") as folder:
            unpacked = Path(folder) / self.place.name
            unpacked.write_bytes(self.read())
            yield unpacked


@dataclass(frozen=True)
class Clip:
    """name: unique within the corpus.  media: the file with the picture where there is one, else the sound.

    sound: where else the sound is, should ``media`` have none.  isolated: one word without a pause about it.
    """

    name: str
    speaker: str
    media: Stored
    sound: Stored | None
    label: Stored | None
    said: tuple[str, ...]
    isolated: bool = False

    @property
    def held_out(self) -> bool:
        """Kept out of training: a tenth of the clips, by the checksum of the name alone."""
        return held_out(self.media.place.stem)

    @property
    def id(self) -> str:
        """A name for files made of it: its own at the top of the folder, else with the speaker."""
        place = self.media.place
        plain = len(place.parts) == 1 or place.stem.startswith(f"{self.speaker}_")
        return place.stem if plain else f"{self.speaker}_{place.stem}"

    def lot(self) -> int:
        """Sorts clips into an order that is random, and the same everywhere."""
        return zlib.crc32(f"lot {self.name}".encode())

    def times(self) -> Times:
        """(word, start, end) in seconds; empty where only the words are known."""
        if self.label is None or self.label.place.suffix == ".txt":
            return ()
        text = _text(self.label)
        if self.label.place.suffix == ".align":
            return parse_align(text, str(self.label))
        return _lombard_times(text, self.label, self.said)

    def words(self) -> tuple[str, ...]:
        """What is said.  Raises UserError for a transcript that cannot be read."""
        if self.label is not None and self.label.place.suffix == ".txt":
            return tuple(_text(self.label).lower().replace(",", " ").replace(".", " ").split())
        return tuple(word for word, _, _ in self.times()) or self.said


def held_out(stem: str) -> bool:
    return zlib.crc32(stem.encode()) % 10 == 0


def find_clips(folder: Path) -> list[Clip]:
    """Every clip of the folder whose words are known, by name.

    Raises UserError where there is none, or where it cannot be told which transcript is a clip's.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one that holds clips")
    media: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    labels: dict[str, list[Stored]] = defaultdict(list)
    for stored in _files(folder):
        suffix, stem = stored.place.suffix.lower(), stored.place.stem
        if suffix in PICTURES | SOUNDS and "side" not in stored.place.parts[:-1]:
            media[_speaker(stored, folder), stem].append(stored)
        elif suffix in LABELS and (suffix != ".json" or _LOMBARD.fullmatch(stem)):
            labels[stem].append(stored)
    clips = []
    for (speaker, stem), files in sorted(media.items()):
        files.sort(key=lambda file: (file.place.suffix.lower() not in PICTURES, len(file.place.parts)))
        label = _label(files[0], labels.get(stem, []))
        said = words_in_name(stem)
        if label is None and not said:
            continue
        sound = next((f for f in files[1:] if f.place.suffix.lower() in SOUNDS), None)
        isolated = _FSDD.fullmatch(stem) is not None
        name = f"{speaker}/{stem}"
        clips.append(Clip(name, speaker, files[0], sound, label, said, isolated))
    if not clips:
        raise UserError(
            f"{folder}: no clips with transcripts there; give GRID or Lombard GRID as published, or put "
            "NAME.txt with the words beside each media file NAME.*"
        )
    return clips


def parse_align(text: str, name: str) -> Times:
    """The words of a GRID .align file as (text, start, end) in seconds, silences left out."""
    words = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            start, end, word = line.split()
            if word not in ("sil", "sp"):
                words.append((word, int(start) / _ALIGN_UNITS_PER_SECOND, int(end) / _ALIGN_UNITS_PER_SECOND))
        except ValueError:
            raise UserError(f"{name}:{number}: expected 'START END WORD', found {line[:80]!r}") from None
    return tuple(words)


def _files(folder: Path) -> Iterator[Stored]:
    for path in sorted(folder.rglob("*")):
        place = PurePosixPath(path.relative_to(folder).as_posix())
        if any(part.startswith((".", "__MACOSX")) for part in place.parts) or not path.is_file():
            continue
        if path.suffix.lower() != ".zip":
            yield Stored(path, place)
        elif not path.with_suffix("").is_dir():  # else it lies beside it, unpacked
            yield from _members(path, place)


def _members(path: Path, place: PurePosixPath) -> Iterator[Stored]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path}: not a zip archive that can be read ({error}); download it again") from None
    for name in names:
        inside = PurePosixPath(name)
        if not name.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in inside.parts):
            within = inside if inside.parts[0] == place.stem else place.with_suffix("") / inside
            yield Stored(path, within, name)


def _speaker(stored: Stored, folder: Path) -> str:
    stem = stored.place.stem
    if match := _FSDD.fullmatch(stem):
        return match[2]
    if match := _LOMBARD.fullmatch(stem):
        return match[1]
    folders = stored.place.parts[:-1]
    grid = [part for part in folders if _GRID_SPEAKER.fullmatch(part)]
    return grid[0] if grid else folders[-1] if folders else folder.resolve().name


def _label(media: Stored, labels: list[Stored]) -> Stored | None:
    """The transcript of the same name that shares most folders with the clip."""

    def nearness(label: Stored) -> tuple[int, int]:
        shared = len(set(media.place.parts[:-1]) & set(label.place.parts[:-1]))
        return shared, -LABELS.index(label.place.suffix.lower())

    ranked = sorted(labels, key=nearness, reverse=True)
    if len(ranked) > 1 and nearness(ranked[0]) == nearness(ranked[1]):
        raise UserError(f"{media}: both {ranked[0]} and {ranked[1]} may be its transcript; keep one")
    return ranked[0] if ranked else None


def words_in_name(stem: str) -> tuple[str, ...]:
    """What GRID's and FSDD's names say: ``bbaf2n`` is "bin blue at f two now", ``3_theo_7`` is "three"."""
    if match := _FSDD.fullmatch(stem):
        return (DIGITS[int(match[1])],)
    match = _LOMBARD.fullmatch(stem)
    code = match[2] if match else stem
    if len(code) != len(_GRID_SLOTS):
        return ()
    words = []
    for letter, slot in zip(code, _GRID_SLOTS, strict=True):
        word = next((word for word in slot if word[0] == letter), None)
        if word is None:
            return ()
        words.append(word)
    words[4] = "zero" if code[4] == "z" else DIGITS[int(code[4])]
    return tuple(words)


def _lombard_times(text: str, label: Stored, said: tuple[str, ...]) -> Times:
    """Kaldi's phones, "b_B ih_I n_E" for a word, "ey_S" for one of one phone, to times of ``said``."""
    try:
        (phones,) = json.loads(text).values()
        spans: list[tuple[float, float]] = []
        for phone in phones:
            position = phone["phone"].rpartition("_")[2]
            start = float(phone["offset"])
            if position in "BS":
                spans.append((start, start + float(phone["duration"])))
            elif position in "IE" and spans:
                spans[-1] = (spans[-1][0], start + float(phone["duration"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{label}: not an alignment of Lombard GRID ({error!r}); restore the file") from None
    if len(spans) != len(said):
        raise UserError(f"{label}: {len(spans)} words in it, its name says {len(said)}; leave the clip out")
    return tuple((word, start, end) for word, (start, end) in zip(said, spans, strict=True))


def _text(stored: Stored) -> str:
    try:
        return stored.read().decode()
    except UnicodeDecodeError:
        raise UserError(f"{stored}: not text in UTF-8; save it as such") from None
