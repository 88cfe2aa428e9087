"""Messages survive the wire unchanged, and nothing else gets through."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

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


@given(st.data())
def test_any_sound_and_any_picture_survive(data):
    samples = np.frombuffer(
        data.draw(st.binary(max_size=200).map(lambda raw: raw[: len(raw) // 4 * 4])), "f4"
    )
    assert same(Audio(**HEAD, samples=samples), decode(over_a_wire(encode(Audio(**HEAD, samples=samples)))))
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    raw = data.draw(st.binary(min_size=height * width * 3, max_size=height * width * 3))
    image = np.frombuffer(raw, np.uint8).reshape(height, width, 3)
    assert same(Picture(**HEAD, image=image), decode(over_a_wire(encode(Picture(**HEAD, image=image)))))


FORMS = {
    "Audio": ("samples", "float32", [(0,), (1,), (320,)]),
    "Picture": ("image", "uint8", [(1, 1, 3), (4, 6, 3)]),
    "Face": ("mouth", "uint8", [(88, 88)]),
}


@given(st.data())
def test_any_image_survives_packing_and_what_is_none_is_refused(data):
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)), 3)
    image = np.frombuffer(data.draw(st.binary(min_size=1, max_size=64)) * 4800, np.uint8)
    picture = Picture(**HEAD, image=image[: np.prod(shape)].reshape(shape))
    parts = over_a_wire(encode(picture, packed=True))
    back = decode(parts)
    assert same(back, picture)
    assert not back.image.flags.writeable
    other = data.draw(st.binary(max_size=40) | st.just(parts[2] + b"x") | st.just(parts[2][:-1]))
    with pytest.raises(MessageError):
        decode([*parts[:2], other])
    header = parts[1].replace(msgspec.msgpack.encode(list(shape)), msgspec.msgpack.encode([1, 1, 3]))
    if shape != (1, 1, 3):
        with pytest.raises(MessageError, match="no packed image"):
            decode([parts[0], header, parts[2]])


def test_a_face_is_half_as_large_between_hosts_and_sound_is_sent_as_it_is():
    y, x = np.mgrid[:88, :88]
    mouth = (
        120 + 60 * np.sin(x / 9) * np.cos(y / 7) + np.random.default_rng(0).normal(0, 1, x.shape)
    ).astype(np.uint8)
    face = structs.replace(ONE_OF_EACH[2], mouth=mouth, face=mouth[:64, :64].copy())
    plain, packed = (sum(map(len, over_a_wire(encode(face, packed=packed)))) for packed in (False, True))
    assert packed < 0.6 * plain
    assert over_a_wire(encode(ONE_OF_EACH[0], packed=True)) == over_a_wire(encode(ONE_OF_EACH[0]))


@given(
    message=st.sampled_from(ONE_OF_EACH[:3]),
    dtype=st.sampled_from(sorted(ARRAY_DTYPES)),
    shape=st.one_of(
        st.sampled_from([(320,), (4, 6, 3), (88, 88), (0, 0, 3)]),
        st.lists(st.integers(0, 5), max_size=4).map(tuple),
    ),
)
def test_an_array_of_another_type_or_shape_than_its_kind_carries_is_refused(message, dtype, shape):
    name, own, shapes = FORMS[type(message).__name__]
    sent = over_a_wire(encode(msgspec.structs.replace(message, **{name: np.zeros(shape, dtype)})))
    free = {"Audio": len(shape) == 1, "Picture": len(shape) == 3 and shape[2] == 3 and min(shape) > 0}
    if dtype == own and (shape in shapes or free.get(type(message).__name__)):
        assert getattr(decode(sent), name).shape == shape
    else:
        with pytest.raises(MessageError, match=f"{name} of {type(message).__name__} must be {own}"):
            decode(sent)


@pytest.mark.parametrize("name", ["seq", "epoch", "t_start_ns", "t_end_ns"])
def test_a_number_that_64_bits_do_not_hold_is_refused(name):
    sent = over_a_wire(encode(msgspec.structs.replace(ONE_OF_EACH[3], **{name: 2**63})))
    with pytest.raises(MessageError, match=f"{name} of Gap"):
        decode(sent)


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
