"""Which detector the face node uses, that it makes no difference, and options that cannot be used."""

import shutil

import msgspec
import numpy as np
import pytest
from faces_of import YUNET, clip, faces, opened, run

from engines import store
from engines.catalogue import Catalogue, read_catalogue
from engines.fetch import sha256_of
from nodes.perception.detect import Haar, YuNet, open_detector
from nodes.runtime.errors import UserError


def test_the_landmarks_are_where_yunet_sees_them():
    if not YUNET.is_file():
        pytest.skip(f"{YUNET} is not here")
    teacher = YuNet(YUNET, 0.09)
    images = clip(3)
    errors = []
    for image, face in zip(images, faces(run(images, opened(detector="haar"))), strict=True):
        [seen] = teacher.detect(image)
        eyes = np.linalg.norm(seen.landmarks[1] - seen.landmarks[0])
        errors.append(np.linalg.norm(face.landmarks - seen.landmarks, axis=1).mean() / eyes)
    assert np.mean(errors) < 0.06


def test_yunet_and_haar_lead_to_the_same_crops():
    if not YUNET.is_file():
        pytest.skip(f"{YUNET} is not here")
    images = clip(5)[:30]
    haar, yunet = opened(detector="haar"), opened(detector="yunet", yunet=str(YUNET))
    by_haar, by_yunet = faces(run(images, haar)), faces(run(images, yunet))
    apart = [
        np.abs(a.landmarks - b.landmarks).max() for a, b in zip(by_haar[10:], by_yunet[10:], strict=True)
    ]
    assert np.median(apart) < 1.5


def test_auto_takes_haar_where_no_yunet_was_pulled(tmp_path, monkeypatch):
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path))
    assert isinstance(open_detector("auto", "", 0.15), Haar)
    assert len(faces(run(clip()[:5], opened()))) == 5
    with pytest.raises(UserError, match=r"not here; `python launch\.py models pull yunet` brings it"):
        opened(detector="yunet")


def test_auto_takes_yunet_where_it_was_pulled_and_never_another_file(tmp_path, monkeypatch, caplog):
    if not YUNET.is_file():
        pytest.skip(f"{YUNET} is not here")
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path / "store"))
    shipped = read_catalogue().models["yunet"]
    this = msgspec.structs.replace(shipped, sha256=sha256_of(YUNET), bytes=YUNET.stat().st_size)
    monkeypatch.setattr(store, "read_catalogue", lambda: Catalogue(models={"yunet": this}))
    shutil.copy(YUNET, tmp_path / this.download)
    assert store.open_store().pull("yunet", str(tmp_path))
    assert isinstance(open_detector("auto", "", 0.15), YuNet)
    assert len(faces(run(clip()[:5], opened()))) == 5
    [file] = store.open_store().find("yunet").values()
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert isinstance(open_detector("auto", "", 0.15), Haar)
    assert "not the known file" in caplog.text
    with pytest.raises(UserError, match="not the known file"):
        opened(detector="yunet")


def test_a_file_that_is_no_yunet_is_named(tmp_path):
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"broken\.onnx: not a YuNet model"):
        opened(detector="yunet", yunet=str(file))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "dlib"}, "detector: 'dlib' is none of auto, haar, yunet"),
        ({"detector": "yunet", "yunet": "nowhere.onnx"}, "nowhere.onnx: no YuNet model there"),
        ({"yunet": "nowhere.onnx"}, "nowhere.onnx: no YuNet model there"),
        ({"detect_every": 0}, "detect_every: 0"),
        ({"faces": 0}, "faces: 0 is not a number of faces from 1 to 8"),
        ({"faces": 9}, "faces: 9 is not a number of faces from 1 to 8"),
        ({"min_face": 0.0}, "min_face: 0.0"),
        ({"min_face": 3.0}, "min_face: 3.0"),
    ],
)
def test_a_bad_option_is_one_clear_line(options, message):
    with pytest.raises(UserError, match=message.split("'")[0]) as raised:
        opened(**options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
