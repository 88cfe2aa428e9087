"""A recording as a source: what it hands out, at what pace, and files that are no recordings."""

import os
import time
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer
from replaying import recorded

from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_NS, Audio, Gap, Picture
from nodes.runtime.node import Context
from nodes.sources.archive import probe, read
from nodes.sources.channel import Channel
from nodes.sources.recording import Recording

T0 = 5_000_000_000_000


def sources(seconds=2.0, t0=T0):
    """Sound and pictures of 40 ms side by side; a hole in the pictures, after which their epoch has risen."""
    made = []
    for i in range(round(seconds * 25)):
        start = t0 + i * FRAME_NS
        common = {"seq": i, "t_start_ns": start, "t_end_ns": start + FRAME_NS}
        made.append(Audio(stream="microphone", epoch=1, samples=np.full(640, i / 1000, np.float32), **common))
        if 10 <= i < 15:
            made.append(Gap(stream="camera", epoch=0, of="picture", reason="camera unplugged", **common))
        else:
            image = np.full((48, 64, 3), i, np.uint8)
            made.append(Picture(stream="camera", epoch=int(i >= 15), image=image, **common))
    return made


def played(path, speed=0.0):
    """All messages, and the seconds it took."""
    node = Recording(path=str(path), speed=speed)
    node.open(Context(name="recording"))
    messages, begun = [], time.monotonic()
    while not node.finished:
        messages += node.step([])
        time.sleep(0.002)
    took = time.monotonic() - begun
    node.close()
    return messages, took


def head(message):
    common = ("stream", "seq", "epoch", "t_start_ns", "t_end_ns")
    return (type(message).__name__, *(getattr(message, name) for name in common))


def is_tail(message):
    return isinstance(message, Gap) and message.reason == "end of recording"


def test_every_message_is_as_it_was_and_a_second_of_gaps_ends_each_stream(tmp_path):
    sent = sources()
    got, _ = played(recorded(tmp_path / "a.mcap", sent))
    tail = [m for m in got if is_tail(m)]
    assert [head(m) for m in got if not is_tail(m)] == [head(m) for m in sent]
    for stream, port, epoch in (("microphone", "audio", 1), ("camera", "picture", 1)):
        gaps = [m for m in tail if m.stream == stream]
        assert {(m.of, m.epoch) for m in gaps} == {(port, epoch)}
        assert [m.seq for m in gaps] == list(range(50, 75))
        assert gaps[0].t_start_ns == sent[-1].t_end_ns
        assert gaps[-1].t_end_ns == sent[-1].t_end_ns + 1_000_000_000


def test_the_end_of_a_stream_whose_clock_is_far_away_is_its_own(tmp_path):
    sent = [
        *sources(0.4),
        *(m for m in sources(0.4, t0=T0 + 10**15) if m.stream == "microphone"),
    ]
    got, _ = played(recorded(tmp_path / "a.mcap", sent))
    assert sum(map(is_tail, got)) == 50


@pytest.mark.live
def test_the_pace_is_that_of_the_recording(tmp_path):
    path = recorded(tmp_path / "a.mcap", sources(1.0))
    (first, once), (second, thrice) = played(path, 1.0), played(path, 4.0)
    assert [head(m) for m in first] == [head(m) for m in second]
    assert 1.8 < once < 3.0
    assert 0.4 < thrice < 1.5


def test_a_jump_of_the_recorded_clock_is_not_waited_for(tmp_path):
    sent = sources(0.4) + sources(0.4, t0=T0 + 3600 * 10**9) + sources(0.4, t0=T0 - 3600 * 10**9)
    _, took = played(recorded(tmp_path / "a.mcap", sent), 10.0)
    assert took < 3.0


@pytest.mark.parametrize("left", [0.9, 0.6, 0.3])
def test_what_is_there_of_a_file_that_was_cut_off_is_played_and_said_once(tmp_path, caplog, left):
    sent = sources(3.0)
    path = recorded(tmp_path / "a.mcap", sent)
    os.truncate(path, int(path.stat().st_size * left))
    got, _ = played(path)
    heads = [head(m) for m in got if not is_tail(m)]
    assert 20 < len(heads) < len(sent) + 1
    assert heads == [head(m) for m in sent][: len(heads)]
    assert [r.getMessage() for r in caplog.records] == [
        f"{path}: cut off or damaged: 1; what could be read was played"
    ]


