"""The page for subscribers says what the code does."""

from pathlib import Path

import msgspec
import pytest

from nodes.outputs import topics
from nodes.outputs.bodies import FaceBody, StatusBody, TranscriptBody, VoiceBody

PAGE = Path(__file__).parents[2] / "docs" / "topics.md"


def test_the_page_is_what_the_command_prints():
    assert PAGE.read_text() == topics.page(), "run: python -m nodes.outputs.topics > docs/topics.md"


@pytest.mark.parametrize(
    ("topic", "struct"),
    [
        ("transcript.partial", TranscriptBody),
        ("transcript.final", TranscriptBody),
        ("voice", VoiceBody),
        ("face", FaceBody),
        ("status", StatusBody),
    ],
)
def test_each_topic_has_an_example_with_every_field(topic, struct):
    text = PAGE.read_text().split(f"## `{topic}`\n")[1].split("```json\n")[1].split("```")[0]
    body = msgspec.json.decode(text, type=struct)
    assert set(msgspec.json.decode(text)) == {field.name for field in msgspec.structs.fields(struct)}
    assert body == topics.examples()[topic]
