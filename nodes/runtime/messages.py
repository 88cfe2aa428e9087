"""Every kind of message, and how each crosses a wire.

All times are integer nanoseconds of the host's monotonic clock at capture.  ``epoch`` rises when a source
restarts; whoever holds streaming state resets it when the epoch changes or a hole is longer than a chunk.

On the wire a message is ZeroMQ multipart ``[topic, header, buffer...]``.  ``topic`` is ``node/port``, as
``inputs`` in ``pipeline.yaml`` names it.  The header is msgpack, each array is one raw C-contiguous buffer
whose dtype and shape stand in the header.  Between hosts, images are packed (``packing``).  Never
pickle.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.packing import pack, packs, unpack

SAMPLE_RATE = 16_000
FRAME_NS = 40_000_000
FRAME_SAMPLES = 640
CHUNK_FRAMES = 4
CHUNK_NS = CHUNK_FRAMES * FRAME_NS
CHUNK_SAMPLES = CHUNK_FRAMES * FRAME_SAMPLES
MOUTH_SIZE = 88
FACE_SIZE = 64
PORTRAIT_SIZE = 224

ARRAY_DTYPES = frozenset({"uint8", "int16", "int32", "int64", "float16", "float32", "float64", "bool"})
MAX_ARRAY_BYTES = 64 * 2**20
MAX_PARTS = 16
FREE, SOME = -1, -2
"""Lengths of an axis: any, and any but 0."""


class MessageError(ValueError):
    """The bytes are no message of ours; says which part is wrong."""


class Message(msgspec.Struct, kw_only=True, tag_field="kind", tag=str.lower):
    """stream: id of the node it comes from (pictures and faces keep their camera's).
    seq: counts up by one for each stream and port; a jump means something was dropped on the way.
    """

    stream: str
    seq: int
    epoch: int
    t_start_ns: int
    t_end_ns: int

    port: ClassVar[str] = ""
    arrays: ClassVar[dict[str, tuple[str, tuple[int, ...]]]] = {}
    """dtype and shape of each array; others are refused where they arrive."""

    @property
    def captured_ns(self) -> int:
        """When all that it tells of had been captured: what it is late by counts from then."""
        return self.t_end_ns


class Audio(Message):
    """Mono sound at 16 kHz: ``samples`` float32 [n] in -1..1, n free."""

    port: ClassVar[str] = "audio"
    arrays: ClassVar[dict[str, tuple[str, tuple[int, ...]]]] = {"samples": ("float32", (FREE,))}
    samples: np.ndarray


class Picture(Message):
    """One picture: ``image`` uint8 [height, width, 3], BGR.  ``t_end_ns`` is one picture period later."""

    port: ClassVar[str] = "picture"
    arrays: ClassVar[dict[str, tuple[str, tuple[int, ...]]]] = {"image": ("uint8", (SOME, SOME, 3))}
    image: np.ndarray

    @property
    def captured_ns(self) -> int:
        """A picture is taken in a moment; it only stands for the time until the next."""
        return self.t_start_ns


class Face(Message):
    """One face of one picture.  Several in a picture follow each other, the most prominent first.

    They share stream, seq, epoch and times.

    mouth: uint8 [88, 88] grey, stabilised: eyes level, mouth centred.  face: uint8 [64, 64] grey.
    box: x, y, width, height in pixels of the picture.  landmarks: float32 [5, 2], the person's right eye,
    left eye, nose tip, right mouth corner, left mouth corner, as YuNet orders them, in pixels of the picture.
    quality: 0..1, what the lips can be trusted for (size, blur, pose, occlusion, out of frame).
    track: which face it is, for as long as it is followed; a number is not given to a second face.
    last: no other face of the same picture follows.
    portrait: uint8 [224, 224, 3] BGR, what ``face`` shows, larger and in colour; None unless asked for.
    """

    port: ClassVar[str] = "face"
    arrays: ClassVar[dict[str, tuple[str, tuple[int, ...]]]] = {
        "mouth": ("uint8", (MOUTH_SIZE, MOUTH_SIZE)),
        "face": ("uint8", (FACE_SIZE, FACE_SIZE)),
        "landmarks": ("float32", (5, 2)),
        "portrait": ("uint8", (PORTRAIT_SIZE, PORTRAIT_SIZE, 3)),
    }
    mouth: np.ndarray
    face: np.ndarray
    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    quality: float
    track: int
    last: bool = True
    portrait: np.ndarray | None = None

    @property
    def captured_ns(self) -> int:
        """As of its picture."""
        return self.t_start_ns


class Gap(Message):
    """Nothing to send for ``[t_start_ns, t_end_ns)`` on port ``of``; sent at the usual pace so nobody waits.

    reason: a few words a person understands ("camera unplugged", "no face", "overflow").
    """

    of: str
    reason: str

    @property
    def port(self) -> str:  # type: ignore[override]
        return self.of


class Word(msgspec.Struct, kw_only=True):
    """heard_by: "a", "v" or "av", what had a say in it.  confidence: 0..1."""

    text: str
    t_start_ns: int
    t_end_ns: int
    confidence: float
    heard_by: str


class Transcript(Message):
    """What was said in one segment, so far or for good.

    segment: counts up from 0 for each stretch of speech.  revision: counts up from 0 within the segment.
    final: the last message of its segment, sent exactly once, after at least one partial.
    mode: "av", "audio", "video" or "none".  modalities: reliability 0..1 of each, over the segment's last
    chunk.
    sync_error_ms: how much later the picture is than the sound, None while not known.
    face: ``track`` of the face that is read, None where none is.
    """

    port: ClassVar[str] = "transcript"
    segment: int
    revision: int
    final: bool
    text: str
    words: list[Word]
    mode: str
    modalities: dict[str, float]
    sync_error_ms: float | None
    face: int | None = None


class Voice(Message):
    """Every chunk: is somebody speaking, by sound or by lips.  probability: 0..1.

    mode, modalities, sync_error_ms, face: as in Transcript.
    faces: for every face in view, by ``track``: is it the one who speaks; None while that cannot be told.
    """

    port: ClassVar[str] = "voice"
    speaking: bool
    probability: float
    mode: str
    modalities: dict[str, float]
    sync_error_ms: float | None
    face: int | None = None
    faces: dict[int, bool | None] = {}


class Sentiment(Message):
    """How one person means it, a few times a second while they speak or are seen.

    face: ``track`` of their face, None for somebody who is only heard.
    emotion: one of ``engines.sentiment.emotions.EMOTIONS``, held against wavering; emotions: the probability
    of each.  valence, arousal: -1..1.  confidence: 0..1 of "emotion", "valence" and "arousal".
    modalities: how much "face", "voice" and "words" count in it, adding up to 1; 0 for what is not there.
    """

    port: ClassVar[str] = "sentiment"
    face: int | None
    emotion: str
    emotions: dict[str, float]
    valence: float
    arousal: float
    confidence: dict[str, float]
    modalities: dict[str, float]


class Health(Message):
    """Once a second from every group, stream as group, and from the supervisor: stream "supervisor", group ""
    for itself, or the name of a group that is down and cannot speak.

    state: "running", "starting", "restarting", "gave up", "finished" or "stopped"; of a group on another host
    also "unreachable" (does not answer; it may well run) or "waiting" (for its host to join); ``restarts`` so
    far.
    nodes: for each node id: ``state`` ("ok" or the last error in one line), ``messages``, ``step_p50_ms``,
    ``step_p90_ms``, ``step_p99_ms``; ``delay_p50_ms`` and so on (end of capture to hand-over); and where the
    node has them ``gaps``, ``warnings``, ``late``, ``engines`` and ``clock``, see ``docs/topics.md``.
    edges: for each outgoing ``node/port>group``: ``queued``, ``queued_bytes``, ``dropped``.
    host: where the group runs.  clocks: for each other host it hears from, how that host's clock is related
    to its own: ``offset_ms`` (to be added to that host's times), ``uncertainty_ms``, ``delay_ms`` (there and
    back), ``heard_s`` (ago), ``steps``.
    """

    port: ClassVar[str] = "health"
    group: str
    state: str
    restarts: int
    pid: int
    memory_bytes: int
    nodes: dict[str, dict[str, Any]]
    edges: dict[str, dict[str, int]]
    host: str = "local"
    clocks: dict[str, dict[str, float]] = {}


def shift(message: Message, offset_ns: int) -> None:
    """Adds ``offset_ns`` to every time in the message: that of another host becomes one of this host."""
    if offset_ns:
        for part in (message, *(message.words if isinstance(message, Transcript) else ())):
            part.t_start_ns += offset_ns
            part.t_end_ns += offset_ns


Wire = Audio | Picture | Face | Gap | Transcript | Voice | Sentiment | Health


class _Array(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    buffer: int
    packed: bool = False


def encode(message: Message, topic: str = "", packed: bool = False) -> list[bytes | memoryview]:
    """The multipart form of a message; arrays are not copied when they are C-contiguous.

    topic: where not given, ``stream/port``.  packed: images take half the bytes, and some time.
    """
    buffers: list[NDArray[Any]] = []

    def hook(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.name not in ARRAY_DTYPES:
                raise MessageError(f"{type(message).__name__}: arrays of {value.dtype} do not travel")
            pays = packed and packs(value.dtype, value.shape, value.nbytes)
            buffers.append(pack(value) if pays else np.ascontiguousarray(value))
            return _Array(value.dtype.name, value.shape, len(buffers) - 1, pays)
        if isinstance(value, np.generic):
            return value.item()
        raise MessageError(f"{type(message).__name__}: cannot send a {type(value).__name__}")

    header = msgspec.msgpack.encode(message, enc_hook=hook)
    # An empty array has no buffer to export, yet keeps its place so that indices hold.
    parts = [b.reshape(-1).view(np.uint8).data if b.size else b"" for b in buffers]
    return [(topic or f"{message.stream}/{message.port}").encode(), header, *parts]


def decode(parts: Sequence[bytes | memoryview]) -> Message:
    """The message in ``parts``; arrays are read-only views of the buffers.  MessageError on anything else."""
    if len(parts) < 2:
        raise MessageError(f"a message has a topic and a header, got {len(parts)} part(s)")
    if len(parts) > MAX_PARTS:
        raise MessageError(f"a message has at most {MAX_PARTS} parts, got {len(parts)}")
    buffers = parts[2:]

    def hook(kind: type, value: Any) -> Any:
        if kind is not np.ndarray:
            raise MessageError(f"unexpected field type {kind.__name__}")
        spec = msgspec.convert(value, _Array)
        fits = (
            spec.dtype in ARRAY_DTYPES and 0 <= spec.buffer < len(buffers) and min(spec.shape, default=0) >= 0
        )
        if not fits:
            where = f"buffer {spec.buffer} of {len(buffers)}"
            raise MessageError(f"bad array: {spec.dtype}{list(spec.shape)} in {where}")
        dtype, count = np.dtype(spec.dtype), 1
        for n in spec.shape:
            count *= n
        data = buffers[spec.buffer]
        if spec.packed:
            if not packs(dtype, spec.shape, count):
                raise MessageError(f"bad array: {spec.dtype}{list(spec.shape)} cannot be packed")
            return unpack(data, spec.shape)
        size = len(data) if isinstance(data, bytes) else data.nbytes
        if count * dtype.itemsize != size or size > MAX_ARRAY_BYTES:
            raise MessageError(f"bad array: {spec.dtype}{list(spec.shape)} does not fit {size} bytes")
        return np.frombuffer(data, dtype).reshape(spec.shape)

    try:
        message = msgspec.msgpack.decode(parts[1], type=Wire, dec_hook=hook)
        _check(message)
        return message
    except MessageError:
        raise
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MessageError(f"not a message: {error}") from error


def _check(message: Message) -> None:
    """Raises MessageError where a number is none of 64 bits, or an array is not what its kind carries."""
    for name in ("seq", "epoch", "t_start_ns", "t_end_ns"):
        if getattr(message, name) >= 2**63:
            raise MessageError(f"{name} of {type(message).__name__} is more than 64 bits hold")
    for name, (dtype, shape) in message.arrays.items():
        array = getattr(message, name)
        if array is None:  # msgspec has seen to it that this one may be
            continue
        fits = array.dtype == dtype and len(array.shape) == len(shape)
        if not fits or not all(map(_may_be, array.shape, shape)):
            wanted = ", ".join("n" if n < 0 else str(n) for n in shape)
            raise MessageError(
                f"{name} of {type(message).__name__} must be {dtype} [{wanted}],"
                f" is {array.dtype} {list(array.shape)}"
            )


def _may_be(length: int, wanted: int) -> bool:
    return length == wanted or wanted == FREE or (wanted == SOME and length > 0)