def test_a_file_without_its_end_is_read_to_its_last_second(tmp_path):
    sent = sources(3.0)
    recorded(tmp_path / "a.mcap", sent, finish=False)
    damage = Counter()
    got = list(read(str(tmp_path / "a.mcap.part"), damage))
    assert [head(m) for m in got] == [head(m) for m in sent][: len(got)]
    assert len(got) > 80
    assert damage == {"cut off or damaged": 1}


def _not_there(folder):
    return folder / "a.mcap", "no such file"


def _folder(folder):
    return folder, "is a folder"


def _empty(folder):
    (folder / "a.mcap").touch()
    return folder / "a.mcap", "is no recording"


def _text(folder):
    (folder / "a.mcap").write_text("place blue at f two now\n" * 9)
    return folder / "a.mcap", "is no recording"


def _others(folder):
    """What another program recorded."""
    with (folder / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        channel = writer.register_channel("/imu", "json", writer.register_schema("Imu", "jsonschema", b"{}"))
        writer.add_message(channel, 1, b"{}", 1)
        writer.finish()
    return folder / "a.mcap", "is MCAP, but holds no sound or pictures"


def _beheaded(folder):
    path = recorded(folder / "a.mcap", sources(0.4))
    os.truncate(path, 200)
    return path, "nothing of it can be read"


@pytest.mark.parametrize("make", [_not_there, _folder, _empty, _text, _others, _beheaded])
def test_what_cannot_be_replayed_is_one_clear_line(tmp_path, make):
    path, reason = make(tmp_path)
    for attempt in (
        lambda: probe(str(path)),
        lambda: Recording(path=str(path)).open(Context(name="recording")),
    ):
        with pytest.raises(UserError, match=reason) as error:
            attempt()
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


def test_a_recording_says_what_was_recorded(tmp_path):
    sent = [m for m in sources(0.4) if m.stream == "microphone"]
    about = probe(str(recorded(tmp_path / "a.mcap", sent, ports=("audio",))))
    assert about.ports == {"audio"}
    assert about.unix_offset_ns == 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("whole") / "a.mcap", sources(1.0)).read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_wrong_with_a_file_it_is_read_or_refused(whole, tmp_path, data):
    text = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "b.mcap"
    path.write_bytes(text[: data.draw(st.integers(0, len(text)))])
    try:
        probe(str(path))
    except UserError:
        return
    for message in read(str(path), Counter()):
        assert message.port in ("audio", "picture")


def test_a_chunk_that_claims_to_be_huge_is_not_unpacked(tmp_path):
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file, chunk_size=2**40, compression=CompressionType.ZSTD)
        writer.start()
        writer.add_metadata("hearsee.recording", {"ports": "audio", "unix_offset_ns": "0"})
        channel = writer.register_channel("m/audio", "json", 0)
        writer.add_message(channel, 1, bytes(80_000_000), 1)
        writer.finish()
    assert (tmp_path / "a.mcap").stat().st_size < 100_000
    with pytest.raises(UserError, match="nothing of it can be read"):
        probe(str(tmp_path / "a.mcap"))


def test_a_message_that_makes_no_sense_is_left_out_and_counted(tmp_path):
    with (tmp_path / "b.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.add_metadata("hearsee.recording", {"ports": "audio", "unix_offset_ns": "what"})
        schema = writer.register_schema("foxglove.RawAudio", "jsonschema", b"{}")
        channel = writer.register_channel("m/audio", "json", schema)
        writer.add_message(channel, 1, b"not json", 1)
        writer.add_message(channel, 1, msgspec.json.encode({"stream": "m"}), 1)
        writer.finish()
    damage = Counter()
    assert list(read(str(tmp_path / "b.mcap"), damage)) == []
    assert damage == {"messages that make no sense": 2}


def test_a_channel_passes_on_what_is_of_its_source():
    node = Channel(stream="camera")
    node.open(Context(name="camera"))
    sent = sources(0.6)
    passed = node.step(sent)
    assert [id(m) for m in passed] == [id(m) for m in sent if m.stream == "camera"]
