"""What a microphone and a room do to a voice, on whole batches: torch, any device.

Every function takes ``sound`` float32 [B, N] at 16 kHz and a generator, and returns the same shape.
"""

import math

import numpy as np
import torch
from torch import Tensor

from engines.speech.features import (
    BANDS,
    FFT,
    FLOOR,
    HOP,
    MEAN,
    SAMPLE_RATE,
    SPREAD,
    WINDOW,
    hann,
    mel_filters,
)

WARPS = np.linspace(0.8, 1.28, 17)


class LogMelTorch(torch.nn.Module):
    """``features.LogMel`` for batches: the same numbers, plus vocal tract warping for training."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(hann()))
        warped = [mel_filters(1.0), *(mel_filters(float(w)) for w in WARPS)]
        self.register_buffer("filters", torch.from_numpy(np.stack(warped)))

    def forward(self, sound: Tensor, warp: Tensor | None = None) -> Tensor:
        """sound [B,N] -> features [B, N // HOP, BANDS].  warp: int [B], index into WARPS, counted from 1; 0
        = none."""
        padded = torch.nn.functional.pad(sound, (WINDOW - HOP, 0))
        frames = padded.unfold(1, WINDOW, HOP) * self.window
        power = torch.fft.rfft(frames, FFT).abs().square()
        mel = power @ self.filters[0] if warp is None else torch.bmm(power, self.filters[warp])
        return ((mel + FLOOR).log() - MEAN) / SPREAD


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def chance(count: int, probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 1, generator=generator, device=generator.device) < probability


def synthetic_rooms(count: int, generator: torch.Generator, seconds: float = 0.6) -> Tensor:
    """Impulse responses [count, n]: a direct path, then noise that decays by 60 dB in 0.1 to 0.9 s."""
    n = int(seconds * SAMPLE_RATE)
    t = torch.arange(n, device=generator.device) / SAMPLE_RATE
    decay = uniform((count, 1), 0.1, 0.9, generator)
    tail = torch.randn(count, n, generator=generator, device=generator.device) * torch.exp(-6.9 * t / decay)
    tail[:, : int(0.002 * SAMPLE_RATE)] = 0
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() * uniform((count, 1), 0.15, 0.9, generator)
    tail[:, 0] += 1.0
    return tail


def reverberate_and_colour(
    sound: Tensor, rooms: Tensor, generator: torch.Generator, room_chance: float = 0.4
) -> Tensor:
    """A room for some, another microphone's frequency response for all, a telephone's band for a few."""
    b, n = sound.shape
    size = 1 << math.ceil(math.log2(n + rooms.shape[1]))
    pick = torch.randint(len(rooms), (b,), generator=generator, device=sound.device)
    room = rooms[pick].clone()
    dry = torch.zeros_like(room)
    dry[:, 0] = 1.0
    room = torch.where(chance(b, room_chance, generator), room, dry)
    response = torch.fft.rfft(room, size)
    # A smooth random equaliser: a few cosines over log frequency, up to about +-6 dB.
    hertz = torch.linspace(0, SAMPLE_RATE / 2, size // 2 + 1, device=sound.device)
    octave = (hertz.clamp(min=50) / 50).log2() / 7.4
    gain = torch.zeros(b, len(hertz), device=sound.device)
    for order in range(1, 4):
        phase = uniform((b, 1), 0, 2 * math.pi, generator)
        gain = gain + uniform((b, 1), 0, 4.0 / order, generator) * torch.cos(
            math.pi * order * octave[None] + phase
        )
    gain = gain + resonances(b, hertz, generator)
    response = response * 10 ** (gain / 20)
    low_pass = torch.where(chance(b, 0.2, generator), uniform((b, 1), 3300, 7000, generator), 1e9)
    # Whatever was sampled at 8 kHz, as telephones and many recordings are, has nothing above 4 kHz.
    low_pass = torch.where(chance(b, 0.2, generator), uniform((b, 1), 3400, 4000, generator), low_pass)
    high_pass = torch.where(chance(b, 0.2, generator), uniform((b, 1), 100, 350, generator), 1e-3)
    band = (
        1 / (1 + (hertz[None] / low_pass) ** 16) * (1 - 1 / (1 + (hertz[None].clamp(min=1) / high_pass) ** 8))
    )
    return torch.fft.irfft(torch.fft.rfft(sound, size) * response * band, size)[:, :n]


def resonances(b: int, hertz: Tensor, generator: torch.Generator) -> Tensor:
    """Small rooms, cheap microphones and loudspeakers: up to three peaks or dips of up to 15 dB, a third of
    an octave to an octave and a half wide, for half of them.  Decibels [b, len(hertz)]."""
    device = generator.device
    octave = (hertz.clamp(min=20) / 1000).log2()[None]
    gain = torch.zeros(b, len(hertz), device=device)
    for _ in range(3):
        centre, width = uniform((b, 1), -3, 2.6, generator), uniform((b, 1), 0.33, 1.5, generator)
        height = torch.where(chance(b, 0.7, generator), uniform((b, 1), -15, 15, generator), 0.0)
        gain = gain + height * torch.exp(-(((octave - centre) / (width / 2)) ** 2))
    return torch.where(chance(b, 0.5, generator), gain, 0.0)


def coloured_noise(b: int, n: int, generator: torch.Generator) -> Tensor:
    """White to brown: spectra that fall by 0 to 9 dB an octave."""
    size = 1 << math.ceil(math.log2(n))
    spectrum = torch.fft.rfft(torch.randn(b, size, generator=generator, device=generator.device))
    slope = uniform((b, 1), 0, 1.5, generator)
    k = torch.arange(spectrum.shape[1], device=generator.device).clamp(min=4)
    return torch.fft.irfft(spectrum / (k[None] / 4) ** slope, size)[:, :n]


def hum(b: int, n: int, generator: torch.Generator, partials: int = 8) -> Tensor:
    """Motors, fans and beeps: harmonics of 50 to 1500 Hz that fall by 0 to 12 dB each and waver a little."""
    device = generator.device
    t = torch.arange(n, device=device) / SAMPLE_RATE
    base = 10 ** uniform((b, 1), 1.7, 3.18, generator)
    waver = uniform((b, 1), 0, 0.02, generator) * torch.sin(
        2 * math.pi * uniform((b, 1), 0.2, 6, generator) * t
    )
    phase = 2 * math.pi * base * (t + waver / uniform((b, 1), 1, 20, generator))
    fall = 10 ** (-uniform((b, 1), 0, 12, generator) / 20)
    total = torch.zeros(b, n, device=device)
    for k in range(1, partials + 1):
        audible = (base * k < SAMPLE_RATE / 2).float()
        total = total + audible * fall ** (k - 1) * torch.sin(k * phase + uniform((b, 1), 0, 6.3, generator))
    return total


def swell(noise: Tensor, generator: torch.Generator) -> Tensor:
    """Noise that comes and goes by up to 30 dB, 0.3 to 6 times a second; for half of them."""
    b, n = noise.shape
    t = torch.arange(n, device=noise.device) / SAMPLE_RATE
    wave = torch.sin(
        2 * math.pi * (uniform((b, 1), 0.3, 6, generator) * t + uniform((b, 1), 0, 1, generator))
    )
    depth = torch.where(chance(b, 0.5, generator), uniform((b, 1), 0, 15, generator), 0.0)
    return noise * 10 ** (depth * wave / 20)


def stretches(bank: Tensor, b: int, n: int, generator: torch.Generator) -> Tensor:
    """b random stretches of n samples out of a long recording [m] (int16 or float), float32 [b, n]."""
    start = torch.randint(len(bank) - n, (b, 1), generator=generator, device=bank.device)
    piece = bank[start + torch.arange(n, device=bank.device)]
    return piece.float() / 32768.0 if bank.dtype == torch.int16 else piece


def babble(voices: Tensor, b: int, n: int, generator: torch.Generator, talkers: int = 6) -> Tensor:
    """Several people at once: random stretches of the corpus, levelled and added."""
    total = torch.zeros(b, n, device=voices.device)
    for _ in range(talkers):
        one = stretches(voices, b, n, generator)
        total = total + one / (one.square().mean(1, keepdim=True).sqrt() + 1e-4)
    return total


def mix(sound: Tensor, noise: Tensor, snr_db: Tensor, speech: Tensor) -> Tensor:
    """Noise added at snr_db [B, 1]; the level of speech is measured where ``speech`` [B, N] is 1."""
    level = (sound.square() * speech).sum(1, keepdim=True) / speech.sum(1, keepdim=True).clamp(min=1)
    power = noise.square().mean(1, keepdim=True) + 1e-12
    # Where nobody speaks there is no level to relate to: a quiet room's.
    level = torch.where(level > 1e-9, level, torch.full_like(level, 1e-3))
    return sound + noise * (level / power * 10 ** (-snr_db / 10)).sqrt()


def gate_noise(
    sound: Tensor, speech: Tensor, generator: torch.Generator, share: float
) -> tuple[Tensor, Tensor]:
    """What a noise gate, push-to-talk or a program that cuts files leaves of noisy recordings: for a share,
    noise 3 to 35 dB below, only where ``speech`` [B, N] is 1.  Also which, bool [B, 1]."""
    b, n = sound.shape
    gated = chance(b, share, generator)
    made = torch.where(chance(b, 0.8, generator), coloured_noise(b, n, generator), hum(b, n, generator))
    noisy = mix(sound, made, uniform((b, 1), 3, 35, generator), speech)
    return torch.where(gated & (speech > 0), noisy, sound), gated


def level_and_clip(sound: Tensor, generator: torch.Generator) -> Tensor:
    """Another distance and gain (-45 to -10 dBFS), a clipping input for a few, 16-bit steps for all."""
    b = len(sound)
    rms = sound.square().mean(1, keepdim=True).sqrt() + 1e-5
    sound = sound / rms * 10 ** (uniform((b, 1), -45, -10, generator) / 20)
    peak = sound.abs().amax(1, keepdim=True)
    limit = torch.where(
        chance(b, 0.06, generator), peak * uniform((b, 1), 0.15, 0.7, generator), torch.ones_like(peak)
    )
    return (sound.clamp(-limit, limit) * 32767).round() / 32767


def mask_features(features: Tensor, generator: torch.Generator) -> Tensor:
    """SpecAugment (Park et al. 2019): two bands of up to 14 mels, and a stretch of up to 200 ms for each 2 s,
    for four of five."""
    b, t, _ = features.shape
    device = features.device
    hidden = torch.zeros(b, t, BANDS, dtype=torch.bool, device=device)
    for _ in range(2):
        width, start = uniform((b, 1), 0, 14, generator), uniform((b, 1), 0, BANDS, generator)
        band = torch.arange(BANDS, device=device)[None]
        hidden |= ((band >= start) & (band < start + width))[:, None]
    for _ in range(max(1, t // 200)):
        width, start = uniform((b, 1), 0, 20, generator), uniform((b, 1), 0, float(t), generator)
        time = torch.arange(t, device=device)[None]
        hidden |= ((time >= start) & (time < start + width))[:, :, None]
    hidden &= chance(b, 0.8, generator)[:, None]
    return features.masked_fill(hidden, 0.0)
