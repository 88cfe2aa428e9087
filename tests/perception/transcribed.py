"""A sentence to hear and see, the transcribe node on scripted engines, and what holds for all it says."""

from itertools import pairwise

import numpy as np
from msgspec import structs
from scripted_engines import mouth, tone, write_engines

from nodes.perception.transcribe import Transcribe
from nodes.runtime.messages import Audio, Face, Gap, Transcript, Voice
from nodes.runtime.node import Context

MS = 1_000_000
SECOND = 1_000 * MS
# Seconds of each word of the sentence everybody says here; None is silence, 0 a voice that says nothing.
SENTENCE = [(None, 1.0), (1, 0.32), (0, 0.16), (2, 0.32), (0, 0.16), (5, 0.32), (None, 2.0)]
SPEECH_START, SPEECH_END = 1.0, 2.28


def scripted(tmp_path_factory):
    """The folder of the scripted engines."""
    return write_engines(tmp_path_factory.mktemp("engines"))


def said(script=SENTENCE):
    """float32 samples of a script of (word, seconds)."""
    return np.concatenate([tone(word, seconds) for word, seconds in script])


def lips(script=SENTENCE):
    """Mouths of a script at 25 Hz."""
    return [mouth(word) for word, seconds in script for _ in range(round(seconds * 25))]


def talk(seed, seconds=5.0):
    """Random words back to back, after half a second and before one of silence."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([0.16, 0.24], round(seconds / 0.2))
    return [(None, 0.48), *((int(rng.integers(1, 6)), float(s)) for s in lengths), (None, 1.0)]


def gap(of, start_ns, end_ns, seq, epoch=0):
    return Gap(stream="x", seq=seq, epoch=epoch, t_start_ns=start_ns, t_end_ns=end_ns, of=of, reason="cut")


def hear(samples, cut=(9, 9), epochs=False, block=320):
    """Audio messages of 20 ms; Gaps between the seconds of ``cut``, then a new epoch if ``epochs``."""
    out = []
    for i in range(len(samples) // block):
        start, end = (round(n * block / 16_000 * SECOND) for n in (i, i + 1))
        if cut[0] * SECOND <= start < cut[1] * SECOND:
            out.append(gap("audio", start, end, i))
            continue
        out.append(
            Audio(
                stream="microphone",
                seq=i,
                epoch=int(epochs and start >= cut[1] * SECOND),
                t_start_ns=start,
                t_end_ns=end,
                samples=samples[i * block : (i + 1) * block],
            )
        )
    return out


def see(mouths, cut=(9, 9), quality=1.0):
    out = []
    for i, picture in enumerate(mouths):
        start, end = i * 40 * MS, (i + 1) * 40 * MS
        if cut[0] * SECOND <= start < cut[1] * SECOND:
            out.append(gap("face", start, end, i))
            continue
        out.append(
            Face(
                stream="camera",
                seq=i,
                epoch=0,
                t_start_ns=start,
                t_end_ns=end,
                mouth=picture,
                face=np.zeros((64, 64), np.uint8),
                box=(0.0, 0.0, 1.0, 1.0),
                landmarks=np.zeros((5, 2), np.float32),
                quality=quality[i] if isinstance(quality, list) else quality,
                track=0,
            )
        )
    return out


def crowd(*scripts):
    """Faces of tracks 0, 1, ... that say their scripts, in one picture."""
    rows = zip(*(see(lips(script)) for script in scripts), strict=False)
    return [
        structs.replace(f, track=track, last=track == len(scripts) - 1)
        for row in rows
        for track, f in enumerate(row)
    ]


def nothing(of, seconds):
    return [gap(of, i * 40 * MS, (i + 1) * 40 * MS, i) for i in range(round(seconds * 25))]


def opened(engines, context=None, **options):
    node = Transcribe(weights=str(engines), **options)
    node.open(context or Context(name="transcribe", live=False))
    return node


def replay(node, *tracks):
    messages = sorted((m for track in tracks for m in track), key=lambda m: m.t_end_ns)
    out = [result for m in messages for result in node.step([m])]
    node.close()
    return out


def transcripts(out):
    return [m for m in out if isinstance(m, Transcript)]


def finals(out):
    return [m for m in transcripts(out) if m.final]


def voices(out):
    return [m for m in out if isinstance(m, Voice)]


def modes(out):
    """(mode, first t_start) of each stretch of one mode."""
    found = []
    for voice in voices(out):
        if not found or found[-1][0] != voice.mode:
            found.append((voice.mode, voice.t_start_ns / SECOND))
    return found


def check_promises(out):
    """What nodes.perception.utterance writes down, as a subscriber would check it."""
    for port in (transcripts(out), voices(out)):
        assert [m.seq for m in port] == list(range(len(port)))
        assert [m.epoch for m in port] == sorted(m.epoch for m in port)
    by_segment = {}
    for m in transcripts(out):
        by_segment.setdefault(m.segment, []).append(m)
    assert list(by_segment) == list(range(len(by_segment)))
    for news in by_segment.values():
        assert [m.revision for m in news] == list(range(len(news)))
        assert [m.final for m in news] == [False] * (len(news) - 1) + [True]
        assert len(news) >= 2
        partials = [m.text for m in news[:-1]]
        assert all(a != b for a, b in pairwise(partials))
        for m in news:
            assert m.text == " ".join(word.text for word in m.words)
            assert all(m.t_start_ns <= w.t_start_ns < w.t_end_ns <= m.t_end_ns for w in m.words)
