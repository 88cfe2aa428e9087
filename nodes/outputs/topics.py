"""Prints ``docs/topics.md``, for whoever subscribes: ``python -m nodes.outputs.topics > docs/topics.md``.

Tables and examples come from the code that publishes, so they cannot disagree with it.
"""

import msgspec
import numpy as np

from nodes.outputs import bodies
from nodes.outputs.bodies import Common, Emission, Reading
from nodes.outputs.status import Status
from nodes.runtime.messages import Face, Gap, Health, Sentiment, Transcript, Voice, Word

INTRODUCTION = """\
# What is published

*Printed by `python -m nodes.outputs.topics`; change it there. The figures in the examples are made up.*

hearsee publishes over ZeroMQ (PUB/SUB) at `tcp://127.0.0.1:5556`, or at the `address` of the node `publish`
in `pipeline.yaml`. A message has two parts: the topic, and a body in JSON. Subscribe to a topic, to the
beginning of one (`transcript.`), or to everything (an empty string).

| topic | when |
|---|---|
| `transcript.partial` | the words of a stretch of speech so far, whenever they change |
| `transcript.final` | its words for good, when it has ended |
| `voice` | every 160 ms: is somebody speaking |
| `face` | every face in view, at most ten times a second, without its picture; nothing without a face |
| `sentiment` | three times a second for each person who is seen or speaks: how they mean it |
| `status` | every second, always, even with no camera and no microphone; at once when a group runs no more |

**What may follow what.** A segment starts with a `transcript.partial`; more may follow, each with a higher
`revision`; it ends with exactly one `transcript.final`. After it nothing of that segment follows. When
hearsee is stopped (Ctrl-C, SIGTERM), the segment that is open ends so too, with what was heard of it. Only
a recogniser that was itself restarted leaves a segment without its final: `epoch` rises, `segment` begins
at 0.

**A final may differ from the last partial**, in words, times, `confidence` and `heard_by`, and may have no
words at all. How far lips are to be believed is known a second or two after they began to move: partials go
by what is known when they come, the final goes over the whole segment again. Without a camera the words of
both are those of the sound. Show partials, act on finals.

**Several recognisers.** Each has its own `stream`, and counts `segment` and `seq` for itself: what was said
above holds for each of them. `status` and `face` go by the one that has the most to go by.

**Joining late.** Whoever subscribes gets the latest of every topic asked for at once. ZeroMQ sends it to the
other subscribers of that topic too: to them it is a repeat, with `"repeat": true` and the `t_emit_ns` that
they have had.

**Is it alive?** `status` comes every second: where none has come for three, hearsee is stopped, or out of
reach. ZeroMQ connects again by itself. A hearsee that was started anew counts `seq` and `segment` from 0.

**When a sense is lost.** Words go on with the other one. Without a camera `mode` is `audio`, `video` in
`modalities` is 0, `face` and `sync_error_ms` are null; without a microphone `mode` is `video` and `audio` is
0. `status` says why, `"says": "no lips: camera 0 not found"`, and so do `gaps` of its node. With neither,
`mode` is `none`, no words come, and `status` goes on. What is back is used again; nothing is to be asked for.

**What may change.** Fields may be added: let a program pass over those that it does not know. Where a field
goes or gets another meaning, the number at the end of `schema` rises. A figure that is not known is null.

**Too slow.** For a subscriber that does not read, up to 1000 messages are kept; later ones are dropped, for
that one only, and `seq` jumps.

**From other machines.** An address that others can reach needs keys (CURVE, ZeroMQ's encryption):
`python launch.py keys` makes a folder of them; set `keys: keys` beside the `address`. A subscriber takes
copies of `server.key` and `client.key_secret` with it; both stay here too, since what is shown while it runs
is read with them. Every `*.key` there may connect. With pyzmq, before `connect`:

```python
from zmq.auth import load_certificate

socket.curve_publickey, socket.curve_secretkey = load_certificate("keys/client.key_secret")
socket.curve_serverkey, _ = load_certificate("keys/server.key")
```
"""

# 2026-01-05 12:00:00 UTC, an hour after the machine was started.
NOW_NS, WALL_NS = 3_600_000_000_000, 1_767_614_400_000_000_000
BOTH = {"audio": 0.97, "video": 0.91}


