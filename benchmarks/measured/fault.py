"""What can go wrong, how to cause it for real, and what hearsee does about it: ``docs/faults.md`` in code."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.measured.stage import FPS, Stage, is_av
from benchmarks.measured.told import Test

DEVICE_S, WORKER_S = 3.0, 5.0


@dataclass(frozen=True)
class Fault:
    """happens: what hearsee does, what is published.  test: the one that causes it for real.

    cause, mend: on a stage; mend None where hearsee mends it by itself, from the moment it was caused.
    told: the first message that tells of it; None where nothing does.  back: the first that shows it mended.
    lasts_s: from when it was told to when it is mended.  within_s: how long it may take to be back.
    spares: "sound" or "picture", of which nothing may be lost.
    """

    name: str
    happens: str
    test: str
    cause: Callable[[Stage], object]
    told: Test | None
    mend: Callable[[Stage], object] | None = None
    back: Test = is_av
    lasts_s: float = 2.0
    within_s: float = DEVICE_S
    spares: str = ""


def mode(name: str) -> Test:
    return lambda topic, body: topic == "voice" and body["mode"] == name


def says(words: str) -> Test:
    return lambda topic, body: topic == "status" and words in body["says"]


def silent(words: str) -> Test:
    return lambda topic, body: topic == "status" and words not in body["says"]


def state(group: str, *states: str) -> Test:
    return lambda topic, body: topic == "status" and body["groups"].get(group, {}).get("state") in states


def _frozen(stage: Stage) -> None:
    stage.camera.picture = lambda i: stage.pictures[30]


def _black(stage: Stage) -> None:
    stage.camera.picture = lambda i: np.zeros_like(stage.pictures[0])


def _normal(stage: Stage) -> None:
    stage.camera.picture, stage.camera.fps, stage.speech.gain = stage.show, FPS, 1.0
    stage.camera.frozen.clear()
    stage.order("camera", "")
    stage.order("face", "")


def _rate(fps: float) -> Callable[[Stage], object]:
    return lambda stage: setattr(stage.camera, "fps", fps)


def _gain(gain: float) -> Callable[[Stage], object]:
    return lambda stage: setattr(stage.speech, "gain", gain)


def _sound_back(stage: Stage) -> None:
    stage.sound.start()
    stage.speech.start()


def _other_card(rate: int, channels: int) -> Callable[[Stage], object]:
    def replace(stage: Stage) -> None:
        stage.sound.replace_sink(rate, channels)
        stage.speech.start()

    return replace


def _order(node: str, word: str) -> Callable[[Stage], object]:
    return lambda stage: stage.order(node, word)


def _signal(group: str, number: signal.Signals) -> Callable[[Stage], object]:
    return lambda stage: stage.send(group, number)


def _killed(group: str, happens: str) -> Fault:
    told = None if group == "publish" else state(group, "restarting", "lost")
    return Fault(
        name=f"group `{group}` is killed",
        happens=happens,
        test="tests/end_to_end/test_faults.py::test_a_killed_group_is_back_within_5_s_with_a_new_epoch"
        "_and_no_other_restarts",
        cause=_signal(group, signal.SIGKILL),
        told=told,
        back=_publishes_anew if group == "publish" else is_av,
        within_s=WORKER_S,
    )


def _publishes_anew(topic: str, body: dict[str, Any]) -> bool:
    return topic == "status" and body["uptime_s"] < WORKER_S


CAMERA = "tests/sources/test_camera.py::test_"
SIGHT = "tests/sources/test_sight.py::test_"
MICROPHONE = "tests/sources/test_microphone.py::test_"
LEVEL = "tests/sources/test_level.py::test_"
SUPERVISOR = "tests/runtime/test_supervisor.py::test_"
NOT_SENT = "`Gap` in place of every picture: lips are not read, the words go on by sound, `status` says why."

FAULTS = (
    Fault(
        "nothing, for comparison",
        "Everything goes on.",
        "tests/end_to_end/test_launch.py::test_the_talker_is_understood_and_the_run_ends_by_itself",
        lambda stage: None,
        None,
        lambda stage: None,
        lasts_s=5.0,
    ),
    Fault(
        "camera unplugged",
        "`Gap` 25 times a second, mode `audio`; it is looked for every second and taken back with the next"
        " epoch.",
        "tests/end_to_end/test_devices.py::test_microphone_and_camera_may_go_and_come_back_and_the_recording_knows",
        lambda stage: stage.camera.kill(),
        mode("audio"),
        lambda stage: stage.camera.start(),
        spares="sound",
    ),
    Fault(
        "camera stalls",
        "Nothing for 300 ms is a `Gap`; after a second without a picture it is opened anew.",
        f"{CAMERA}a_camera_that_freezes_is_told_within_half_a_second",
        lambda stage: stage.camera.frozen.set(),
        mode("audio"),
        _normal,
        spares="sound",
    ),
    Fault(
        "camera frozen, the same picture for ever",
        f"From the fifth equal picture and 500 ms on {NOT_SENT}",
        f"{SIGHT}pictures_that_show_nothing_are_gaps_until_they_show_something_again",
        _frozen,
        mode("audio"),
        _normal,
        spares="sound",
    ),
    Fault(
        "camera black",
        f"After 500 ms {NOT_SENT}",
        f"{SIGHT}pictures_that_show_nothing_are_gaps_until_they_show_something_again",
        _black,
        mode("audio"),
        _normal,
        spares="sound",
    ),
    Fault(
        "camera at another rate, 15 a second in place of 25",
        "Its pictures are used, the nearest to each frame; `status` says the rate.",
        f"{SIGHT}another_rate_than_was_asked_for_is_told",
        _rate(15.0),
        says("not the 25 it was asked for"),
        _normal,
        silent("pictures a second"),
        spares="sound",
    ),
    Fault(
        "camera at 5 pictures a second",
        "The same; lips help less, the sound is untouched.",
        f"{SIGHT}a_camera_too_slow_for_lips_is_told_and_its_pictures_are_used",
        _rate(5.0),
        says("gives 5 pictures a second"),
        _normal,
        silent("pictures a second"),
        spares="sound",
    ),
    Fault(
        "microphone unplugged, its sound server killed",
        "`Gap` 25 times a second, mode `video`: words from the lips; it is looked for twice a second and"
        " taken back with the next epoch.",
        "tests/end_to_end/test_devices.py::test_microphone_and_camera_may_go_and_come_back_and_the_recording_knows",
        lambda stage: stage.sound.kill(),
        mode("video"),
        _sound_back,
        spares="picture",
    ),
    Fault(
        "microphone of another rate plugged in, 16 kHz mono in place of 48 kHz stereo",
        "The stream dies and is opened anew at the new rate; all that follows is 16 kHz mono as ever.",
        "tests/sources/test_microphone.py::test_another_card_of_another_rate_is_taken_up",
        _other_card(16_000, 1),
        mode("video"),
        spares="picture",
    ),
    Fault(
        "microphone digitally silent",
        "The zeros are heard as silence; after 5 s of nothing but zeros `status` asks whether it is muted.",
        f"{LEVEL}a_muted_microphone_and_one_that_clips_are_told_and_both_end",
        _gain(0.0),
        says("nothing but zeros"),
        _normal,
        silent("nothing but zeros"),
        spares="picture",
    ),
    Fault(
        "microphone clips",
        "The sound is used; `status` says how much of it is cut off, until 5 s after the last.",
        f"{LEVEL}a_muted_microphone_and_one_that_clips_are_told_and_both_end",
        _gain(40.0),
        says("is cut off"),
        _normal,
        silent("is cut off"),
        within_s=7.0,
        spares="picture",
    ),
    Fault(
        "camera's timestamps jump 5 s forward",
        "A stamp that is not of the host's clock is not believed: pictures are timed by their arrival.",
        "tests/sources/test_shutter.py::test_stamps_that_jump_and_come_twice_move_no_picture",
        _order("camera", "forward"),
        None,
        _normal,
        lasts_s=5.0,
        spares="sound",
    ),
    Fault(
        "camera's timestamps jump 5 s back",
        "The same.",
        "tests/sources/test_shutter.py::test_stamps_that_jump_and_come_twice_move_no_picture",
        _order("camera", "back"),
        None,
        _normal,
        lasts_s=5.0,
        spares="sound",
    ),
    Fault(
        "every timestamp of the camera comes twice",
        "Of pictures with one time the first is read.",
        "tests/sources/test_shutter.py::test_stamps_that_jump_and_come_twice_move_no_picture",
        _order("camera", "twice"),
        None,
        _normal,
        lasts_s=5.0,
        spares="sound",
    ),
    Fault(
        "a node raises",
        "It is closed and opened again, after 0.1 s and later up to 5 s; meanwhile it answers with `Gap`.",
        "tests/runtime/test_host.py::test_a_node_that_fails_is_opened_again_and_the_others_do_not_notice",
        _order("face", "raise"),
        mode("audio"),
        _normal,
        within_s=WORKER_S,
        spares="sound",
    ),
    Fault(
        "a node hangs",
        "Its group is killed when its loop has not come round for 2 s, for 5 s where it computes, not"
        " counting what it waits for a busy processor or disk, and started again.",
        f"{SUPERVISOR}a_group_that_hangs_is_killed_and_started_again",
        _order("face", "hang"),
        state("perceive", "restarting", "lost"),
        lasts_s=0.0,
        within_s=WORKER_S,
    ),
    Fault(
        "a node leaks",
        "A group that holds more than its `memory_mb` (here 800) is killed within 0.25 s and started again.",
        f"{SUPERVISOR}a_group_that_leaks_is_started_again_before_it_takes_the_machine",
        _order("face", "leak"),
        state("perceive", "restarting"),
        lasts_s=0.0,
        within_s=WORKER_S,
    ),
    _killed("capture", "Started again at once, with a new epoch; what was said meanwhile is not heard."),
    _killed(
        "perceive",
        "Started again at once; the chunk it had is lost, 6 s of sound wait on the edge and are heard then.",
    ),
    _killed(
        "publish",
        "Started again at the same address; what it publishes before a subscriber is back is lost to it.",
    ),
    Fault(
        "a group is suspended (SIGSTOP)",
        "Killed when its loop has not come round for 2 s, and started again.",
        f"{SUPERVISOR}a_process_that_is_suspended_is_replaced",
        _signal("perceive", signal.SIGSTOP),
        state("perceive", "restarting", "lost"),
        within_s=WORKER_S,
    ),
    Fault(
        "everything is suspended for 30 s and resumed",
        "Nobody is restarted for it; the 30 s are one long `Gap`.",
        f"{SUPERVISOR}a_machine_that_stood_still_restarts_nobody",
        lambda stage: stage.send_all(signal.SIGSTOP),
        None,
        lambda stage: stage.send_all(signal.SIGCONT),
        lasts_s=30.0,
    ),
)
