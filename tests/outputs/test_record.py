"""Recordings as they are made: what is in them, when the next begins, which go, and a disk that is full."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from heard import face, health, transcript, voice
from mcap.reader import make_reader

from nodes.outputs import recorder
from nodes.outputs.record import Record
from nodes.outputs.waiting import MOST_BYTES, MOST_ITEMS, Item, Waiting
from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_NS, Audio, Gap, Picture
from nodes.runtime.node import Context
from nodes.sources.archive import probe, read

pytestmark = pytest.mark.live

NAME = re.compile(r"hearsee-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.mcap")
RANDOM = np.random.default_rng(3)


def sound(i, n=640):
    samples = RANDOM.uniform(-1, 1, n).astype(np.float32)
    start = 10**12 + i * FRAME_NS
    return Audio(
        stream="microphone", seq=i, epoch=0, t_start_ns=start, t_end_ns=start + FRAME_NS, samples=samples
    )


def picture(i, height=48, width=64):
    start = 10**12 + i * FRAME_NS
    image = RANDOM.integers(0, 255, (height, width, 3), np.uint8)
    return Picture(stream="camera", seq=i, epoch=0, t_start_ns=start, t_end_ns=start + FRAME_NS, image=image)


def unplugged(i):
    start = 10**12 + i * FRAME_NS
    return Gap(
        stream="camera", seq=i, epoch=0, t_start_ns=start, t_end_ns=start + FRAME_NS, of="picture",
        reason="camera unplugged",
    )  # fmt: skip


def opened(folder, live=True, **options):
    node = Record(folder=str(folder), free_mb=0, **options)
    node.open(Context(name="record", live=live))
    return node


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.02)


def test_all_that_was_sent_and_published_is_in_the_file_with_a_schema_for_each(tmp_path):
    node = opened(tmp_path)
    sent = [sound(0), picture(0), sound(1), picture(1), sound(2), unplugged(2)]
    node.step([*sent, voice(), face(), transcript("place blue"), transcript("place blue", final=True)])
    node.step([health()])
    node.close()
    [path] = tmp_path.iterdir()
    assert NAME.fullmatch(path.name)
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "hearsee"
        found = {}
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            assert (channel.message_encoding, schema.encoding) == ("json", "jsonschema")
            found.setdefault(channel.topic, []).append((schema.name, message))
            body = json.loads(message.data)
            assert set(json.loads(schema.data)["properties"]) <= set(body)
            assert abs(message.log_time - time.time_ns()) < 60e9
    assert {topic: {name for name, _ in rows} for topic, rows in found.items()} == {
        "microphone/audio": {"foxglove.RawAudio"},
        "camera/picture": {"foxglove.CompressedImage"},
        "camera/gap": {"hearsee.gap/1"},
        "voice": {"hearsee.voice/1"},
        "face": {"hearsee.face/1"},
        "transcript.partial": {"hearsee.transcript/1"},
        "transcript.final": {"hearsee.transcript/1"},
        "status": {"hearsee.status/1"},
    }
    assert json.loads(found["transcript.final"][0][1].data)["text"] == "place blue"
    back = list(read(str(path), Counter()))
    assert [(m.port, m.seq, m.t_start_ns) for m in back] == [(m.port, m.seq, m.t_start_ns) for m in sent]


@pytest.mark.parametrize("limit", [{"file_mb": 1}, {"file_minutes": 0.003}])
def test_the_next_file_begins_after_its_time_or_size_and_none_misses_anything(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(recorder, "FLUSH_S", 0.05)
    node = opened(tmp_path, live=False, disk_mb=2000, **limit)
    for i in range(30):
        node.step([sound(i), picture(i, 240, 320)])
        time.sleep(0.02)
    node.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) >= 2
    assert all(NAME.fullmatch(path.name) for path in files)
    back = [m for path in files for m in read(str(path), Counter())]
    for port in ("audio", "picture"):
        assert [m.seq for m in back if m.port == port] == list(range(30))
    assert all(probe(str(path)).ports == {"audio", "picture"} for path in files)


def test_the_oldest_go_when_all_are_over_the_budget_and_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "FLUSH_S", 0.02)
    old = tmp_path / "hearsee-2020-01-01T00-00-00.000Z.mcap"
    mine = [tmp_path / "notes.txt", tmp_path / "holiday.mcap", tmp_path / "hearsee-notes.mcap"]
    for path in [old, *mine]:
        path.write_bytes(bytes(1_500_000))
    node = opened(tmp_path, file_mb=1, disk_mb=2)
    for i in range(60):
        node.step([picture(i, 240, 320)])
        time.sleep(0.01)
    node.close()
    assert not old.exists()
    assert all(path.exists() for path in mine)
    ours = [path for path in tmp_path.iterdir() if NAME.fullmatch(path.name)]
    assert 1 <= len(ours) <= 3
    assert sum(path.stat().st_size for path in ours) < 3_500_000
    last = max(m.seq for path in ours for m in read(str(path), Counter()))
    assert last == 59


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_recording_with_one_line_and_it_goes_on_when_there_is_room(
    small_disk, monkeypatch, caplog
):
    monkeypatch.setattr(recorder, "FLUSH_S", 0.05)
    monkeypatch.setattr(recorder, "RETRY_S", 0.1)
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 46_000_000)
    node = opened(small_disk)
    count = iter(range(10**6))

    def step():
        begun = time.monotonic()
        node.step([picture(next(count), 240, 320), voice()])
        assert time.monotonic() - begun < 0.5  # the pipeline goes on
        time.sleep(0.01)
        return node.warnings

    until(step)
    assert node.warnings == [f"recording stopped: {small_disk}: no space left on device"]
    for _ in range(40):
        step()
    assert node.recording["lost"]["pictures"] > 0
    filler.unlink()
    until(lambda: not step())
    for _ in range(20):
        step()
    node.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].endswith("no space left on device; it begins again when there is room")
    assert said[1].startswith("recording again")
    first, second = sorted(path for path in small_disk.iterdir())
    assert all(NAME.fullmatch(path.name) for path in (first, second))
    for path in (first, second):
        seqs = [m.seq for m in read(str(path), Counter())]
        assert seqs == list(range(seqs[0], seqs[-1] + 1))


def test_a_file_that_can_grow_no_more_ends_where_it_was_whole(tmp_path, monkeypatch):
    """The same for any user: the kernel refuses to let a file of this process grow."""
    monkeypatch.setattr(recorder, "FLUSH_S", 0.05)
    monkeypatch.setattr(recorder, "RETRY_S", 0.1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    node = opened(tmp_path)
    try:
        for i in range(20):
            node.step([picture(i, 240, 320)])
            time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        until(lambda: node.step([picture(20, 240, 320)]) or node.warnings)
        assert "file too large" in node.warnings[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    until(lambda: node.step([sound(21)]) or not node.warnings)
    node.close()
    first, *_, last = sorted(tmp_path.iterdir())
    damage = Counter()
    assert [m.seq for m in read(str(first), damage)][:5] == [0, 1, 2, 3, 4]
    assert damage == {"cut off or damaged": 1}
    assert {m.seq for m in read(str(last), Counter())} == {21}


def test_room_that_is_to_be_left_free_is(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(recorder, "FLUSH_S", 0.05)
    node = Record(folder=str(tmp_path), free_mb=10**9)
    node.open(Context(name="record"))
    until(lambda: node.step([sound(0)]) or node.warnings)
    node.close()
    assert "MB of the disk are free, 1000000000 MB are kept" in node.warnings[0]
    assert len(caplog.records) == 1
    assert list(tmp_path.iterdir()) == []


def test_for_a_slow_disk_pictures_go_first_and_each_leaves_a_gap():
    waiting = Waiting()
    big = [picture(i, 1000, 1000) for i in range(30)]
    for i in range(30):
        waiting.put(Item(0, "", sound(i)))
        waiting.put(Item(0, "", big[i]))
        waiting.put(Item(0, "voice", voice()))
    assert 30 * big[0].image.nbytes > MOST_BYTES
    items = [waiting.get(0) for _ in range(len(waiting))]
    assert waiting.dropped == {"pictures": 30 - MOST_BYTES // big[0].image.nbytes + 1}
    kinds = Counter(type(item.content).__name__ for item in items)
    assert kinds["Audio"] == kinds["Voice"] == 30
    shown = [item.content for item in items if isinstance(item.content, Picture | Gap)]
    assert [m.seq for m in shown] == list(range(30))
    assert [type(m) for m in shown] == sorted((type(m) for m in shown), key=lambda kind: kind is Picture)
    assert {m.reason for m in shown if isinstance(m, Gap)} == {"not recorded, the disk is too slow"}


def test_what_waits_is_bounded_in_number_too():
    waiting = Waiting()
    for i in range(MOST_ITEMS + 100):
        waiting.put(Item(0, "", unplugged(i)))
    assert len(waiting) == MOST_ITEMS
    assert waiting.get(0).content.seq == 100


def test_a_disk_that_hangs_holds_nobody_up_and_status_says_that_pictures_are_lost(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("nodes.outputs.waiting.MOST_BYTES", 1_000_000)
    node = opened(tmp_path)
    monkeypatch.setattr(node._recorder, "_write", lambda *_: time.sleep(0.3))
    for i in range(60):
        begun = time.monotonic()
        node.step([picture(i, 240, 320)])
        assert time.monotonic() - begun < 0.2
    assert re.fullmatch(r"not recorded, the disk is too slow: \d+ pictures", node.warnings[0])
    begun = time.monotonic()
    node.close()
    assert time.monotonic() - begun < 1.2
    [said] = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"the recording ends without the last \d+ messages: the disk is too slow", said)


def test_where_a_file_is_read_nothing_is_left_to_be_written_at_the_end(tmp_path):
    node = opened(tmp_path, live=False)
    for i in range(300):
        node.step([sound(i), picture(i)])
        assert node.recording["waiting"] <= 1
    node.close()
    [path] = tmp_path.iterdir()
    assert len(list(read(str(path), Counter()))) == 600


WRITE_FOR_EVER = """
import sys, time
sys.path[:0] = {path}
from test_record import opened, picture, sound
node = opened({folder!r})
for i in range(10**6):
    node.step([sound(i), picture(i)])
    time.sleep(0.02)
    if i == 75:
        print("go", flush=True)
