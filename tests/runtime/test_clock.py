"""The clock model against simulated devices: drift, delays, losses, jumps, for hours and for weeks."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodes.runtime.clock import ClockModel

MS = 1_000_000
SECOND = 1_000 * MS
HOST = 5_000 * SECOND  # the host's clock when the device starts; a device's own may start anywhere


class Device:
    """Its clock runs ``ppm`` fast; ``at`` is seconds of the host since the start."""

    def __init__(self, ppm=0.0, origin_ns=0):
        self.ppm, self.origin_ns = ppm, origin_ns

    def shows(self, at):
        return self.origin_ns + round(at * SECOND * (1 + self.ppm * 1e-6))


def host(at):
    return HOST + round(at * SECOND)


def error_ms(model, device, at):
    return (model.host_ns(device.shows(at)) - host(at)) / MS


def run(model, device, seconds, per_second, delay, begin=0.0):
    """Observe, and give the error in ms after each observation."""
    errors = []
    for i in range(int(seconds * per_second)):
        at = begin + i / per_second
        assert not model.observe(device.shows(at), host(at + delay()))
        errors.append(error_ms(model, device, at))
    return errors


@settings(max_examples=12, deadline=None)
@given(
    ppm=st.floats(-500, 500),
    origin_ns=st.integers(0, 2 * 10**18),
    seed=st.integers(0, 1000),
    jitter_ms=st.sampled_from([0.0, 0.5, 2.0]),
)
@example(ppm=200.0, origin_ns=0, seed=1, jitter_ms=2.0)
@example(ppm=-500.0, origin_ns=2 * 10**18, seed=2, jitter_ms=2.0)
def test_any_drift_is_followed(ppm, origin_ns, seed, jitter_ms):
    chance, model, device = random.Random(seed), ClockModel(), Device(ppm, origin_ns)
    errors = run(model, device, 1200, 5, lambda: abs(chance.gauss(0, jitter_ms / 1000)))
    assert max(map(abs, errors)) < 8
    assert max(map(abs, errors[300:])) < 2.5  # of which the mean delay, 0.8 of the jitter, is 1.6
    assert model.rate_ppm == pytest.approx(-ppm, abs=3)


def test_two_sources_200_ppm_apart_stay_together_for_hours():
    """A camera's and a microphone's clock drift 1.4 s apart in two hours; their models never do."""
    chance = random.Random(3)
    camera, microphone = Device(+100.0), Device(-100.0, origin_ns=77 * SECOND)
    models = ClockModel(), ClockModel()
    apart = []
    for i in range(2 * 3600 * 5):
        at = i / 5
        models[0].observe(camera.shows(at), host(at + chance.expovariate(1 / 0.004)))
        models[1].observe(microphone.shows(at), host(at + abs(chance.gauss(0, 0.001))))
        apart.append(error_ms(models[0], camera, at) - error_ms(models[1], microphone, at))
    assert max(map(abs, apart)) < 20
    assert max(map(abs, apart[100:])) < 8
    # What remains is the difference of the two mean delays, which no observation can tell from capture time.
    settled = apart[300:]
    assert max(settled) - min(settled) < 3
    assert sum(settled) / len(settled) == pytest.approx(4.0 - 0.8, abs=0.5)


def test_late_arrivals_leave_no_mark():
    """One block in fifty comes up to 300 ms late; every two minutes the process sleeps for half a second."""
    chance, model, device = random.Random(4), ClockModel(), Device(150.0)

    def delay(i):
        sleep = max(0.0, 0.5 - (i % 3000) / 25)
        return 0.001 + sleep + (chance.random() < 0.02) * chance.random() * 0.3

    errors = []
    for i in range(25 * 600):
        assert not model.observe(device.shows(i / 25), host(i / 25 + delay(i)))
        errors.append(error_ms(model, device, i / 25))
    assert max(map(abs, errors[25 * 30 :])) < 3
    assert min(errors[:50]) < 10, "the burst that a device starts with is seen through within two seconds"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-300, 300))
def test_missing_repeated_and_reordered_observations_change_little(seed, ppm):
    chance = random.Random(seed)
    model, device = ClockModel(), Device(ppm)
    seen = [(i / 5, i / 5 + abs(chance.gauss(0, 0.001))) for i in range(3000) if chance.random() < 0.7]
    seen = [o for o in seen if not 200 < o[0] < 300]
    seen += chance.sample(seen, 200)
    seen.sort(key=lambda o: o[1] + (chance.random() < 0.1) * chance.random())
    for at, arrived in seen:
        assert not model.observe(device.shows(at), host(arrived))
    assert abs(error_ms(model, device, 600)) < 2
    assert model.rate_ppm == pytest.approx(-ppm, abs=5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(-30, 400)), min_size=1, max_size=300))
def test_time_never_runs_backwards(steps):
    """Whatever is observed, later device times map to no earlier host times, unless a jump is reported."""
    model, device_ns, last = ClockModel(), 0, None
    for step_ms, delay_ms in steps:
        device_ns += step_ms * MS
        if model.observe(device_ns, HOST + device_ns + delay_ms * MS):
            last = None
        now = model.host_ns(device_ns)
        assert last is None or now >= last
        assert model.host_ns(device_ns - 1) <= now
        last = now


@pytest.mark.parametrize("jump_s", [0.1, -0.1, 0.5, -0.5, 3600.0, -3600.0])
def test_a_jump_of_the_devices_clock_is_reported_once_and_followed(jump_s):
    chance, model = random.Random(5), ClockModel()
    run(model, Device(120.0), 120, 25, lambda: abs(chance.gauss(0, 0.001)))
    jumped = Device(120.0, origin_ns=round(jump_s * SECOND))
    reports = []
    for i in range(25 * 60):
        at = 120 + i / 25
        if model.observe(jumped.shows(at), host(at + abs(chance.gauss(0, 0.001)))):
            reports.append(at - 120)
    assert len(reports) == 1
    assert reports[0] == pytest.approx(0.0 if abs(jump_s) > 1 else 1.0, abs=0.1)
    assert abs(error_ms(model, jumped, 180)) < 2


def test_a_rate_that_may_be_chance_is_not_applied():
    chance, model, device = random.Random(6), ClockModel(), Device(0.0)
    for i in range(50):
        model.observe(device.shows(i / 25), host(i / 25 + abs(chance.gauss(0, 0.005))))
    assert abs(model.rate_ppm) < 50, "two seconds of jitter are no drift"
    errors = run(model, device, 600, 5, lambda: abs(chance.gauss(0, 0.005)), begin=2.0)
    assert abs(model.rate_ppm) < 3
    assert max(errors[300:]) - min(errors[300:]) < 2


def test_four_weeks_cost_no_precision():
    chance, model, device = random.Random(7), ClockModel(), Device(87.0, origin_ns=1_700_000_000 * SECOND)
    errors = run(model, device, 28 * 86_400, 1 / 30, lambda: abs(chance.gauss(0, 0.0005)))
    assert max(map(abs, errors[200:])) < 1.5
    assert model.rate_ppm == pytest.approx(-87.0, abs=0.5)
    assert isinstance(model.host_ns(device.shows(1.0)), int)


def test_a_long_silence_is_bridged_by_the_rate():
    chance, model, device = random.Random(8), ClockModel(), Device(200.0)
    run(model, device, 300, 25, lambda: abs(chance.gauss(0, 0.001)))
    assert abs(error_ms(model, device, 300 + 600)) < 3, "200 ppm would be 120 ms after ten minutes"
    assert not model.observe(device.shows(900.04), host(900.05))
    assert abs(error_ms(model, device, 900.04)) < 3


def test_asking_before_the_first_observation_is_an_error():
    with pytest.raises(ValueError, match="not been observed"):
        ClockModel().host_ns(0)


@settings(max_examples=12, deadline=None)
@given(ppm=st.floats(-300, 300), seed=st.integers(0, 1000), seconds=st.sampled_from([2, 20, 200, 900]))
@example(ppm=-61.0, seed=77, seconds=20)  # a rate that might just be chance
@example(ppm=-59.0, seed=5, seconds=20)
def test_it_tells_how_far_it_may_be_off(ppm, seed, seconds):
    chance, model, device = random.Random(seed), ClockModel(), Device(ppm)
    *_, error = run(model, device, seconds, 10, lambda: 0.005 + chance.gauss(0, 0.001))
    told = model.report()
    assert abs(error - 5.0) <= told["uncertainty_ms"] + 0.001  # but for the delay that is always there
    assert abs(told["rate_ppm"] + ppm) <= told["rate_uncertainty_ppm"] + 0.001
    assert told["offset_ms"] == pytest.approx(HOST / MS + 5, abs=0.001 * abs(ppm) * seconds + 3)
    if seconds == 900:
        assert told["uncertainty_ms"] < 1.0
        assert told["rate_uncertainty_ppm"] < 30


def test_a_clock_just_seen_tells_the_most_it_may_be_off():
    model = ClockModel()
    model.observe(0, HOST)
    model.observe(20 * MS, HOST + 23 * MS)
    assert model.report() == {
        "rate_ppm": 0.0,
        "rate_uncertainty_ppm": 1000.0,
        "offset_ms": HOST / MS,
        "uncertainty_ms": 3.0,
    }
