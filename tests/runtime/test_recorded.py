"""What a source sends comes out of a recording as it went in, but for what 16 bits and JPEG cost."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nodes.outputs.bodies import FaceBody, SentimentBody, StatusBody, TranscriptBody, VoiceBody
from nodes.outputs.mcap_file import json_schema
from nodes.runtime.messages import Audio, Gap, MessageError, Picture
from nodes.runtime.recorded import SCHEMAS, keep, restore

OFFSET_NS = 1_700_000_000_123_456_789
times = st.integers(0, 2**62)
heads = st.fixed_dictionaries(
    {
        "stream": st.text(max_size=32),
        "seq": st.integers(0, 2**53),
        "epoch": st.integers(0, 2**53),
        "t_start_ns": times,
    }
)
lengths = st.integers(0, 2**40)


def again(message, quality=90):
    schema, kept = keep(message, OFFSET_NS, quality)
    return restore(schema, msgspec.json.encode(kept))


def head(message):
    return {name: getattr(message, name) for name in ("stream", "seq", "epoch", "t_start_ns", "t_end_ns")}


@given(heads, lengths, arrays(np.float32, st.integers(0, 800), elements=st.floats(-1, 1, width=32)))
def test_sound_to_half_a_step_of_16_bits(common, length, samples):
    sent = Audio(**common, t_end_ns=common["t_start_ns"] + length, samples=samples)
    got = again(sent)
    assert head(got) == head(sent)
    assert got.samples.dtype == np.float32
    assert np.abs(got.samples - np.minimum(samples, 32767 / 32768)).max(initial=0) <= 0.5 / 32768


def test_sound_of_16_bits_is_kept_to_the_bit():
    samples = np.arange(-32768, 32768, dtype=np.float32) / 32768
    sent = Audio(stream="m", seq=0, epoch=0, t_start_ns=0, t_end_ns=1, samples=samples)
    assert np.array_equal(again(sent).samples, samples)


@given(heads, lengths, st.sampled_from(["audio", "picture"]), st.text(max_size=80))
def test_gaps(common, length, of, reason):
    sent = Gap(**common, t_end_ns=common["t_start_ns"] + length, of=of, reason=reason)
    assert again(sent) == sent


def test_a_picture_looks_the_same():
    y, x = np.mgrid[:120, :160]
    image = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    sent = Picture(stream="camera", seq=3, epoch=2, t_start_ns=5, t_end_ns=40_000_005, image=image)
    got = again(sent)
    assert head(got) == head(sent)
    assert got.image.shape == image.shape
    assert np.abs(got.image.astype(int) - image).mean() < 3


def test_what_foxglove_needs_is_there():
    sent = Audio(
        stream="m", seq=0, epoch=0, t_start_ns=10**9 + 7, t_end_ns=2 * 10**9, samples=np.zeros(4, np.float32)
    )
    schema, kept = keep(sent, OFFSET_NS, 90)
    body = json.loads(msgspec.json.encode(kept))
    assert schema == "foxglove.RawAudio"
    assert body["timestamp"] == {"sec": 1_700_000_001, "nsec": 123_456_796}
    assert (body["format"], body["sample_rate"], body["number_of_channels"]) == ("pcm-s16", 16000, 1)
    assert body["data"] == "AAAAAAAAAAA="


def foxglove_reads(schema, name=""):
    """As far as Foxglove's reader of JSON schemas goes: every field one plain type, lists of those."""
    assert schema["type"] == "object", name
    for field, described in schema["properties"].items():
        where = f"{name}.{field}"
        assert not {"$ref", "anyOf", "oneOf"} & set(described), where
        if described["type"] == "array":
            described = described["items"]
            assert described["type"] != "array", where
        assert described["type"] in ("boolean", "string", "number", "integer", "object"), where
        assert described.get("contentEncoding", "base64") == "base64", where
        if described["type"] == "object":
            foxglove_reads(described, where)


@pytest.mark.parametrize(
    "kind", [*SCHEMAS.values(), TranscriptBody, VoiceBody, FaceBody, SentimentBody, StatusBody]
)
def test_every_schema_is_one_that_foxglove_can_read(kind):
    schema = json_schema(kind)
    foxglove_reads(schema, kind.__name__)
    fields = set(schema["properties"])
    assert fields >= {"stream", "seq", "epoch", "t_start_ns", "t_end_ns"}
    assert set(kind.__struct_fields__) - fields <= {"landmarks"}


@given(st.sampled_from(sorted(SCHEMAS)), st.binary(max_size=200))
def test_any_other_bytes_are_refused(schema, data):
    with pytest.raises(MessageError):
        restore(schema, data)


@given(st.sampled_from(sorted(SCHEMAS)), st.data())
def test_a_message_changed_anywhere_is_a_message_or_refused(schema, data):
    image = np.zeros((16, 16, 3), np.uint8)
    common = {"stream": "s", "seq": 1, "epoch": 0, "t_start_ns": 0, "t_end_ns": 9}
    messages = [
        Audio(**common, samples=np.zeros(8, np.float32)),
        Picture(**common, image=image),
        Gap(**common, of="audio", reason="unplugged"),
    ]
    kept = dict(keep(message, 0, 90) for message in messages)
    text = bytearray(msgspec.json.encode(kept[schema]))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = restore(schema, bytes(text))
    except MessageError:
        return
    assert message.port in ("audio", "picture")
    assert message.t_end_ns >= message.t_start_ns


def test_a_picture_that_claims_to_be_huge_is_refused():
    sent = Picture(
        stream="c", seq=0, epoch=0, t_start_ns=0, t_end_ns=1, image=np.zeros((32, 32, 3), np.uint8)
    )
    schema, kept = keep(sent, 0, 90)
    where = kept.data.index(b"\xff\xc0") + 5  # height and width stand there
    kept.data = kept.data[:where] + b"\xff\xff\xff\xff" + kept.data[where + 4 :]
    with pytest.raises(MessageError, match="cannot be decoded"):
        restore(schema, msgspec.json.encode(kept))
