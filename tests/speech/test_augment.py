"""What is done to training speech is what a microphone, a program or a gate would do."""

import torch

from engines.speech.augment import gate_noise


def test_gated_noise_sounds_only_while_somebody_speaks():
    generator = torch.Generator().manual_seed(1)
    speech = torch.zeros(12, 16_000)
    speech[:, 4000:9000] = 1
    said = speech * torch.sin(torch.arange(16_000) * 0.3) * 0.1
    noisy, gated = gate_noise(said, speech, generator, share=0.5)
    assert 0 < gated.sum() < 12
    assert torch.equal(noisy[~gated[:, 0]], said[~gated[:, 0]])
    added = noisy[gated[:, 0]] - said[gated[:, 0]]
    assert not added[:, :4000].any()
    assert not added[:, 9000:].any()
    below = 10 * torch.log10(said[0, 4000:9000].square().mean() / added[:, 4000:9000].square().mean(1))
    assert below.min() > 0
    assert below.max() < 38, "3 to 35 dB, measured over a stretch of it"
