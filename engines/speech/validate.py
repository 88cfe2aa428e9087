"""How well the networks read speech they were not trained on, as whole utterances through the same masks as
live."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.speech import augment
from engines.speech.augment_lips import crop
from engines.speech.batches import FRAME, whole_chunks
from engines.speech.dataset import Corpus, Lips, Utterance
from engines.speech.score import WordErrorRate, word_error_rate
from engines.speech.vocabulary import BLANK, TOKENS

LEAD = 8 * FRAME  # silence around each utterance, samples
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


def sounds_of(corpus: Corpus, clips: Sequence[Utterance], lead: int) -> tuple[Tensor, Tensor]:
    """sound [B,N] of whole chunks with ``lead`` samples of silence at each end, and where it is not
    silence."""
    longest = max(u.end - u.start for u in clips) + 2 * lead
    n = whole_chunks(-(-longest // FRAME)) * FRAME
    device = corpus.sound.device
    sound, speaking = torch.zeros(len(clips), n, device=device), torch.zeros(len(clips), n, device=device)
    for i, u in enumerate(clips):
        sound[i, lead : lead + u.end - u.start] = corpus.sound[u.start : u.end].float() / 32768.0
        speaking[i, lead : lead + u.end - u.start] = 1
    return sound, speaking


def noisy(sound: Tensor, speaking: Tensor, corpus: Corpus, noise: Tensor, kind: str, snr_db: float) -> Tensor:
    """The same noise for the same batch every time."""
    g = torch.Generator(sound.device).manual_seed(7)
    b, n = sound.shape
    added = augment.babble(corpus.sound, b, n, g) if kind == "babble" else augment.stretches(noise, b, n, g)
    return augment.mix(sound, added, torch.full((b, 1), snr_db, device=sound.device), speaking)


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
        sound, speaking = sounds_of(corpus, clips, LEAD)
        for kind, snr in conditions:
            heard = sound if kind == "clean" else noisy(sound, speaking, corpus, noise, kind, snr)
            outputs, _ = network(mel(heard), network.initial(len(clips), sound.device))  # type: ignore[operator]
            label = f"audio, {name}, {kind}" + ("" if kind == "clean" else f" {snr:g} dB")
            figures[label] = word_error_rate([u.text for u in clips], greedy(outputs["log_probs"]))
    return Report(figures)


def pictures_of(lips: Lips, clips: Sequence[Utterance], frames: int) -> tuple[Tensor, Tensor]:
    """mouths uint8 [B,frames,88,88] and present [B,frames]."""
    size = lips.pictures.shape[-1]
    pictures = torch.zeros(len(clips), frames, size, size, dtype=torch.uint8, device=lips.pictures.device)
    present = torch.zeros(len(clips), frames, device=lips.pictures.device)
    for i, u in enumerate(clips):
        first, count = lips.clips[u.id]
        count = min(count, frames)
        pictures[i, :count], present[i, :count] = lips.pictures[first : first + count], 1
    return crop(pictures), present


@torch.no_grad()
def validate_video(network: nn.Module, corpus: Corpus, lips: Lips) -> Report:
    clips = [u for u in corpus.select("validation", ["grid"]) if u.id in lips.clips][:120]
    frames = whole_chunks(max(lips.clips[u.id][1] for u in clips))
    mouths, present = pictures_of(lips, clips, frames)
    outputs, _ = network(mouths, present, network.initial(len(clips), mouths.device))  # type: ignore[operator]
    rate = word_error_rate([u.text for u in clips], greedy(outputs["log_probs"]))
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
    sound, speaking = sounds_of(corpus, clips, 0)
    frames, device = sound.shape[1] // FRAME, sound.device
    mouths, present = pictures_of(lips, clips, frames)
    seen, _ = video(mouths, present, video.initial(len(clips), device))  # type: ignore[operator]
    figures = {}
    for kind, snr in (("clean", 99.0), *((k, s) for k in ("noise", "babble") for s in (10.0, 0.0, -5.0))):
        sounding = sound if kind == "clean" else noisy(sound, speaking, corpus, noise, kind, snr)
        heard, _ = audio(mel(sounding), audio.initial(len(clips), device))  # type: ignore[operator]
        both, _ = fusion(  # type: ignore[operator]
            heard["encoding"],
            seen["encoding"],
            torch.ones_like(present),
            present,
            fusion.initial(len(clips), device),  # type: ignore[operator]
        )
        for name, outputs in (("audio", heard), ("video", seen), ("both", both)):
            label = f"{name}, GRID s1, {kind}" + ("" if kind == "clean" else f" {snr:g} dB")
            figures[label] = word_error_rate([u.text for u in clips], greedy(outputs["log_probs"]))
    return Report(figures)
