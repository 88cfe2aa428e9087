"""What a subscriber reads: one JSON body for each topic, and how it is made from a message.

``docs/topics.md`` is printed from these classes by ``python -m nodes.outputs.topics``.  A field may be
added within a schema's number; a field that changes its meaning or goes away raises the number.  A figure
that is not known, or is no number, is ``null``.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nodes.runtime.messages import Face, Sentiment, Transcript, Voice

NO_MODALITIES = {"audio": 0.0, "video": 0.0}


class Common(msgspec.Struct, kw_only=True):
    """What every body carries."""

    schema: Annotated[str, Meta(description="name and number of this body's form")]
    stream: Annotated[str, Meta(description="id of the node it comes from; a face has its camera's")]
    seq: Annotated[
        int, Meta(description="counts up by one for each topic and stream; a jump says that you missed some")
    ]
    epoch: Annotated[int, Meta(description="rises when the source was restarted")]
    t_start_ns: Annotated[
        int, Meta(description="start of what it tells, the host's monotonic clock at capture")
    ]
    t_end_ns: Annotated[int, Meta(description="end of what it tells")]
    t_emit_ns: Annotated[int, Meta(description="when it was first published, same clock")]
    unix_time: Annotated[float, Meta(description="`t_start_ns` on the wall clock, seconds since 1970")]
    modalities: Annotated[
        dict[str, float | None],
        Meta(description="how far each counts: `audio`, `video`; in `sentiment` `face`, `voice`, `words`"),
    ]
    mode: Annotated[str, Meta(description="what is being read: `av`, `audio`, `video` or `none`")]
    sync_error_ms: Annotated[
        float | None, Meta(description="how much later the picture is than the sound; null while not known")
    ]
    repeat: Annotated[
        bool, Meta(description="true when sent again, unchanged, because somebody has just subscribed")
    ] = False


class WordBody(msgspec.Struct, kw_only=True):
    """One word of a transcript."""

    text: Annotated[str, Meta(description="the word")]
    t_start_ns: Annotated[int, Meta(description="where it starts")]
    t_end_ns: Annotated[int, Meta(description="where it ends")]
    confidence: Annotated[float | None, Meta(description="0 to 1")]
    heard_by: Annotated[str, Meta(description="what had a say in it: `a` sound, `v` lips, `av` both")]
    recogniser: Annotated[str, Meta(description="id of the node that understood it; there may be several")]


class TranscriptBody(Common):
    """The words of one stretch of speech."""

    segment: Annotated[int, Meta(description="counts the stretches of speech up from 0")]
    revision: Annotated[int, Meta(description="counts up from 0 within the segment; a higher one replaces")]
    text: Annotated[str, Meta(description="the words so far, or for good")]
    words: Annotated[list[WordBody], Meta(description="each word, see below")]
    face: Annotated[int | None, Meta(description="`track` of the face that is read; null when none is")] = (
        None
    )


class VoiceBody(Common):
    """Whether somebody is speaking, by sound or by lips."""

    speaking: Annotated[bool, Meta(description="somebody is speaking")]
    probability: Annotated[float | None, Meta(description="0 to 1")]
    face: Annotated[int | None, Meta(description="`track` of the face that is read; null when none is")] = (
        None
    )


class FaceBody(Common):
    """One of the faces in view, in pixels of the camera's picture."""

    box: Annotated[list[float | None], Meta(description="x, y, width, height")]
    landmarks: Annotated[
        list[list[float | None]],
        Meta(description="x, y of the person's right eye, left eye, nose tip, right and left mouth corner"),
    ]
    quality: Annotated[float | None, Meta(description="how far the lips can be trusted, 0 to 1")]
    track: Annotated[int, Meta(description="which face it is, for as long as it is followed")]
    read: Annotated[bool, Meta(description="its lips are the ones that are read")]
    speaking: Annotated[bool | None, Meta(description="it is who speaks; null while that cannot be told")]


class SentimentBody(Common):
    """How one person means it."""

    face: Annotated[
        int | None, Meta(description="`track` of their face; null for somebody who is only heard")
    ]
    emotion: Annotated[str, Meta(description="the emotion, held against wavering")]
    emotions: Annotated[
        dict[str, float | None],
        Meta(
            description="probability of `angry`, `disgust`, `fear`, `happy`, `neutral`, `sad` and `surprise`"
        ),
    ]
    valence: Annotated[float | None, Meta(description="unpleasant -1 to pleasant 1")]
    arousal: Annotated[float | None, Meta(description="calm -1 to excited 1")]
    confidence: Annotated[
        dict[str, float | None], Meta(description="0 to 1, of `emotion`, `valence` and `arousal`")
    ]