"""


def test_a_process_that_is_killed_leaves_a_recording_that_the_next_one_names(tmp_path):
    program = WRITE_FOR_EVER.format(path=sys.path, folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n"
    beside = opened(tmp_path)  # another one that records to the same folder leaves it alone
    beside.close()
    [part] = tmp_path.iterdir()
    assert part.name.endswith(".mcap.part")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    opened(tmp_path).close()
    [path] = tmp_path.iterdir()
    assert NAME.fullmatch(path.name)
    seqs = [m.seq for m in read(str(path), Counter()) if isinstance(m, Audio)]
    assert seqs == list(range(len(seqs)))
    assert len(seqs) > 20  # more than a second ago


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quality": 0}, "quality 0: give 1 to 100"),
        ({"file_minutes": 0.0}, "file_minutes and file_mb must be above 0"),
        ({"disk_mb": 10, "file_mb": 9}, "disk_mb 10: give at least two files"),
        ({"folder": "/proc/here"}, "/proc/here: cannot be recorded to"),
    ],
)
def test_options_that_make_no_sense_are_one_clear_line(options, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Record(**{"folder": "/tmp", **options}).open(Context(name="record"))


def test_nothing_is_left_where_nothing_came(tmp_path):
    folder = Path(tmp_path) / "new" / "folder"
    opened(folder).close()
    assert list(folder.iterdir()) == []
