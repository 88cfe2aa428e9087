"""The face expert: the same as an engine, deaf to exposure, and a recipe that runs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import engines.sentiment
from engines.engine import open_engine
from engines.sentiment.emotions import softmax
from engines.sentiment.face.augment import distort, shade
from engines.sentiment.face.export import examples, export_face
from engines.sentiment.face.measure import half_dark
from engines.sentiment.face.model import FaceExpert, linear_resampling, one_sided
from engines.sentiment.face.pictures import Pictures, enlarged, load_pictures, split
from engines.sentiment.fusion.answers import of_faces
from engines.stream import Stream
from nodes.runtime.messages import FACE_SIZE

WEIGHTS = Path(engines.sentiment.__file__).parent / "weights"
DATA = Path(__file__).parents[2] / "../shared/data"
needs_fer = pytest.mark.skipif(not (DATA / "fer2013.zip").is_file(), reason="no ../shared/data/fer2013.zip")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    made = FaceExpert()
    for _ in range(3):
        made(torch.randint(0, 256, (8, 64, 64)).float())
    return made.eval()


def faces(count=4):
    return torch.cat([examples(seed)["face"] for seed in range(count)])


def test_the_engine_computes_what_torch_does(network, tmp_path):
    with torch.no_grad():
        before = network(faces())
    export_face(network, tmp_path / "face.onnx")
    engine = open_engine(tmp_path / "face.onnx")
    with torch.no_grad():
        expected = network(faces())
    for k in range(4):
        outputs = engine.run({"face": faces()[k : k + 1].numpy()})
        for name, value in expected.items():
            np.testing.assert_allclose(outputs[name], value[k : k + 1].numpy(), atol=2e-5)
    # Rounding the weights to float16 must not change what is said.
    torch.testing.assert_close(expected["logits"], before["logits"], atol=5e-3, rtol=0)


def test_a_darker_or_flatter_picture_is_the_same_face(network):
    bright = faces().float()
    with torch.no_grad():
        apart = (network(bright)["logits"][0] - network(bright)["logits"][1]).abs().max()
        change = (network(0.7 * bright + 30)["logits"] - network(bright)["logits"]).abs().max()
    assert change < 0.4 * apart


def test_a_picture_without_contrast_gives_numbers(network):
    with torch.no_grad():
        outputs = network(torch.zeros(1, 64, 64, dtype=torch.uint8))
    assert all(torch.isfinite(value).all() for value in outputs.values())
    assert outputs["affect"].abs().max() <= 1


def test_resampling_keeps_a_ramp_a_ramp():
    ramp = torch.arange(64).float()
    found = linear_resampling(64, 48) @ ramp
    torch.testing.assert_close(found, (torch.arange(48) + 0.5) * 64 / 48 - 0.5)


def test_half_a_face_goes_dark_and_the_other_half_stays():
    dark = half_dark(torch.full((2, 64, 64), 200, dtype=torch.uint8), 0.1)
    left, right = dark[:, :, :20].float().mean((1, 2)), dark[:, :, 44:].float().mean((1, 2))
    torch.testing.assert_close(left, torch.tensor([20.0, 200.0]), atol=2, rtol=0)
    torch.testing.assert_close(right, torch.tensor([200.0, 20.0]), atol=2, rtol=0)


def test_how_much_darker_one_side_is_is_seen_from_either_side_and_at_any_exposure(network):
    dark = torch.full((2, 64, 64), 200.0)
    dark[0, :, :32] = dark[1, :, 32:] = 60
    torch.testing.assert_close(one_sided(dark), torch.full((2,), 204 / 64).log())
    torch.testing.assert_close(one_sided(dark / 2), one_sided(dark), atol=0.05, rtol=0)
    assert one_sided(torch.full((1, 64, 64), 90.0)) == 0
    with torch.no_grad():
        bold = network(dark)["logits"]
        network.caution.fill_(0.5)
        careful = network(dark)["logits"]
        network.caution.zero_()
    torch.testing.assert_close(
        careful, bold / torch.exp(0.5 * one_sided(dark))[:, None], atol=0.02, rtol=0.05
    )


def test_shading_never_lightens():
    g = torch.Generator().manual_seed(1)
    plain = torch.rand(6, 64, 64, generator=g) * 255
    one = torch.ones(6, 1, 1)
    assert (shade(plain, 0.2 * one, 1.0 * one, 0.1 * one, 0.2 * one) <= plain + 1e-3).all()


@needs_fer
def test_distorted_faces_are_still_framed_as_the_live_crop():
    """The mean of many distorted pictures looks like the mean of the pictures, at the crop's size."""
    pictures = load_pictures(DATA, "Training", limit=300)
    distorted = distort(torch.from_numpy(pictures.images), torch.Generator().manual_seed(0))
    assert distorted.shape == (300, 64, 64)
    assert distorted.min() >= 0
    assert distorted.max() <= 255
    mean = cv2.resize(pictures.images.mean(0), (64, 64))
    assert np.corrcoef(mean.ravel(), distorted.mean(0).numpy().ravel())[0, 1] > 0.9


@needs_fer
def test_kept_pictures_are_a_twentieth_and_no_other_is_like_them_by_name():
    learnt, kept = split(load_pictures(DATA, "Training", limit=1000))
    assert not set(learnt.names) & set(kept.names)
    assert 25 <= len(kept.names) <= 85
    assert enlarged(kept.images, 64).shape == (len(kept.names), 64, 64)


@needs_fer
def test_the_shipped_expert_recognises_what_it_never_saw_and_is_less_sure_in_the_dark():
    pictures = load_pictures(DATA, "PublicTest", limit=500)
    faces = enlarged(pictures.images, FACE_SIZE)
    engine = Stream(WEIGHTS / "face.onnx", {"face": (1, FACE_SIZE, FACE_SIZE)}, {"face"})
    labels = pictures.labels.tolist()
    clear = of_faces(engine, faces, labels)
    dark = of_faces(engine, half_dark(torch.from_numpy(faces), 0.03).numpy(), labels)
    assert (clear.logits.argmax(-1) == clear.labels).mean() > 0.62, "its card says what it is of all of them"
    assert softmax(clear.logits).max(-1).mean() > softmax(dark.logits).max(-1).mean()


def test_pictures_can_be_chosen():
    some = Pictures(np.zeros((3, 48, 48), np.uint8), np.array([0, 1, 2]), ("a", "b", "c"))
    assert some.only(np.array([True, False, True])).names == ("a", "c")