class StatusBody(Common):
    """How the pipeline is."""

    says: Annotated[str, Meta(description="the same in one line for a person")]
    uptime_s: Annotated[float, Meta(description="seconds since the publisher started")]
    groups: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            description="for each process: `state` (`running`, `starting`, `restarting`,"
            " `gave up`, `finished`, `stopped`, or `lost` when unheard for 2 s; on another host also"
            " `waiting` for it to join, and `unreachable`), `restarts`, `pid`, `memory_bytes`, `heard_s` ago,"
            " `host`"
        ),
    ]
    nodes: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            description="for each node: its `group`, `state` (`ok`, or its last error), `messages`,"
            " `step_p50_ms`, `step_p90_ms`, `step_p99_ms`, `delay_p50_ms` and so on (end of capture until the"
            " node hands on what it made of it), and"
            " where it has nothing to send `gaps`, the reason for each port; of a device that works all the"
            " same `warnings`, what is wrong with it; of a recorder `recording`: its `file`, the `bytes` of"
            " it, how many are `waiting` and what was `lost`; `late`, how many messages of each input came"
            " when what they belong to had been read without them; where it computes with models"
            " `engines`, what runs each: `tensorrt_rtx float16`, or `onnxruntime float32; tensorrt_rtx"
            " float16 is being built`; for a device with a clock of its own `clock`: `rate_ppm`, how much"
            " slower than the host's it runs, `offset_ms`, the host's time less the device's, and"
            " `rate_uncertainty_ppm` and `uncertainty_ms`, four standard errors of these"
        ),
    ]
    delays: Annotated[
        dict[str, dict[str, float]],
        Meta(
            description="for each topic: end of capture (of a face: when its picture was taken) to"
            " publication, `p50_ms`, `p99_ms` of the last 64"
        ),
    ]
    drops: Annotated[
        dict[str, int], Meta(description="for each edge: messages dropped since its group started")
    ]
    queues: Annotated[
        dict[str, dict[str, int]],
        Meta(description="for each edge: `messages` and `bytes` that wait on it"),
    ]
    clocks: Annotated[
        dict[str, dict[str, float]],
        Meta(
            description="for each other host that something is heard from: `offset_ms` to be added to its"
            " times, `uncertainty_ms`, `delay_ms` there and back, `heard_s` ago, `steps` of a clock so far"
        ),
    ] = {}


BODIES: dict[str, type[Common]] = {
    "transcript.partial": TranscriptBody,
    "transcript.final": TranscriptBody,
    "voice": VoiceBody,
    "face": FaceBody,
    "sentiment": SentimentBody,
    "status": StatusBody,
}
"""By topic, all there are."""


class Emission(msgspec.Struct, frozen=True):
    """When a body leaves: ``seq`` as in Common, ``wall_ns`` the wall clock at ``now_ns``, monotonic."""

    seq: int
    now_ns: int
    wall_ns: int

    def unix_time(self, t_ns: int) -> float:
        return (self.wall_ns - self.now_ns + t_ns) / 1e9


class Reading(msgspec.Struct, frozen=True):
    """What is being read: the part of a Voice or Transcript that faces and status carry along.

    face, faces: as in Voice.
    """

    mode: str = "none"
    modalities: dict[str, float] = msgspec.field(default_factory=NO_MODALITIES.copy)
    sync_error_ms: float | None = None
    face: int | None = None
    faces: dict[int, bool | None] = {}


def transcript(message: Transcript, emission: Emission) -> TranscriptBody:
    return TranscriptBody(
        **_common(message, "hearsee.transcript/1", emission),
        **_reading(message),
        segment=message.segment,
        revision=message.revision,
        text=message.text,
        words=[
            WordBody(
                text=word.text,
                t_start_ns=word.t_start_ns,
                t_end_ns=word.t_end_ns,
                confidence=word.confidence,
                heard_by=word.heard_by,
                recogniser=message.stream,
            )
            for word in message.words
        ],
        face=message.face,
    )


def voice(message: Voice, emission: Emission) -> VoiceBody:
    return VoiceBody(
        **_common(message, "hearsee.voice/1", emission),
        **_reading(message),
        speaking=message.speaking,
        probability=message.probability,
        face=message.face,
    )


def face(message: Face, reading: Reading, emission: Emission) -> FaceBody:
    return FaceBody(
        **_common(message, "hearsee.face/1", emission),
        **_reading(reading),
        box=list(message.box),
        landmarks=message.landmarks.tolist(),
        quality=message.quality,
        track=message.track,
        read=message.track == reading.face,
        speaking=reading.faces.get(message.track),
    )


def sentiment(message: Sentiment, emission: Emission) -> SentimentBody:
    seen, heard = (
        message.modalities["face"] > 0,
        message.modalities["voice"] + message.modalities["words"] > 0,
    )
    return SentimentBody(
        **_common(message, "hearsee.sentiment/1", emission),
        modalities=dict(message.modalities),
        mode={(True, True): "av", (False, True): "audio", (True, False): "video"}.get((seen, heard), "none"),
        sync_error_ms=None,
        face=message.face,
        emotion=message.emotion,
        emotions=dict(message.emotions),
        valence=message.valence,
        arousal=message.arousal,
        confidence=dict(message.confidence),
    )


def _common(
    message: Transcript | Voice | Face | Sentiment, schema: str, emission: Emission
) -> dict[str, Any]:
    return {
        "schema": schema,
        "stream": message.stream,
        "seq": emission.seq,
        "epoch": message.epoch,
        "t_start_ns": message.t_start_ns,
        "t_end_ns": message.t_end_ns,
        "t_emit_ns": emission.now_ns,
        "unix_time": emission.unix_time(message.t_start_ns),
    }


def _reading(source: Transcript | Voice | Reading) -> dict[str, Any]:
    return {
        "modalities": dict(source.modalities),
        "mode": source.mode,
        "sync_error_ms": source.sync_error_ms,
    }
