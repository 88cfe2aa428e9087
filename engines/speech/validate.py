"""How well the networks read speech they were not trained on: streams of several utterances, through the same
masks as live."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.speech import augment
from engines.speech.augment_lips import crop
from engines.speech.canvas import FRAME, whole_chunks
from engines.speech.dataset import Corpus, Lips, Utterance
from engines.speech.score import WordErrorRate, word_error_rate
from engines.speech.vocabulary import BLANK, TOKENS

SENTENCES = 3  # in a stream
LEAD = 12  # frames of silence before each, and after the last
CHOOSING = "chosen by"  # figures of speakers by which checkpoints are chosen, none of whom is measured on
CHOSEN_BY = "+steph2"  # a synthetic voice


@dataclass(frozen=True)
class Report:
    figures: dict[str, WordErrorRate]

    def __str__(self) -> str:
        return "\n".join(f"  {name:36s} {rate}" for name, rate in self.figures.items())

    @property
    def score(self) -> float:
        """The mean of the figures to choose by, percent."""
        rates = [rate.percent for name, rate in self.figures.items() if CHOOSING in name]
        return sum(rates) / len(rates)


def greedy(log_probs: Tensor) -> list[list[str]]:
    """Best path, repeats and blanks removed: [B,T,V] -> words of each."""
    texts = []
    for row in log_probs.argmax(-1).cpu():
        kept = torch.unique_consecutive(row)
        texts.append([TOKENS[int(i)] for i in kept if i != BLANK])
    return texts


@dataclass(frozen=True)
class Talks:
    """Streams of SENTENCES clips.  sound [B,N]; speaking [B,N], 1 in a clip; texts: the words of each stream.

    mouths uint8 [B,T,88,88] and present [B,T]: None without lips.
    """

    sound: Tensor
    speaking: Tensor
    texts: list[list[str]]
    mouths: Tensor | None = None
    present: Tensor | None = None


def talks_of(corpus: Corpus, clips: Sequence[Utterance], lead: int, lips: Lips | None = None) -> Talks:
    """The clips, one after another, with ``lead`` frames of silence around each; lips are then at rest."""
    device = corpus.sound.device
    rows = [clips[i : i + SENTENCES] for i in range(0, len(clips), SENTENCES)]

    def taken(clip: Utterance) -> int:
        return max(-(-(clip.end - clip.start) // FRAME), lips.clips[clip.id][1] if lips else 0)

    frames = whole_chunks(max(sum(taken(clip) + lead for clip in row) for row in rows) + lead)
    sound, speaking = torch.zeros(2, len(rows), frames * FRAME, device=device)
    index = torch.zeros(len(rows), frames, dtype=torch.long, device=device)
    for i, row in enumerate(rows):
        at = lead
        for clip in row:
            first, n = at * FRAME, clip.end - clip.start
            sound[i, first : first + n] = corpus.sound[clip.start : clip.end].float() / 32768.0
            speaking[i, first : first + n] = 1
            if lips:
                begin, count = lips.clips[clip.id]
                index[i, at : at + count] = torch.arange(begin, begin + count, device=device)
                index[i, at + count :] = begin + count - 1
            at += taken(clip) + lead
    texts = [[word for clip in row for word in clip.text] for row in rows]
    if lips is None:
        return Talks(sound, speaking, texts)
    return Talks(sound, speaking, texts, crop(lips.pictures[index]), torch.ones(index.shape, device=device))


def noisy(talks: Talks, corpus: Corpus, noise: Tensor, kind: str, snr_db: float) -> Tensor:
    """The same noise for the same batch every time."""
    sound = talks.sound
    g = torch.Generator(sound.device).manual_seed(7)
    b, n = sound.shape
    added = augment.babble(corpus.sound, b, n, g) if kind == "babble" else augment.stretches(noise, b, n, g)
    return augment.mix(sound, added, torch.full((b, 1), snr_db, device=sound.device), talks.speaking)


@torch.no_grad()
def validate_audio(
    network: nn.Module, corpus: Corpus, noise: Tensor, mel: augment.LogMelTorch, *, to_choose: bool = False
) -> Report:
    """to_choose: only what checkpoints are chosen by."""
    strange = corpus.select("heldout", ["espeak"])
    sets = {
        "GRID s1 validation": corpus.select("validation", ["grid"]),
        f"GRID s1 and espeak-ng steph2, {CHOOSING}": [
            *corpus.select("validation", ["grid"])[:60],
            *(u for u in strange if u.voice.endswith(CHOSEN_BY)),
        ],
        "synthetic, known voices": [
            u for u in corpus.select("validation") if u.kind in ("espeak", "flite", "festival", "rhvoice")
        ],
        "espeak-ng steph, kept out": [u for u in strange if not u.voice.endswith(CHOSEN_BY)],
        "festival ked, kept out": corpus.select("heldout", ["festival"]),
        "digits, speaker kept out": corpus.select("test", ["fsdd"]),
    }
    figures = {}
    for name, clips in sets.items():
        clips = [u for u in clips if u.words][:300]
        if not clips or (to_choose and CHOOSING not in name):
            continue
        conditions: list[tuple[str, float]] = [("clean", 99.0)]
        if CHOOSING in name:
            conditions += [("noise", 5.0), ("babble", 5.0)]
        elif name.startswith("GRID"):
            conditions += [(kind, snr) for kind in ("noise", "babble") for snr in (10.0, 0.0, -5.0)]
        talks = talks_of(corpus, clips, LEAD)
        for kind, snr in conditions:
            heard = talks.sound if kind == "clean" else noisy(talks, corpus, noise, kind, snr)
            outputs, _ = network(mel(heard), network.initial(len(heard), heard.device))  # type: ignore[operator]
            label = f"audio, {name}, {kind}" + ("" if kind == "clean" else f" {snr:g} dB")
            figures[label] = word_error_rate(talks.texts, greedy(outputs["log_probs"]))
    return Report(figures)


@torch.no_grad()
def validate_video(network: nn.Module, corpus: Corpus, lips: Lips) -> Report:
    clips = [u for u in corpus.select("validation", ["grid"]) if u.id in lips.clips][:120]
    talks = talks_of(corpus, clips, 0, lips)
    assert talks.mouths is not None
    outputs, _ = network(talks.mouths, talks.present, network.initial(len(talks.mouths), talks.sound.device))  # type: ignore[operator]
    rate = word_error_rate(talks.texts, greedy(outputs["log_probs"]))
    return Report({f"video, GRID s1 validation, {CHOOSING}": rate})


@torch.no_grad()
def validate_fusion(
    audio: nn.Module,
    video: nn.Module,
    fusion: nn.Module,
    corpus: Corpus,
    lips: Lips,
    noise: Tensor,
    mel: augment.LogMelTorch,
) -> Report:
    clips = [u for u in corpus.select("validation", ["grid"]) if u.id in lips.clips][:120]
    talks = talks_of(corpus, clips, 0, lips)
    assert talks.present is not None
    rows, device = len(talks.sound), talks.sound.device
    seen, _ = video(talks.mouths, talks.present, video.initial(rows, device))  # type: ignore[operator]
    figures = {}
    for kind, snr in (("clean", 99.0), *((k, s) for k in ("noise", "babble") for s in (10.0, 0.0, -5.0))):
        sounding = talks.sound if kind == "clean" else noisy(talks, corpus, noise, kind, snr)
        heard, _ = audio(mel(sounding), audio.initial(rows, device))  # type: ignore[operator]
        both, _ = fusion(  # type: ignore[operator]
            heard["encoding"],
            seen["encoding"],
            torch.ones_like(talks.present),
            talks.present,
            fusion.initial(rows, device),  # type: ignore[operator]
        )
        for name, outputs in (("audio", heard), ("video", seen), ("both", both)):
            label = f"{name}, GRID s1, {kind}" + ("" if kind == "clean" else f" {snr:g} dB")
            figures[label] = word_error_rate(talks.texts, greedy(outputs["log_probs"]))
    return Report(figures)
