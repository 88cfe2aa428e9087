"""``docs/faults.md``: what is done about each fault, and what it was measured to cost."""

import os
from dataclasses import dataclass
from datetime import date

from benchmarks.measured.fault import DEVICE_S, FAULTS, WORKER_S, Fault

NOTHING_S = 0.02  # the chunks' times meet within a rounding


@dataclass(frozen=True)
class Cost:
    """All in seconds: noticed_s after the cause, None where nothing tells; back_s after it was mended, or
    caused where hearsee mends it, None where it did not come back; sound_s, lips_s not heard, not seen.

    note: in place of these.
    """

    name: str
    noticed_s: float | None = None
    back_s: float | None = None
    sound_s: float = 0.0
    lips_s: float = 0.0
    note: str = ""

    def cells(self) -> list[str]:
        if self.note:
            return [self.note]
        noticed = "not told" if self.noticed_s is None else f"{self.noticed_s:.1f} s"
        back = "**never**" if self.back_s is None else f"{self.back_s:.1f} s"
        return [noticed, back, *(_lost(seconds) for seconds in (self.sound_s, self.lips_s))]

    def line(self) -> str:
        titles = ["noticed", "back", "sound lost", "lips lost"]
        cells = self.cells()
        said = cells if self.note else [f"{title} {cell}" for title, cell in zip(titles, cells, strict=True)]
        return f"{self.name:60} {', '.join(said)}"

    def missed(self, fault: Fault) -> list[str]:
        """What it took longer, or cost more, than it may."""
        wrong = []
        if fault.told and self.noticed_s is None:
            wrong.append("was not told")
        if self.back_s is None or self.back_s > fault.within_s:
            wrong.append(f"was not back within {fault.within_s:g} s")
        if fault.spares == "sound" and self.sound_s > NOTHING_S:
            wrong.append(f"cost {self.sound_s:.2f} s of sound")
        if fault.spares == "picture" and self.lips_s > NOTHING_S:
            wrong.append(f"cost {self.lips_s:.2f} s of the picture")
        return [f"{fault.name}: {what}" for what in wrong]


@dataclass(frozen=True)
class Row:
    """A fault that is not measured in seconds: as in ``Fault``."""

    name: str
    happens: str
    test: str


SUBSCRIBERS = (
    Row(
        "a subscriber that never reads",
        "1,000 messages are kept for it, then none: others notice nothing.",
        "tests/outputs/test_clients.py::test_a_subscriber_that_never_reads_holds_nobody_up",
    ),
    Row(
        "a subscriber that reads a byte a second",
        "The same.",
        "tests/outputs/test_clients.py::test_a_subscriber_that_reads_a_byte_a_second_holds_nobody_up",
    ),
    Row(
        "a subscriber that connects and vanishes, 1,000 times",
        "Each is forgotten when its connection ends.",
        "tests/outputs/test_clients.py::test_a_thousand_subscribers_that_vanish_leave_nothing",
    ),
)
ELSEWHERE = (
    Row(
        "microphone's clock 500 ppm off",
        "Its rate is learnt from its sample count against the host's clock; sound is timed within 15 ms.",
        "tests/sources/test_microphone.py::test_sound_is_timed_within_a_few_milliseconds_of_when_it_was_made",
    ),
    Row(
        "messages late, early, twice or out of order between groups",
        "What comes twice is dropped and counted; what comes too late is a hole.",
        "tests/runtime/test_align.py::test_what_comes_twice_or_out_of_order_changes_nothing",
    ),
    Row(
        "a device's clock starts anew",
        "A new epoch; state that was kept for it starts anew.",
        "tests/runtime/test_clock.py::test_a_jump_of_the_devices_clock_is_reported_once_and_followed",
    ),
    Row(
        "the disk is full while recording",
        "The recording stops where it was whole, `status` says so, and it goes on when there is room; nothing"
        " else notices ([recording.md](recording.md)).",
        "tests/outputs/test_record.py::test_a_full_disk_stops_the_recording_with_one_line_and_it_goes_on_when"
        "_there_is_room",
    ),
    Row(
        "a group dies again and again",
        "Restarts with back-off from 0 to 8 s; after 8 starts in 120 s it is given up, `status` shows"
        " `gave up` every second, the other groups go on.",
        "tests/runtime/test_supervisor.py::test_a_group_that_always_dies_is_given_up_and_the_others_go_on",
    ),
)


def page(costs: list[Cost], missed: list[str], when: date) -> str:
    by_name = {cost.name: cost for cost in costs}
    measured = "\n".join(
        _row(fault.name, fault.happens, *by_name[fault.name].cells(), _link(fault.test)) for fault in FAULTS
    )
    clients = "\n".join(
        _row(row.name, row.happens, by_name[row.name].note, _link(row.test)) for row in SUBSCRIBERS
    )
    elsewhere = "\n".join(_row(row.name, row.happens, _link(row.test)) for row in ELSEWHERE)
    verdict = "; ".join(missed) or "all within what is allowed"
    return f"""\
# What happens when something fails

Written by `python -m benchmarks.faults`; not by hand. `python launch.py doctor --live` asks a running
hearsee what is wrong and what to do about it.

The rules: whoever has nothing says `Gap` at the usual pace, with the reason, so nobody waits on silence.
What is missing is told on every result (`mode`, `modalities`) and, in words, in `status` (`says`). The
fusion of sound and lips waits 80 ms for a late picture; processes are looked at four times a second. Devices
are taken back within {DEVICE_S:g} s, processes within {WORKER_S:g} s, also such as hang, leak or are
suspended; the sound loses nothing when the camera fails, the lips nothing when the microphone does.

Caused for real on {when:%d %B %Y}, {os.cpu_count()} cores, on the whole pipeline with an MJPEG camera over
HTTP and a PulseAudio microphone: *noticed*, from the fault to the first message that tells of it (where
only `status` does, it comes once a second); *back*, from the end of the fault, or from its beginning where
hearsee itself mends it, to the first result as before; *lost*, the seconds of sound and of lips that no
chunk was read from, all the while it lasted included. Verdict: {verdict}.

| what fails | what happens, what is published | noticed | back | sound lost | lips lost | test |
|---|---|---|---|---|---|---|
{measured}

Subscribers, each of them for some seconds beside one that is well: what the publishing process then holds
more, and the longest pause between two messages of `voice` (one every 160 ms).

| who | what happens | measured | test |
|---|---|---|---|
{clients}

[soak.md](soak.md) is what became of it when something failed all the time. Caused in tests only:

| what fails | what happens | test |
|---|---|---|
{elsewhere}
"""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _lost(seconds: float) -> str:
    return "none" if seconds <= NOTHING_S else f"{seconds:.1f} s"


def _link(test: str) -> str:
    """The test's name without what is in every name, linked to its file."""
    file, name = test.split("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})"
