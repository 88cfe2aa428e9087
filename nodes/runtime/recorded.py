"""How is what a source sends kept in a recording, and read again as the same message?

Sound and pictures have the forms that Foxglove plays and shows, ``foxglove.RawAudio`` and
``foxglove.CompressedImage`` in JSON, and beside their fields ours: stream, seq, epoch and times, so that a
replay has the same holes and epochs.  Sound is kept in 16 bits, pictures as JPEG: what a replay understands
may differ from what was understood live, but never from another replay.
"""

from collections.abc import Callable
from typing import Any

import av
import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.messages import SAMPLE_RATE, Audio, Gap, Message, MessageError, Picture

ABOUT = "hearsee.recording"
"""The metadata of a recording: ``ports`` and ``unix_offset_ns``, see ``nodes.sources.archive.About``."""

FULL_SCALE = 32_768
LONGEST_BLOCK = 10 * SAMPLE_RATE
MOST_PIXELS = 2**24


class Time(msgspec.Struct):
    """On the wall clock."""

    sec: int
    nsec: int

    @classmethod
    def of(cls, unix_ns: int) -> "Time":
        return cls(*divmod(unix_ns, 1_000_000_000))


class Kept(msgspec.Struct, kw_only=True):
    """The fields of every message; times are the host's monotonic clock, as everywhere."""

    stream: str
    seq: int
    epoch: int
    t_start_ns: int
    t_end_ns: int


class KeptAudio(Kept):
    timestamp: Time
    data: bytes
    format: str
    sample_rate: int
    number_of_channels: int


class KeptPicture(Kept):
    timestamp: Time
    frame_id: str
    data: bytes
    format: str


class KeptGap(Kept):
    of: str
    reason: str


SCHEMAS: dict[str, type[Kept]] = {
    "foxglove.RawAudio": KeptAudio,
    "foxglove.CompressedImage": KeptPicture,
    "hearsee.gap/1": KeptGap,
}


def keep(message: Audio | Picture | Gap, unix_offset_ns: int, quality: int) -> tuple[str, Kept]:
    """The name of its schema, and its form there.

    unix_offset_ns: the wall clock less the monotonic one.  quality: of the JPEG, 1 to 100.
    """
    common = {name: getattr(message, name) for name in Kept.__struct_fields__}
    if isinstance(message, Gap):
        return "hearsee.gap/1", KeptGap(**common, of=message.of, reason=message.reason)
    timestamp = Time.of(message.t_start_ns + unix_offset_ns)
    if isinstance(message, Audio):
        scaled = np.clip(np.rint(message.samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
        audio = KeptAudio(
            **common,
            timestamp=timestamp,
            data=scaled.astype("<i2").tobytes(),
            format="pcm-s16",
            sample_rate=SAMPLE_RATE,
            number_of_channels=1,
        )
        return "foxglove.RawAudio", audio
    _, jpeg = cv2.imencode(".jpg", message.image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return "foxglove.CompressedImage", KeptPicture(
        **common, timestamp=timestamp, frame_id=message.stream, data=jpeg.tobytes(), format="jpeg"
    )


def restore(schema: str, data: bytes) -> Audio | Picture | Gap:
    """The message that ``data`` was made of, in one of ``SCHEMAS``.  MessageError on anything else."""
    try:
        kept = msgspec.json.decode(data, type=SCHEMAS[schema])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MessageError(f"no {schema}: {error}") from error
    common: dict[str, Any] = {name: getattr(kept, name) for name in Kept.__struct_fields__}
    if not 0 <= kept.t_end_ns - kept.t_start_ns < 2**63 or kept.seq < 0 or kept.epoch < 0:
        raise MessageError(f"no {schema}: its times or its number make no sense")
    return _RESTORE[type(kept)](kept, common)


def _audio(kept: KeptAudio, common: dict[str, Any]) -> Message:
    if (kept.format, kept.sample_rate, kept.number_of_channels) != ("pcm-s16", SAMPLE_RATE, 1):
        raise MessageError(f"sound of {kept.format}, {kept.sample_rate} Hz is not from hearsee")
    if len(kept.data) % 2 or len(kept.data) > 2 * LONGEST_BLOCK:
        raise MessageError(f"sound of {len(kept.data)} bytes")
    samples = np.frombuffer(kept.data, "<i2").astype(np.float32) / FULL_SCALE
    return Audio(**common, samples=samples)


def _picture(kept: KeptPicture, common: dict[str, Any]) -> Message:
    if kept.format != "jpeg":
        raise MessageError(f"a picture as {kept.format[:20]!r} is not from hearsee")
    return Picture(**common, image=_decode(kept.data))


def _gap(kept: KeptGap, common: dict[str, Any]) -> Message:
    if kept.of not in (Audio.port, Picture.port):
        raise MessageError(f"a gap of {kept.of[:20]!r}")
    return Gap(**common, of=kept.of, reason=kept.reason)


_RESTORE: dict[type[Kept], Callable[[Any, dict[str, Any]], Any]] = {
    KeptAudio: _audio,
    KeptPicture: _picture,
    KeptGap: _gap,
}


def _decode(jpeg: bytes) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], BGR.  FFmpeg's decoder can be told how many pixels are too many."""
    try:
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"max_pixels": str(MOST_PIXELS)}
        frames = [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]  # type: ignore[attr-defined]
        return frames[0].to_ndarray(format="bgr24")  # type: ignore[return-value]
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise MessageError(f"a picture that cannot be decoded: {error}") from error
