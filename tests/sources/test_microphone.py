"""The microphone on real PortAudio devices: PulseAudio's null sink, and a line of known times."""

import logging
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from fixtures_media import tone, write
from fixtures_pulse import LineIn

from nodes.runtime.messages import Audio, Gap
from nodes.runtime.node import Context
from nodes.sources.microphone import Microphone

pytestmark = pytest.mark.live

SECOND = 1_000_000_000


@pytest.fixture
def listen():
    """Opens microphones and closes them after the test."""
    opened = []

    def begin(**options):
        node = Microphone(**options)
        node.open(Context(name="microphone", epoch=4))
        opened.append(node)
        return node

    yield begin
    for node in opened:
        node.close()


def collect(node, seconds, until=lambda messages: False):
    messages, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline and not until(messages):
        messages += node.step([])
        time.sleep(0.01)
    return messages


def sounding(messages):
    """Blocks in which the tone is heard."""
    return [m for m in messages if isinstance(m, Audio) and np.abs(m.samples).max() > 0.1]


def assert_one_timeline(messages):
    assert [m.seq for m in messages] == list(range(messages[0].seq, messages[0].seq + len(messages)))
    assert all(a.t_end_ns == b.t_start_ns and a.epoch <= b.epoch for a, b in pairwise(messages))


def test_a_tone_is_heard_as_it_was_played(sound_server, listen, tmp_path):
    path = write(tmp_path / "tone.wav", tone(44_100, 8.0, 1000), 44_100)
    sound_server.play(path)
    node = listen()
    messages = collect(node, 10, until=lambda m: len(sounding(m)) > 80)
    settled = sounding(messages)[20]
    began = next(i for i, m in enumerate(messages) if m is settled)
    heard = [m for m in messages[began:] if isinstance(m, Audio)]
    samples = np.concatenate([m.samples for m in heard])
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    assert np.argmax(spectrum) * 16_000 / samples.size == pytest.approx(1000, abs=2)
    assert np.median(np.abs(samples)) == pytest.approx(0.5 / np.sqrt(2), abs=0.05)
    assert {m.samples.dtype for m in heard} == {np.dtype(np.float32)}
    # A machine that is too busy loses sound before it reaches us; then it must have been told.
    lost = sum(m.t_end_ns - m.t_start_ns for m in messages[began:] if isinstance(m, Gap))
    span = heard[-1].t_end_ns - heard[0].t_start_ns - lost
    assert samples.size / 16_000 == pytest.approx(span / SECOND, abs=0.02)
    assert lost < 0.3 * SECOND
    assert_one_timeline(messages)
    assert {m.epoch for m in messages} == {4}
    clock = node.clock
    assert heard[-1].t_end_ns == pytest.approx(time.monotonic_ns(), abs=SECOND)
    assert clock["uncertainty_ms"] < 20
    assert abs(clock["rate_ppm"]) <= 1000


