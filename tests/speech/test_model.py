import dataclasses

import pytest
import torch

from engines.speech.fusion import FUSIONS, Fusion, fusion_of
from engines.speech.model import CHUNK, Audio, Size, Video

SIZE = dataclasses.replace(
    Size(tokens=7), width=32, audio_layers=2, video_layers=2, fusion_layers=2, context=12
)
CHUNKS = 6


def fusion(setting):
    return lambda size: Fusion(dataclasses.replace(size, fusion=setting))


KINDS = {"audio": Audio, "video": Video, **{setting: fusion(setting) for setting in FUSIONS}}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_fusion = pytest.mark.parametrize("setting", FUSIONS)


def scrambled(network):
    """Random weights everywhere, also where training starts from zero or one, so that nothing hides."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


def example(kind, batch=2, chunks=CHUNKS):
    g = torch.Generator().manual_seed(5)
    t = chunks * CHUNK
    valid = (torch.rand(batch, t, generator=g) > 0.3).float()
    if kind is Audio:
        return [torch.randn(batch, 4 * t, SIZE.bands, generator=g)]
    if kind is Video:
        return [
            torch.randint(0, 256, (batch, t, SIZE.mouth, SIZE.mouth), generator=g, dtype=torch.uint8),
            valid,
        ]
    encodings = torch.randn(2, batch, t, SIZE.width, generator=g)
    return [encodings[0], encodings[1], torch.ones(batch, t), valid]


def chunk_of(kind, inputs, i):
    step = 4 * CHUNK if kind is Audio else CHUNK
    return [x[:, i * step : (i + 1) * step] for x in inputs]


@every_kind
@torch.no_grad()
def test_streaming_equals_the_whole_utterance(kind):
    network, inputs = scrambled(kind(SIZE)), example(kind)
    whole, _ = network(*inputs, network.initial(2, torch.device("cpu")))
    state = network.initial(2, torch.device("cpu"))
    parts = []
    for i in range(CHUNKS):
        outputs, state = network(*chunk_of(kind, inputs, i), state)
        parts.append(outputs)
    for name, expected in whole.items():
        got = torch.cat([p[name] for p in parts], dim=1)
        assert got.shape == expected.shape
        assert expected.std() > 1e-3, f"{name} does not depend on anything"
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@every_kind
@torch.no_grad()
def test_nothing_after_a_chunk_changes_it(kind):
    network, inputs = scrambled(kind(SIZE)), example(kind)
    changed = [x.clone() for x in inputs]
    step = 4 * CHUNK if kind is Audio else CHUNK
    changed[0][:, 3 * step :] = 0
    start = network.initial(2, torch.device("cpu"))
    one, other = network(*inputs, start)[0]["log_probs"], network(*changed, start)[0]["log_probs"]
    assert torch.equal(one[:, : 3 * CHUNK], other[:, : 3 * CHUNK])
    assert not torch.equal(one[:, 3 * CHUNK :], other[:, 3 * CHUNK :])


@torch.no_grad()
def test_state_can_be_put_away_and_taken_up_again(tmp_path):
    network, inputs = scrambled(Audio(SIZE)), example(Audio)
    state = network.initial(2, torch.device("cpu"))
    for i in range(3):
        _, state = network(*chunk_of(Audio, inputs, i), state)
    torch.save(state, tmp_path / "state.pt")
    expected, _ = network(*chunk_of(Audio, inputs, 3), state)
    got, _ = network(*chunk_of(Audio, inputs, 3), torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(expected["log_probs"], got["log_probs"])


@torch.no_grad()
def test_a_missing_picture_is_not_looked_at():
    network, (mouths, valid) = scrambled(Video(SIZE)), example(Video)
    painted = mouths.clone()
    painted[valid == 0] = 255
    start = network.initial(2, torch.device("cpu"))
    assert torch.equal(
        network(mouths, valid, start)[0]["log_probs"], network(painted, valid, start)[0]["log_probs"]
    )


@every_fusion
@torch.no_grad()
def test_fusion_ignores_a_modality_that_is_not_there(setting):
    network, (audio, video, _, _) = scrambled(fusion(setting)(SIZE)), example(Fusion)
    ones, none = torch.ones(2, audio.shape[1]), torch.zeros(2, audio.shape[1])
    start = network.initial(2, torch.device("cpu"))
    one, _ = network(audio, video, ones, none, start)
    other, _ = network(audio, video * -3, ones, none, start)
    assert torch.equal(one["log_probs"], other["log_probs"])
    assert torch.all(one["reliability"][..., 1] == 0)


@every_fusion
def test_weights_tell_which_fusion_they_are_of(setting):
    assert fusion_of(fusion(setting)(SIZE).state_dict()) == setting


def test_the_whole_recogniser_stays_within_its_budget():
    size = Size(tokens=52)
    total = sum(p.numel() for kind in (Audio, Video, Fusion) for p in kind(size).parameters())
    assert total <= 7_200_000
    for kind in (Audio, Video, Fusion):
        assert len(kind(size).initial(1, torch.device("cpu"))) <= 4
