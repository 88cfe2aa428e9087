"""Messages survive the wire unchanged, and nothing else gets through."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.runtime.messages import (
    ARRAY_DTYPES,
    Audio,
    Face,
    Gap,
    Health,
    MessageError,
    Picture,
    Transcript,
    Voice,
    Word,
    decode,
    encode,
)

HEAD = {"stream": "camera", "seq": 7, "epoch": 4097, "t_start_ns": 2**62, "t_end_ns": 2**62 + 1}

ONE_OF_EACH = [
    Audio(**HEAD, samples=np.linspace(-1, 1, 160, dtype=np.float32)),
    Picture(**HEAD, image=np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)),
    Face(
        **HEAD,
        mouth=np.full((88, 88), 9, np.uint8),
        face=np.full((64, 64), 8, np.uint8),
        box=(1.5, 2.5, 30.0, 40.0),
        landmarks=np.arange(10, dtype=np.float32).reshape(5, 2),
        quality=0.5,
        track=3,
    ),
    Gap(**HEAD, of="face", reason="no face"),
    Transcript(
        **HEAD,
        segment=1,
        revision=2,
        final=True,
        text="bin blue",
        words=[Word(text="bin", t_start_ns=1, t_end_ns=2, confidence=0.9, heard_by="av")],
        mode="av",
        modalities={"audio": 0.9, "video": 0.1},
        sync_error_ms=None,
    ),
    Voice(**HEAD, speaking=True, probability=0.5, mode="audio", modalities={}, sync_error_ms=-12.5),
    Health(
        **HEAD,
        group="capture",
        state="running",
        restarts=1,
        pid=2,
        memory_bytes=3,
        nodes={"camera": {"state": "ok", "messages": 4, "step_p50_ms": 0.5}},
        edges={"camera/picture>perceive": {"queued": 1, "queued_bytes": 2, "dropped": 3}},
    ),
]


def over_a_wire(parts):
    return [bytes(part) for part in parts]


def same(one, other):
    for name in one.__struct_fields__:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        else:
            assert a == b, name
    return True


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda m: type(m).__name__)
def test_every_kind_comes_back_as_it_was_sent(message):
    back = decode(over_a_wire(encode(message)))
    assert type(back) is type(message)
    assert same(message, back)


def test_the_topic_is_the_route_or_stream_and_port():
    assert encode(ONE_OF_EACH[0])[0] == b"camera/audio"
    assert encode(ONE_OF_EACH[3])[0] == b"camera/face", "a gap travels on the port it stands for"
    assert encode(ONE_OF_EACH[2], "lips/face")[0] == b"lips/face"


@given(
    dtype=st.sampled_from(sorted(ARRAY_DTYPES)),
    shape=st.lists(st.integers(0, 5), max_size=4).map(tuple),
    data=st.data(),
)
def test_any_array_survives(dtype, shape, data):
    count = int(np.prod(shape))
    raw = data.draw(
        st.binary(min_size=count * np.dtype(dtype).itemsize, max_size=count * np.dtype(dtype).itemsize)
    )
    if dtype == "bool":
        raw = bytes(byte & 1 for byte in raw)
    samples = np.frombuffer(raw, dtype).reshape(shape)
    assert same(Audio(**HEAD, samples=samples), decode(over_a_wire(encode(Audio(**HEAD, samples=samples)))))


def test_an_array_that_is_not_contiguous_arrives_whole():
    image = np.arange(10 * 8 * 3, dtype=np.uint8).reshape(10, 8, 3)[::2, ::-1]
    assert np.array_equal(decode(over_a_wire(encode(Picture(**HEAD, image=image)))).image, image)


def test_a_contiguous_array_is_not_copied():
    image = np.zeros((4, 4, 3), np.uint8)
    parts = encode(Picture(**HEAD, image=image))
    image[0, 0, 0] = 77
    assert bytes(parts[2])[0] == 77


def test_what_is_received_cannot_be_changed_under_another_reader():
    back = decode(over_a_wire(encode(ONE_OF_EACH[1])))
    with pytest.raises(ValueError, match="read-only"):
        back.image[0] = 1


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_at_all_are_a_message_error(parts):
    with pytest.raises(MessageError):
        decode(parts)


@given(st.data())
def test_a_message_with_bytes_changed_is_a_message_or_a_message_error(data):
    parts = over_a_wire(encode(data.draw(st.sampled_from(ONE_OF_EACH))))
    part = data.draw(st.integers(1, len(parts) - 1))
    at = data.draw(st.integers(0, max(0, len(parts[part]) - 1)))
    parts[part] = parts[part][:at] + data.draw(st.binary(max_size=3)) + parts[part][at + 1 :]
    try:
        back = decode(parts)
    except MessageError:
        return
    assert back.port in {"audio", "picture", "face", "transcript", "voice", "health"} or isinstance(back, Gap)


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (["float32", [200], 0], "does not fit"),
        (["float32", [-1], 0], "bad array"),
        (["float32", [160], 1], "bad array"),
        (["object", [160], 0], "bad array"),
        (["float32", [2**40, 2**40], 0], "does not fit"),
    ],
)
def test_an_array_that_its_buffer_cannot_hold_is_refused(spec, wrong):
    topic, header, buffer = over_a_wire(encode(ONE_OF_EACH[0]))
    fields = msgspec.msgpack.decode(header)
    fields["samples"] = spec
    with pytest.raises(MessageError, match=wrong):
        decode([topic, msgspec.msgpack.encode(fields), buffer])


def test_objects_do_not_travel():
    with pytest.raises(MessageError, match="object"):
        encode(Audio(**HEAD, samples=np.array([None])))
    with pytest.raises(MessageError, match="Exception"):
        encode(msgspec.structs.replace(ONE_OF_EACH[6], nodes={"camera": {"state": Exception()}}))
