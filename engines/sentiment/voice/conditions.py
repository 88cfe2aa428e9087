"""Where a voice is recorded: what training does to it, and the noise and level it is measured in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.sentiment.voice.model import CHUNK
from engines.sentiment.voice.recordings import Recordings
from engines.speech import augment
from engines.speech.canvas import place
from engines.speech.conditions import load_noise, load_rooms
from engines.speech.features import HOP

CHUNK_SAMPLES = CHUNK * HOP
FASTEST, SLOWEST = 1.16, 0.86
_MEASURED_NOISE = 0.2  # the last fifth of the noises is not trained with


@dataclass(frozen=True)
class Bench:
    """The recordings of some actors on a device, end to end, and what is done to them.

    sound: int16 [n].  start, length: int64 [N] of each recording.  classes int64 [N].  noise: float32 [m].
    """

    device: torch.device
    sound: Tensor
    start: Tensor
    length: Tensor
    classes: Tensor
    noise: Tensor
    unheard_noise: Tensor
    rooms: Tensor
    mel: augment.LogMelTorch
    generator: torch.Generator

    def begin(self, seed: int, step: int) -> None:
        """What is drawn in a step depends on the step alone, so a resumed training is the one not stopped."""
        self.generator.manual_seed(seed * 1_000_003 + step)
        torch.manual_seed(seed * 1_000_003 + step)

    def pick(self, count: int) -> Tensor:
        """Recordings int64 [count], every class as often as every other."""
        weight = 1.0 / torch.bincount(self.classes)[self.classes].float()
        return torch.multinomial(weight, count, replacement=True, generator=self.generator)

    def canvas(self, chosen: Tensor, chunks: int) -> tuple[Tensor, Tensor]:
        """sound float32 [B, n] at one level, faster or slower (pitch with it), moved by up to 0.8 s.

        Second: where it speaks, 0 or 1 [B, n].
        """
        b, g = len(chosen), self.generator
        speed = augment.uniform((b,), SLOWEST, FASTEST, g)
        offset = augment.uniform((b,), -0.8, 0.8, g) * 16_000
        n = chunks * CHUNK_SAMPLES
        sound = place(self.sound, self.start[chosen], self.length[chosen], speed, offset, n)
        sound = 0.05 * sound / sound.square().mean(1, keepdim=True).sqrt().clamp(min=1e-5)
        return sound, speaking(sound)

    def degrade(self, sound: Tensor, speech: Tensor, clean: float) -> Tensor:
        """Room, microphone, noise from 0 to 30 dB for all but a share ``clean``, gain."""
        g, (b, n) = self.generator, sound.shape
        sound = augment.reverberate_and_colour(sound, self.rooms, g, room_chance=0.3)
        which = torch.rand(b, 1, generator=g, device=self.device)
        loud = augment.stretches(self.noise, b, n, g)
        noise = torch.where(which < 0.5, loud, augment.babble(self.sound, b, n, g))
        noise = torch.where(which < 0.75, noise, augment.coloured_noise(b, n, g))
        snr = augment.uniform((b, 1), 0, 30, g)
        snr = torch.where(augment.chance(b, clean, g), augment.uniform((b, 1), 30, 60, g), snr)
        return augment.level_and_clip(augment.mix(sound, noise, snr, speech), g)

    def features(self, sound: Tensor) -> Tensor:
        """Log-mel [B, T, 80] of another vocal tract each, with stretches hidden."""
        warps = len(augment.WARPS) + 1
        pick = torch.randint(0, warps, (len(sound),), generator=self.generator, device=self.device)
        return augment.mask_features(self.mel(sound, pick), self.generator)


def speaking(sound: Tensor) -> Tensor:
    """1 where 10 ms of ``sound`` [B, n] are within 30 dB of its loudest 10 ms, else 0: [B, n]."""
    power = sound.unflatten(1, (-1, HOP)).square().mean(2)
    heard = power > 1e-3 * power.amax(1, keepdim=True)
    return heard.float().repeat_interleave(HOP, dim=1)


def open_bench(recordings: Recordings, data: Path, seed: int, device: torch.device) -> Bench:
    generator = torch.Generator(device).manual_seed(seed)
    noise = load_noise(data / "noise", device)
    trained = round(len(noise) * (1 - _MEASURED_NOISE))
    lengths = np.array([len(sound) for sound in recordings.samples])
    return Bench(
        device=device,
        sound=torch.from_numpy(np.concatenate(recordings.samples)).to(device),
        start=torch.from_numpy(np.cumsum(lengths) - lengths).to(device),
        length=torch.from_numpy(lengths).to(device),
        classes=torch.from_numpy(recordings.classes).to(device),
        noise=noise[:trained],
        unheard_noise=noise[trained:],
        rooms=load_rooms(data / "rir", generator),
        mel=augment.LogMelTorch().to(device),
        generator=generator,
    )


def whole(bench: Bench, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Recordings as they are, float32 [B, n] of whole chunks, silence after the end; chunks [B] of each."""
    chunks = -(-bench.length[chosen] // CHUNK_SAMPLES)
    n = int(chunks.max()) * CHUNK_SAMPLES
    at = torch.arange(n, device=bench.device)[None]
    inside = at < bench.length[chosen][:, None]
    index = (bench.start[chosen][:, None] + at).clamp(max=len(bench.sound) - 1)
    return torch.where(inside, bench.sound[index].float() / 32768.0, 0.0), chunks


def with_noise(bench: Bench, sound: Tensor, snr_db: float) -> Tensor:
    """Noise that training did not use, the same for the same batch every time."""
    g = torch.Generator(bench.device).manual_seed(11)
    added = augment.stretches(bench.unheard_noise, len(sound), sound.shape[1], g)
    snr = torch.full((len(sound), 1), snr_db, device=sound.device)
    return augment.mix(sound, added, snr, speaking(sound))
