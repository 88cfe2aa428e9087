"""The mouth crops that the lip reader is trained on are those the pipeline cuts live."""

import json
import shutil

import numpy as np
import pytest
from faces_of import GRID, pictures_of, run

from engines.speech.crops import read_crops, write_crops
from engines.speech.lips import crop_clip, main
from nodes.runtime.errors import UserError

NAME = "bbaf2n"


def source():
    if not GRID.is_dir():
        pytest.skip(f"{GRID} is not here")
    return GRID / f"{NAME}.mp4"


def test_the_middle_of_a_training_crop_is_the_live_crop(monkeypatch, tmp_path):
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path))
    crops, quality, fps = crop_clip(source())
    live = run(pictures_of(source()))
    assert fps == 25
    assert len(crops) == len(quality) == len(live)
    for crop, face in zip(crops, live, strict=True):
        # OpenCV rounds places to 1/32 pixel, not the same way at every size.
        assert np.abs(crop[12:100, 12:100].astype(int) - face.mouth).mean() < 0.5


def test_what_is_written_is_read_back_nearly_unchanged(tmp_path):
    crops, _, fps = crop_clip(source())
    write_crops(tmp_path / "clip.mp4", crops, fps)
    back = read_crops(tmp_path / "clip.mp4")
    assert back.shape == (len(crops), 112, 112)
    assert np.abs(back.astype(int) - np.stack(crops)).mean() < 1.5
    assert abs((back.astype(int) - np.stack(crops)).mean()) < 0.3, "no shift of brightness"


def test_a_folder_of_clips_is_cut_once_and_a_clip_without_a_face_is_named(tmp_path, capsys):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    shutil.copy(source(), clips)
    write_crops(clips / "wall.mp4", [np.full((112, 112), 90, np.uint8)] * 5, 25)
    (clips / "wall.txt").write_text("bin blue\n")
    main(clips, out, workers=1)
    assert "skipped clips/wall" in capsys.readouterr().out.replace("\n", "")
    [line] = map(json.loads, (out / "index.jsonl").read_text().splitlines())
    assert (line["name"], line["frames"], len(line["quality"])) == (NAME, 75, 75)
    written = (out / f"{NAME}.mp4").stat().st_mtime_ns
    main(clips, out, workers=1)
    assert (out / f"{NAME}.mp4").stat().st_mtime_ns == written


def test_a_folder_without_clips_is_named(tmp_path):
    with pytest.raises(UserError, match="no clips"):
        main(tmp_path, tmp_path / "out")