def examples() -> dict[str, Common]:
    """One body of each topic, made as the publisher makes them."""

    def emission(seq: int) -> Emission:
        return Emission(seq=seq, now_ns=NOW_NS, wall_ns=WALL_NS)

    def times(start_ms: int, end_ms: int) -> dict[str, int]:
        return {"t_start_ns": NOW_NS + start_ms * 1_000_000, "t_end_ns": NOW_NS + end_ms * 1_000_000}

    words = [
        Word(text="bin", **times(-640, -400), confidence=0.98, heard_by="av"),
        Word(text="blue", **times(-400, -160), confidence=0.93, heard_by="av"),
    ]
    transcript = Transcript(
        stream="transcribe",
        seq=41,
        epoch=0,
        **times(-640, -40),
        segment=3,
        revision=4,
        final=False,
        text="bin blue",
        words=words,
        mode="av",
        modalities=BOTH,
        sync_error_ms=12.0,
        face=0,
    )
    voice = Voice(
        stream="transcribe",
        seq=212,
        epoch=0,
        **times(-200, -40),
        speaking=True,
        probability=0.99,
        mode="av",
        modalities=BOTH,
        sync_error_ms=12.0,
        face=0,
        faces={0: True},
    )
    face = Face(
        stream="camera",
        seq=901,
        epoch=0,
        **times(-60, -20),
        mouth=np.zeros((88, 88), np.uint8),
        face=np.zeros((64, 64), np.uint8),
        box=(120.0, 64.5, 98.0, 121.0),
        landmarks=np.array([[148, 110], [190, 110], [169, 134], [152, 158], [186, 158]], np.float32),
        quality=0.91,
        track=0,
        last=True,
        portrait=None,
    )
    sentiment = Sentiment(
        stream="sentiment",
        seq=96,
        epoch=0,
        **times(-360, -40),
        face=0,
        emotion="happy",
        emotions={
            "angry": 0.03,
            "disgust": 0.01,
            "fear": 0.02,
            "happy": 0.71,
            "neutral": 0.14,
            "sad": 0.02,
            "surprise": 0.07,
        },
        valence=0.58,
        arousal=0.22,
        confidence={"emotion": 0.71, "valence": 0.6, "arousal": 0.75},
        modalities={"face": 0.55, "voice": 0.27, "words": 0.18},
    )
    reading = Reading(mode="av", modalities=BOTH, sync_error_ms=12.0, face=0, faces={0: True})
    final = msgspec.structs.replace(transcript, final=True, revision=5)
    return {
        "transcript.partial": bodies.transcript(transcript, emission(17)),
        "transcript.final": bodies.transcript(final, emission(3)),
        "voice": bodies.voice(voice, emission(212)),
        "face": bodies.face(face, reading, emission(280)),
        "sentiment": bodies.sentiment(sentiment, emission(96)),
        "status": _status(voice, emission(34)),
    }


def _status(voice: Voice, emission: Emission) -> Common:
    status = Status("publish", 0, NOW_NS - 34_000_000_000)
    source = {"state": "ok", "messages": 1700, "step_p50_ms": 0.1, "step_p90_ms": 0.2, "step_p99_ms": 0.4}
    source |= {"delay_p50_ms": 11.8, "delay_p90_ms": 13.0, "delay_p99_ms": 14.2}
    clock = {"rate_ppm": 18.2, "rate_uncertainty_ppm": 4.1, "offset_ms": 3481220.4, "uncertainty_ms": 0.3}
    health = Health(
        stream="host",
        seq=34,
        epoch=0,
        t_start_ns=NOW_NS - 1_000_000_000,
        t_end_ns=NOW_NS,
        group="capture",
        state="running",
        restarts=0,
        pid=4321,
        memory_bytes=183_500_800,
        nodes={"microphone": source | {"clock": clock}},
        edges={"microphone/audio>perceive": {"queued": 1, "queued_bytes": 1536, "dropped": 0}},
        host="robot",
    )
    offset = {"offset_ms": -41_253.714, "uncertainty_ms": 0.214, "delay_ms": 0.43}
    perceive = msgspec.structs.replace(
        health,
        stream="perceive",
        group="perceive",
        nodes={},
        edges={},
        host="local",
        clocks={"robot": {**offset, "heard_s": 0.14, "steps": 0}},
    )
    gap = Gap(
        stream="camera",
        seq=5,
        epoch=0,
        t_start_ns=NOW_NS - 40_000_000,
        t_end_ns=NOW_NS,
        of="face",
        reason="camera 0 not found",
    )
    heard = msgspec.structs.replace(voice, mode="audio", modalities={"audio": 0.97, "video": 0.0})
    for message in (health, perceive, heard, gap):
        status.hear(message, NOW_NS - 100_000_000)
    status.published("voice", voice.t_end_ns, NOW_NS)
    return status.body(emission)


def page() -> str:
    parts = [INTRODUCTION, "## Every body\n", _table(Common)]
    for topic, body in examples().items():
        parts.append(f"## `{topic}`\n")
        if topic == "transcript.final":
            parts.append("The same fields as `transcript.partial`.\n")
        else:
            parts.append(_table(type(body), without=Common))
        if topic == "transcript.partial":
            parts += ["Each of `words`:\n", _table(bodies.WordBody)]
        text = msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
        parts.append(f"```json\n{text}\n```\n")
    return "\n".join(parts)


def _table(struct: type[msgspec.Struct], without: type[msgspec.Struct] | None = None) -> str:
    known = {field.name for field in msgspec.structs.fields(without)} if without else set()
    rows = ["| field | type | |", "|---|---|---|"]
    description = msgspec.json.schema(struct)["$defs"][struct.__name__]
    for name, schema in description["properties"].items():
        if name not in known:
            rows.append(f"| `{name}` | {_type(schema)} | {schema['description']} |")
    return "\n".join(rows) + "\n"


def _type(schema: dict[str, object]) -> str:
    choices = schema.get("anyOf", [schema])
    assert isinstance(choices, list)
    names = {"array": "list", "null": "null"}
    return " or ".join(names.get(c["type"], c["type"]) if "type" in c else "object" for c in choices)


if __name__ == "__main__":
    print(page(), end="")
