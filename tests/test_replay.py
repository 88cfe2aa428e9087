"""A replay understands the same every time, at any speed, whatever went wrong while it was recorded."""

import numpy as np
import pytest
from msgspec.structs import replace
from replaying import SENTENCES, finals, recorded, replayed, talking

from nodes.runtime.messages import Gap

MS = 1_000_000
SECOND = 1000 * MS


@pytest.fixture(scope="module")
def talker():
    return talking()


def later(messages, by_ns, epochs=0):
    """The same, later and with higher epochs."""
    return [
        replace(m, t_start_ns=m.t_start_ns + by_ns, t_end_ns=m.t_end_ns + by_ns, epoch=m.epoch + epochs)
        for m in messages
    ]


def drifting(messages, port, ppm):
    """By a clock of the port's device that is so much too fast."""
    made = []
    for m in messages:
        if m.port == port:
            start = round(m.t_start_ns * (1 + ppm / 1e6))
            m = replace(m, t_start_ns=start, t_end_ns=round(m.t_end_ns * (1 + ppm / 1e6)))
        made.append(m)
    return made


def jittering(messages, port, ms, seed=7):
    """Every time of the port is off by up to so much, and now and then two have changed places."""
    random = np.random.default_rng(seed)
    made = []
    for m in messages:
        if m.port == port:
            off = round(random.uniform(-ms, ms) * MS)
            m = replace(m, t_start_ns=m.t_start_ns + off, t_end_ns=m.t_end_ns + off)
        made.append(m)
        if len(made) > 1 and made[-2].port != m.port and random.random() < 0.3:
            made[-1], made[-2] = made[-2], made[-1]
    return made


def unplugged(messages, port, begin_ns, end_ns, reason):
    """Nothing but gaps of the port for a while, and its epoch is higher afterwards."""
    made = []
    for m in messages:
        if m.port == port and m.t_start_ns >= end_ns:
            m = replace(m, epoch=m.epoch + 1)
        elif m.port == port and m.t_end_ns > begin_ns:
            common = {n: getattr(m, n) for n in ("stream", "seq", "epoch", "t_start_ns", "t_end_ns")}
            m = Gap(**common, of=port, reason=reason)
        made.append(m)
    return made


def stalled(messages, port, begin_ns, end_ns):
    """Nothing at all of the port for a while; then one gap for all of it, and what comes next."""
    made, lost = [], []
    for m in messages:
        if m.port == port and begin_ns <= m.t_start_ns < end_ns:
            lost.append(m)
            continue
        if m.port == port and lost:
            common = {n: getattr(lost[-1], n) for n in ("stream", "seq", "epoch", "t_end_ns")}
            gap = Gap(**common, t_start_ns=lost[0].t_start_ns, of=port, reason="stalls")
            made.append(gap)
            lost = []
        made.append(m)
    return made


def numbered(messages):
    """Each stream and port counts up by one again."""
    seen = {}
    made = []
    for m in messages:
        seen[m.port] = seen.get(m.port, -1) + 1
        made.append(replace(m, seq=seen[m.port]))
    return made


def with_faults(talker):
    """In the first sentence the camera is unplugged, its pictures jitter, the sound's clock drifts.  Then
    the microphone is unplugged, and when it is back the host's clock is an hour ahead; in the second sentence
    a second goes by without any picture.
    """
    made = unplugged(talker, "picture", 900 * MS, 1500 * MS, "camera unplugged")
    made = unplugged(made, "audio", 1920 * MS, 2080 * MS, "microphone unplugged")
    made = jittering(drifting(made, "audio", 300), "picture", 12)
    made = stalled(made, "picture", 3200 * MS, 4240 * MS)
    before = [m for m in made if m.t_start_ns < 2080 * MS]
    return numbered([*before, *later(made[len(before) :], 3600 * SECOND, epochs=1)])


def test_unplugging_drift_jitter_and_stalls_are_replayed_the_same_at_any_speed(talker, tmp_path):
    recording = recorded(tmp_path / "faults.mcap", with_faults(talker))
    once, lines = replayed(recording, tmp_path / "once.jsonl")
    twice, _ = replayed(recording, tmp_path / "twice.jsonl")
    paced, _ = replayed(recording, tmp_path / "paced.jsonl", speed=1.0)
    assert once == twice
    assert once == paced
    assert finals(lines) == SENTENCES
    assert {line["mode"] for line in lines if line["topic"] == "voice"} >= {"av", "audio"}
    assert any(line["topic"] == "sentiment" for line in lines)
    assert {line["t_emit_ns"] for line in lines} == {0}


def test_times_are_those_of_the_recording(talker, tmp_path):
    recording = recorded(tmp_path / "a.mcap", later(talker, 3600 * SECOND))
    _, lines = replayed(recording, tmp_path / "a.jsonl")
    assert finals(lines) == SENTENCES
    for line in lines:
        assert line["unix_time"] == pytest.approx(1.7e9 + line["t_start_ns"] / 1e9, abs=1e-3)
    words = [w for line in lines if line["topic"] == "transcript.final" for w in line["words"]]
    assert all(3600 * SECOND <= w["t_start_ns"] < w["t_end_ns"] < 3606 * SECOND for w in words)


def test_a_recording_of_sound_alone_is_replayed_without_a_camera(talker, tmp_path):
    sound = [m for m in talker if m.port == "audio"]
    recording = recorded(tmp_path / "sound.mcap", sound, ports=("audio",))
    _, lines = replayed(recording, tmp_path / "sound.jsonl")
    assert finals(lines) == SENTENCES
    assert {line["mode"] for line in lines if line["topic"] == "voice"} <= {"audio", "none"}
