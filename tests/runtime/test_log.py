"""What is told on stderr: no line over and over, nothing lost in silence, and JSON a program can read."""

import json
import logging
import time

import pytest

from nodes.runtime.log import KEPT, Lines, retold


class Heard(list):
    """A logger of its own whose lines are taken down; ``now_s`` is moved by the test."""

    def __init__(self, group="capture"):
        self.now_s = 100.0
        self.lines = Lines(group, self.append, seconds=30.0, now_s=lambda: self.now_s)
        self.log = logging.Logger("nodes.sources.camera")
        self.log.addHandler(self.lines)

    @property
    def texts(self):
        return [line.text for line in self]


@pytest.fixture
def heard():
    return Heard()


def test_the_same_line_is_told_once_in_thirty_seconds_with_how_often_it_was_held_back(heard):
    for second in range(65):
        heard.now_s = 100.0 + second
        heard.log.warning("camera %d not found", 0)
    assert heard.texts == [
        "camera 0 not found",
        "camera 0 not found (held back 29 times)",
        "camera 0 not found (held back 29 times)",
    ]


def test_what_was_held_back_and_does_not_come_again_is_told_when_its_time_is_over(heard):
    for _ in range(4):
        heard.log.warning("camera 0 not found")
    heard.now_s += 29
    heard.lines.tell_held()
    assert heard.texts == ["camera 0 not found"]
    heard.now_s += 2
    heard.lines.tell_held()
    heard.lines.tell_held()
    assert heard.texts[1:] == ["camera 0 not found (held back 3 times)"]
    heard.log.warning("camera 0 not found")
    assert len(heard) == 2, "thirty seconds begin anew"
    heard.lines.flush()
    assert heard.texts[2:] == ["camera 0 not found (held back once)"]


def test_one_line_that_floods_costs_no_other(heard):
    for i in range(10_000):
        heard.log.warning("bad message")
        if i % 1000 == 0:
            heard.log.warning("news %d", i)
    assert heard.texts == ["bad message", *(f"news {i}" for i in range(0, 10_000, 1000))]


def test_many_different_lines_do_not_grow(heard):
    for i in range(5 * KEPT):
        heard.log.warning("line %d", i)
    assert len(heard.lines._told) == KEPT
    assert len(heard) == 5 * KEPT


def test_json_is_one_line_with_time_level_group_and_source(heard):
    heard.log.warning('first\nsecond \N{SNOWMAN} "quoted"')
    heard.log.error("worse")
    told, worse = [json.loads(line.json) for line in heard]
    assert "\n" not in heard[0].json
    when = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(heard[0].time_s))
    assert told.pop("time").startswith(when)
    assert told == {
        "level": "warning",
        "group": "capture",
        "source": "nodes.sources.camera",
        "message": 'first second \N{SNOWMAN} "quoted"',
    }
    assert worse["level"] == "error"
    assert heard.texts[1] == "error: worse"


def test_a_line_of_a_group_is_told_by_the_supervisor_as_it_was_made(heard):
    for _ in range(3):
        heard.log.warning("camera 0 not found")
    heard.lines.flush()
    here = Heard(group="")
    logging.getLogger("nodes.sources.camera").addHandler(here.lines)
    try:
        for line in heard:
            retold(line)
        here.lines.flush()
    finally:
        logging.getLogger("nodes.sources.camera").removeHandler(here.lines)
    assert [(line.group, line.time_s) for line in here[:1]] == [("capture", heard[0].time_s)]
    assert here.texts == ["camera 0 not found", "camera 0 not found (held back 3 times)"]