def test_sound_is_timed_within_a_few_milliseconds_of_when_it_was_made(sound_server, listen):
    """Clicks written to a pipe source at known moments, by a clock 500 ppm fast."""
    rate, seconds = 16_000, 6
    samples, shape = np.zeros(rate * seconds, np.float32), np.exp(-((np.arange(-30, 31) / 8.0) ** 2))
    clicks = np.arange(rate, samples.size - rate, rate // 2)
    for click in clicks:
        samples[click - 30 : click + 31] = 0.8 * shape
    pipe = sound_server.line_in(rate)
    node = listen()
    with LineIn(pipe, samples, rate, ppm=500.0) as line:
        blocks = [m for m in collect(node, seconds + 0.5) if isinstance(m, Audio)]
        played = np.array([line.played_ns(int(click)) for click in clicks])
    heard = np.concatenate([m.samples for m in blocks])
    times = np.concatenate(
        [np.linspace(m.t_start_ns, m.t_end_ns, m.samples.size, endpoint=False) for m in blocks]
    )
    peaks = [
        i for i in range(60, heard.size - 60) if heard[i] > 0.4 and heard[i] == heard[i - 60 : i + 60].max()
    ]
    late_ms = np.array([(times[i] - played[np.abs(played - times[i]).argmin()]) / 1e6 for i in peaks])
    assert len(peaks) >= len(clicks) - 1
    assert np.all(np.abs(late_ms) < 15)
    assert np.ptp(late_ms[2:]) < 6


def test_a_sound_server_that_dies_is_a_gap_and_is_taken_back(sound_server, listen, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = write(tmp_path / "tone.wav", tone(48_000, 60.0), 48_000)
    sound_server.play(path)
    node = listen()
    before = collect(node, 10, until=lambda m: len(sounding(m)) > 40)
    sound_server.kill()
    meanwhile = collect(node, 1.5)
    sound_server.start()
    sound_server.play(path)
    again = time.monotonic()
    after = collect(node, 8, until=lambda m: len(sounding(m)) > 10)
    assert time.monotonic() - again < 3.0
    gaps = [m for m in meanwhile if isinstance(m, Gap)]
    assert len(gaps) >= 25
    assert {m.of for m in gaps} == {"audio"}
    assert {m.t_end_ns - m.t_start_ns for m in gaps[2:]} == {40_000_000}
    assert "microphone 'default'" in gaps[-1].reason
    assert {m.epoch for m in sounding(before)} == {4}
    assert sounding(after)[0].epoch > 4
    assert_one_timeline(before + meanwhile + after)
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) <= 3, (
        "told once, not at every attempt"
    )


def test_another_card_of_another_rate_is_taken_up(sound_server, listen, tmp_path):
    def hum(seconds):
        node_heard = collect(node, seconds, until=lambda m: len(sounding(m)) > 40)
        samples = np.concatenate([m.samples for m in sounding(node_heard)[15:]])
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        return node_heard, np.argmax(spectrum) * 16_000 / samples.size

    path = write(tmp_path / "tone.wav", tone(48_000, 60.0, 1000), 48_000)
    sound_server.play(path)
    node = listen()
    before, heard_hz = hum(10)
    assert heard_hz == pytest.approx(1000, abs=10)
    sound_server.replace_sink(16_000, 1)
    sound_server.play(path)
    again = time.monotonic()
    after, heard_hz = hum(8)
    assert time.monotonic() - again < 3.0 + 1.2, "1.2 s is how long 40 blocks take"
    assert heard_hz == pytest.approx(1000, abs=10)
    assert_one_timeline(before + after)


def test_an_unknown_microphone_is_a_gap_at_pace_and_not_an_error(sound_server, listen):
    node = listen(device="no such thing")
    began = time.monotonic_ns()
    messages = collect(node, 1.2)
    assert {type(m) for m in messages} == {Gap}
    assert messages[-1].reason == "microphone 'no such thing' not found"
    assert 20 <= len(messages) <= 32
    assert abs(messages[0].t_start_ns - began) < 0.3 * SECOND
    assert_one_timeline(messages)


def test_a_microphone_is_found_by_a_part_of_its_name_or_its_index(sound_server, listen, tmp_path):
    sound_server.play(write(tmp_path / "tone.wav", tone(48_000, 30.0), 48_000))
    for device in ("puls", 0):
        node = listen(device=device)
        assert sounding(collect(node, 6, until=lambda m: len(sounding(m)) > 3)), (
            f"nothing heard from {device!r}"
        )
        node.close()


def test_no_sound_server_at_all_closes_within_a_second(sound_server, listen):
    sound_server.kill()
    node = listen()
    assert {type(m) for m in collect(node, 0.7)} == {Gap}
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < 1.0


def test_a_sound_server_that_hangs_does_not_hold_up_the_node(sound_server, listen, tmp_path):
    sound_server.play(write(tmp_path / "tone.wav", tone(48_000, 30.0), 48_000))
    node = listen()
    collect(node, 8, until=lambda m: len(sounding(m)) > 5)
    sound_server.pause()
    try:
        slowest, gaps, deadline = 0.0, [], time.monotonic() + 1.5
        while time.monotonic() < deadline:
            began = time.monotonic()
            gaps += [m for m in node.step([]) if isinstance(m, Gap)]
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.01)
        assert slowest < 0.2
        assert len(gaps) > 15
        began = time.monotonic()
        node.close()
        assert time.monotonic() - began < 1.0
    finally:
        sound_server.resume()


def test_nobody_stepping_costs_the_oldest_sound_and_says_so(sound_server, listen, tmp_path):
    sound_server.play(write(tmp_path / "tone.wav", tone(48_000, 30.0), 48_000))
    node = listen()
    before = collect(node, 8, until=lambda m: len(sounding(m)) > 5)
    time.sleep(4)
    after = collect(node, 0.5)
    assert any(isinstance(m, Gap) and "too busy" in m.reason for m in after)
    assert_one_timeline(before + after)
    assert len(sounding(after)) > 40


def test_a_missing_portaudio_is_a_gap_with_the_remedy(monkeypatch, listen):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    messages = collect(listen(), 0.6)
    assert {type(m) for m in messages} == {Gap}
    assert messages[-1].reason == "PortAudio is missing: install libportaudio2"


def test_threads_end_with_the_node(sound_server, listen):
    node = listen()
    collect(node, 0.5)
    node.close()
    time.sleep(0.2)
    assert not [t for t in threading.enumerate() if t.name == "microphone capture"]
