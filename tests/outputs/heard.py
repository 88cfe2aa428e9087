"""Messages as the other nodes send them to the publisher."""

import time

import numpy as np

from nodes.runtime.messages import Face, Gap, Health, Transcript, Voice, Word

BOTH = {"audio": 0.9, "video": 0.8}


def span(t_ns=None, ms=160):
    end = time.monotonic_ns() if t_ns is None else t_ns
    return {"epoch": 0, "t_start_ns": end - ms * 1_000_000, "t_end_ns": end}


def transcript(text, final=False, segment=0, revision=0, mode="av"):
    times = span()
    words = [
        Word(
            text=word,
            t_start_ns=times["t_start_ns"],
            t_end_ns=times["t_end_ns"],
            confidence=0.9,
            heard_by="av",
        )
        for word in text.split()
    ]
    return Transcript(
        stream="transcribe",
        seq=7,
        **times,
        segment=segment,
        revision=revision,
        final=final,
        text=text,
        words=words,
        mode=mode,
        modalities=BOTH,
        sync_error_ms=None,
    )


def voice(mode="av", probability=0.9, **faces):
    return Voice(
        stream="transcribe",
        seq=3,
        **span(),
        speaking=True,
        probability=probability,
        mode=mode,
        modalities=BOTH,
        sync_error_ms=4.0,
        **faces,
    )


def face(t_ns=None, track=2, last=True):
    return Face(
        stream="camera",
        seq=0,
        **span(t_ns, ms=40),
        mouth=np.zeros((88, 88), np.uint8),
        face=np.zeros((64, 64), np.uint8),
        box=(1.0, 2.0, 30.0, 40.0),
        landmarks=np.arange(10, dtype=np.float32).reshape(5, 2),
        quality=0.75,
        track=track,
        last=last,
    )


def health(group="perceive", state="running", nodes=None, edges=None):
    return Health(
        stream="host",
        seq=0,
        **span(),
        group=group,
        state=state,
        restarts=1,
        pid=99,
        memory_bytes=5_000_000,
        nodes=nodes or {"face": {"state": "ok", "messages": 3, "step_p50_ms": 1.0, "step_p99_ms": 2.0}},
        edges=edges or {"face/face>publish": {"queued": 0, "queued_bytes": 0, "dropped": 0}},
    )


def gap(reason, of="face"):
    return Gap(stream="camera", seq=0, **span(), of=of, reason=reason)
