"""The landmark network: the shipped file answers as its golden file says; the recipe that made it runs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.engine import open_engine
from engines.face import train
from engines.face.faces import TEACHER, Faces
from engines.face.measure import bootstrap
from engines.face.model import LandmarkNet
from nodes.perception.landmarks import WEIGHTS
from nodes.runtime.errors import UserError

DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture(autouse=True)
def one_thread():
    """As training runs: two threads on two busy cores wait for each other."""
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)


def test_the_shipped_file_reproduces_its_golden_file():
    golden = np.load(WEIGHTS.with_suffix(".golden.npz"))
    engine = open_engine(WEIGHTS)
    found = engine.run({name: golden[f"in.{name}"] for name in engine.inputs})
    assert set(found) == {"points", "presence", "visible"}
    for name, value in found.items():
        assert value == pytest.approx(golden[f"out.{name}"], abs=1e-3)
    assert golden["out.presence"][0] > 0.9, "the golden picture is a face"


def test_the_shipped_file_is_small_and_has_a_card():
    assert WEIGHTS.stat().st_size < 600_000
    card = WEIGHTS.with_suffix(".md").read_text()
    assert "--smoke" not in card
    for word in ("FER2013", "GRID", "CC BY 4.0", "seed", "YuNet", "second look"):
        assert word in card


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_crop_is_no_face(level):
    found = open_engine(WEIGHTS).run({"image": np.full((1, 64, 64), level, np.uint8)})
    assert found["presence"][0] < 0.5
    assert np.isfinite(found["points"]).all()


def test_light_and_contrast_do_not_change_the_answer():
    image = np.load(WEIGHTS.with_suffix(".golden.npz"))["in.image"]
    engine = open_engine(WEIGHTS)
    dim = engine.run({"image": (image // 2 + 30).astype(np.uint8)})["points"]
    assert np.abs(dim - engine.run({"image": image})["points"]).max() < 1.0


def test_points_follow_the_peak_of_their_heat_map():
    torch.manual_seed(0)
    net = LandmarkNet().eval()
    with torch.inference_mode():
        points, presence, visible = net(torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8))
    assert points.shape == (3, 5, 2)
    assert presence.shape == (3,)
    assert visible.shape == (3, 5)
    assert ((points > 0) & (points < 63)).all()


def test_the_interval_is_over_groups_not_over_pictures():
    rng = np.random.default_rng(0)
    by_group = rng.normal(5, 2, 40)
    values = np.repeat(by_group, 50)
    together = bootstrap(values, [str(i // 50) for i in range(2000)])
    apart = bootstrap(values, [str(i) for i in range(2000)])
    assert together.mean == pytest.approx(by_group.mean())
    assert together.low < together.mean < together.high
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_training_stopped_half_way_ends_where_it_would_have(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (4, 48, 48), np.uint8))
    points = np.array([[14, 18], [34, 18], [24, 28], [16, 38], [32, 38]], np.float32)
    faces = Faces(
        images, np.repeat(points[None], 4, 0), ["a/b", "a/c", "d", "e"], np.zeros((0, 64, 64), np.uint8)
    )
    monkeypatch.setattr(train, "_EVERY", 2)

    def trained(name, stop=None):
        torch.manual_seed(0)
        net = LandmarkNet()
        real = train.batch
        with monkeypatch.context() as patch:
            if stop is not None:

                def batch(faces, weights, step):
                    if step == stop:
                        raise KeyboardInterrupt
                    return real(faces, weights, step)

                patch.setattr(train, "batch", batch)
            train.fit(net, faces, 4, tmp_path / f"{name}.pt")
        return net.state_dict()

    whole = trained("whole")
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", stop=3)
    resumed = trained("stopped")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_faces_of_every_size_come_back_from_the_disk(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, size, np.uint8) for size in ((48, 48), (20, 30), (192, 192))]
    points = rng.random((3, 5, 2), np.float32)
    faces = Faces(images, points, ["a/é", "a/c", "d"], rng.integers(0, 256, (2, 64, 64), np.uint8))
    faces.save(tmp_path / "faces.part")
    back = Faces.load(tmp_path / "faces.part")
    assert all(np.array_equal(a, b) for a, b in zip(back.images, images, strict=True))
    assert np.array_equal(back.points, points)
    assert np.array_equal(back.backgrounds, faces.backgrounds)
    assert back.groups == faces.groups


@pytest.mark.timeout(170)
def test_the_whole_recipe_runs_stops_and_goes_on(tmp_path, capsys):
    if not (DATA / "fer2013.zip").is_file() or not TEACHER.is_file():
        pytest.skip(f"{DATA} or YuNet is not here")
    train.main(data=DATA, work=tmp_path / "work", out=tmp_path / "out", smoke=True)
    first = (tmp_path / "out/landmarks.onnx").read_bytes()
    (tmp_path / "out/landmarks.onnx").unlink()
    train.main(data=DATA, work=tmp_path / "work", out=tmp_path / "out", smoke=True)
    assert "going on from step 40" in capsys.readouterr().out
    assert (tmp_path / "out/landmarks.onnx").read_bytes() == first
    assert "--smoke" in (tmp_path / "out/landmarks.md").read_text()
    golden = np.load(tmp_path / "out/landmarks.golden.npz")
    found = open_engine(tmp_path / "out/landmarks.onnx").run({"image": golden["in.image"]})
    assert found["points"] == pytest.approx(golden["out.points"], abs=1e-3)


def test_a_folder_without_data_is_named(tmp_path):
    with pytest.raises(UserError, match=r"fer2013\.zip: no such file"):
        train.main(data=tmp_path, work=tmp_path / "work", out=tmp_path / "out")
