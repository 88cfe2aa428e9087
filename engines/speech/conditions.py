"""Where a recording is made: noises, rooms, microphones and levels, applied to training batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
from torch import Tensor

from engines.speech import augment
from engines.speech.dataset import Corpus, Lips, load_corpus, load_lips
from engines.speech.features import SAMPLE_RATE
from nodes.runtime.errors import UserError


@dataclass
class Bench:
    """Everything the stages share."""

    device: torch.device
    corpus: Corpus
    lips: Lips | None
    noise: Tensor
    rooms: Tensor
    mel: augment.LogMelTorch
    generator: torch.Generator

    def need_lips(self) -> Lips:
        if self.lips is None:
            raise UserError("this stage needs lips: give --lips")
        return self.lips

    def begin(self, seed: int, step: int) -> None:
        """What is drawn in a step depends on the step alone, so a resumed training is the one not stopped."""
        self.generator.manual_seed(seed * 1_000_003 + step)
        torch.manual_seed(seed * 1_000_003 + step)

    def degrade(self, sound: Tensor, speaking: Tensor, clean: float, gated: float = 0.0) -> Tensor:
        """Room, microphone, noise from -10 to 20 dB for all but a share ``clean``, gain.  gated: the share
        whose own noise is cut off around its speech; silence stays around most of those."""
        g, (b, n) = self.generator, sound.shape
        sound, cut = augment.gate_noise(sound, speaking, g, gated)
        sound = augment.reverberate_and_colour(sound, self.rooms, g)
        which = torch.rand(b, 1, generator=g, device=self.device)
        made = torch.where(which < 0.93, augment.coloured_noise(b, n, g), augment.hum(b, n, g))
        made = augment.swell(made, g)
        noise = torch.where(
            which < 0.45,
            augment.stretches(self.noise, b, n, g),
            torch.where(which < 0.75, augment.babble(self.corpus.sound, b, n, g), made),
        )
        snr = augment.uniform((b, 1), -10, 20, g)
        snr = torch.where(augment.chance(b, clean, g), augment.uniform((b, 1), 25, 60, g), snr)
        snr = torch.where(cut & augment.chance(b, 0.7, g), augment.uniform((b, 1), 35, 70, g), snr)
        return augment.level_and_clip(augment.mix(sound, noise, snr, speaking), g)

    def features(self, sound: Tensor, warp: bool) -> Tensor:
        if not warp:
            return self.mel(sound)
        pick = torch.randint(
            0, len(augment.WARPS) + 1, (len(sound),), generator=self.generator, device=self.device
        )
        return augment.mask_features(self.mel(sound, pick), self.generator)


def load_noise(folder: Path, device: torch.device) -> Tensor:
    """Every recording of the folder, levelled, one after another: float32 [n]."""
    pieces = []
    for path in sorted(folder.glob("*.wav")):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = sound.mean(1)
        if rate != SAMPLE_RATE:
            mono = scipy.signal.resample_poly(mono, SAMPLE_RATE, rate)
        pieces.append(
            torch.from_numpy(np.ascontiguousarray(mono / (np.sqrt(np.mean(mono**2)) + 1e-5), np.float32))
        )
    if not pieces:
        raise UserError(f"{folder}: no *.wav noises")
    return torch.cat(pieces).to(device)


def load_rooms(folder: Path, generator: torch.Generator) -> Tensor:
    """Measured impulse responses, their direct path at sample 0, and sixty synthetic ones: float32 [R, n]."""
    rooms = augment.synthetic_rooms(60, generator)
    measured = []
    for path in sorted(folder.glob("*.wav")):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = scipy.signal.resample_poly(sound.mean(1), SAMPLE_RATE, rate)
        mono = mono[int(np.abs(mono).argmax()) :][: rooms.shape[1]] / np.abs(mono).max()
        measured.append(np.pad(mono, (0, rooms.shape[1] - len(mono))))
    extra = torch.from_numpy(np.array(measured, np.float32)).to(rooms.device)
    return torch.cat([rooms, extra.repeat(5, 1)]) if measured else rooms


def open_bench(
    corpus: Path, lips: Sequence[Path], data: Path, hold_out: Sequence[str], seed: int, device: torch.device
) -> Bench:
    """Everything read in.  Voices in ``hold_out``, and what was made of them, become split "test"; no folders
    of lips, no lips."""
    sounds = load_corpus(corpus, device)
    kept = (
        replace(u, split="test") if u.voice.removesuffix("+world") in hold_out else u
        for u in sounds.utterances
    )
    generator = torch.Generator(device).manual_seed(seed)
    return Bench(
        device=device,
        corpus=Corpus(sounds.sound, tuple(kept)),
        lips=load_lips(lips, device) if lips else None,
        noise=load_noise(data / "noise", device),
        rooms=load_rooms(data / "rir", generator),
        mel=augment.LogMelTorch().to(device),
        generator=generator,
    )
