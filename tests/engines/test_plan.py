"""Plans in the cache: whatever happens to a file, what is served is right, and a plan is built once."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engines.build import CPU, Wanted, build, build_command, find_plan, shipped_models
from engines.engine import ModelError, OnnxRuntimeEngine
from engines.golden import golden_path
from engines.plan import KEPT, MAGIC, locked, proof_path
from engines.proof import proved
from engines.serve import Server

ROOT = Path(__file__).parents[2]
LANDMARKS = shipped_models()["face/landmarks"]


@pytest.fixture(autouse=True)
def plans(tmp_path, monkeypatch):
    folder = tmp_path / "plans"
    monkeypatch.setenv("HEARSEE_PLANS", str(folder))
    return folder


@pytest.fixture
def model(tmp_path):
    """A copy of the landmark model with its golden file, that may be harmed."""
    for path in (LANDMARKS, golden_path(LANDMARKS)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / LANDMARKS.name


@pytest.fixture
def wanted(model):
    """float16 on the processor: a real variant with errors of its own, which needs no GPU to be served."""
    return Wanted(model, "float16", CPU)


# Programs for processes of their own: one that says when it builds, one that holds a lock, and one that gets
# as far as putting its plan in place.
COUNTED = """
import sys, time
from pathlib import Path
import engines.build as b
made = b.make_variant
def make(*arguments):
    print("built", flush=True)
    time.sleep(0.5)
    return made(*arguments)
b.make_variant = make
b.main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
"""
HELD = """
import sys, time
from pathlib import Path
from engines.plan import locked
with locked(Path(sys.argv[1]), 1):
    print("held", flush=True)
    time.sleep(60)
"""
STUCK = """
import os, sys, time
from pathlib import Path
import engines.build as b
os.replace = lambda *_: (print("about to", flush=True), time.sleep(60))
b.main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
"""


def started(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE)


def picture():
    return {"image": np.random.default_rng(1).integers(0, 256, (1, 64, 64), np.uint8)}


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 0x10
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def fill_with_noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def break_header(path):
    path.write_bytes(MAGIC + b"}" + path.read_bytes()[len(MAGIC) + 1 :])


def forget_header(path):
    path.write_bytes(MAGIC + b"[]\n")


PARTS = ["model", "version", "capability", "library", "recipe", "precision", "shapes"]
HARMS = [cut, flip, empty, fill_with_noise, break_header, forget_header]


def serve(wanted):
    """What a pipeline would be served with in the end."""
    server = Server("onnxruntime", wanted.precision)
    engine = server(wanted.model)
    server.wait(60)
    engine.run(picture())
    server.close()
    return engine, server.report[wanted.model.stem]


@pytest.mark.parametrize("harm", HARMS)
def test_a_harmed_plan_is_built_again(wanted, harm, caplog):
    built = build(wanted)
    harm(built.path)
    assert find_plan(wanted) is None
    assert "building it again" in caplog.text
    assert build(wanted).plan == built.plan
    assert find_plan(wanted) == built.plan


def test_a_plan_of_another_model_under_this_name_is_not_loaded(wanted, tmp_path, caplog):
    other = Wanted(wanted.model, "float32", CPU)
    build(wanted)
    shutil.copy(build(other).path, wanted.path)
    assert find_plan(wanted) is None
    assert "was built for something else" in caplog.text


@pytest.mark.parametrize("part", PARTS)
def test_a_plan_of_any_other_key_under_this_name_is_not_loaded(wanted, part):
    plan = build(wanted).plan
    start = len(MAGIC)
    data = wanted.path.read_bytes()
    end = data.index(b"\n", start)
    header = json.loads(data[start:end])
    header["key"][part] = {"image": [9]} if part == "shapes" else "old"
    wanted.path.write_bytes(MAGIC + json.dumps(header).encode() + data[end:])
    assert find_plan(wanted) is None
    assert build(wanted).plan == plan


def test_a_new_model_has_a_new_plan_and_the_old_one_is_left_alone(wanted):
    old = build(wanted)
    wanted.model.write_bytes(wanted.model.read_bytes() + b"\x72\x00")  # an empty doc_string: another file
    new = build(wanted)
    assert new.path != old.path
    assert old.path.exists()


def test_a_plan_of_the_right_key_that_computes_wrong_is_refused_and_built_again(wanted, monkeypatch, caplog):
    """As if the compiler had been broken when it was made: only the golden file can tell."""
    import engines.build

    with monkeypatch.context() as patch:
        patch.setattr(engines.build, "make_variant", lambda *_: _turned(wanted.model))
        wrong = build(wanted).plan
    assert find_plan(wanted) == wrong
    engine, report = serve(wanted)
    assert report == "onnxruntime float16"
    assert find_plan(wanted) != wrong
    assert "building the plan again" in caplog.text
    assert _right(engine)


def _turned(model):
    import onnx

    turned = onnx.load(str(model))
    for tensor in turned.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 4:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(-values, tensor.name))
    return turned.SerializeToString()


def _right(engine):
    expected = OnnxRuntimeEngine(LANDMARKS).run(picture())
    outputs = engine.run(picture())
    return all(np.abs(outputs[name] - value).max() < 0.1 for name, value in expected.items())


@pytest.mark.parametrize("harm", HARMS)
def test_a_harmed_golden_file_leaves_the_processor_serving(wanted, harm):
    harm(golden_path(wanted.model))
    engine, report = serve(wanted)
    assert report.startswith("onnxruntime float32; onnxruntime float16 is not used: ")
    assert "golden" in report
    assert _right(engine)


def test_a_missing_golden_file_leaves_the_processor_serving(wanted):
    golden_path(wanted.model).unlink()
    engine, report = serve(wanted)
    assert "landmarks.golden.npz" in report
    assert _right(engine)


def test_another_models_golden_file_proves_nothing(wanted):
    audio = shipped_models()["speech/audio"]
    shutil.copy(golden_path(audio), golden_path(wanted.model))
    engine, report = serve(wanted)
    assert "is not used" in report
    assert _right(engine)


def test_a_golden_file_of_an_older_model_proves_nothing(wanted):
    with np.load(golden_path(wanted.model)) as file:
        arrays = dict(file)
    arrays["out.points"] += 3
    np.savez(golden_path(wanted.model), **arrays)
    engine, report = serve(wanted)
    assert "off it, more than" in report
    assert _right(engine)


def test_a_golden_file_is_looked_at_also_where_the_plan_was_proved_before(wanted):
    first = OnnxRuntimeEngine(wanted.model)
    proved(wanted, first)
    assert proof_path(wanted.path).exists()
    empty(golden_path(wanted.model))
    with pytest.raises(ModelError, match="golden"):
        proved(wanted, first)


@pytest.mark.parametrize("harm", [empty, fill_with_noise])
def test_a_harmed_proof_is_made_again(wanted, harm):
    first = OnnxRuntimeEngine(wanted.model)
    proved(wanted, first)
    whole = proof_path(wanted.path).read_bytes()
    harm(proof_path(wanted.path))
    proved(wanted, first)
    assert proof_path(wanted.path).read_bytes() == whole


def test_two_processes_that_want_the_same_plan_build_it_once(wanted, plans):
    both = [started(COUNTED, *build_command(wanted)) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(said) == [b"", b"built\n"]
    assert find_plan(wanted) is not None
    assert len(list(plans.glob("*.plan"))) == 1


def test_who_waits_too_long_for_another_builder_is_told(tmp_path):
    path = tmp_path / "x.lock"
    with locked(path, 1), pytest.raises(ModelError, match=r"x\.lock: another process"), locked(path, 0.2):
        pytest.fail("two held the lock")


def test_the_lock_of_a_builder_that_was_killed_is_free(tmp_path):
    path = tmp_path / "x.lock"
    process = started(HELD, str(path))
    assert process.stdout.readline() == b"held\n"
    process.kill()
    process.communicate()
    begun = time.monotonic()
    with locked(path, 5):
        assert time.monotonic() - begun < 1


def test_a_builder_that_is_killed_leaves_no_plan_and_the_next_one_builds(wanted, plans):
    process = started(STUCK, *build_command(wanted))
    assert process.stdout.readline() == b"about to\n"
    process.kill()
    process.communicate()
    assert not list(plans.glob("*.plan"))
    build(wanted)
    assert find_plan(wanted) is not None


def test_a_folder_that_cannot_be_written_to_is_named(wanted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEARSEE_PLANS", str(tmp_path / "file" / "plans"))
    with pytest.raises(ModelError, match="set HEARSEE_PLANS"):
        build(wanted)
    engine, report = serve(wanted)
    assert "HEARSEE_PLANS" in report
    assert _right(engine)


def test_the_cache_does_not_grow_without_end(wanted, plans):
    plans.mkdir(parents=True)
    for i in range(KEPT + 5):
        old = plans / f"old.{i:03}.plan"
        old.write_bytes(b"x")
        os.utime(old, (i, i))
    build(wanted)
    left = sorted(path.name for path in plans.glob("*.plan"))
    assert len(left) == KEPT
    assert wanted.path.name in left
    assert "old.000.plan" not in left


def test_int8_is_not_for_tensorrt(wanted):
    with pytest.raises(ModelError, match="float32 or float16"):
        build(Wanted(LANDMARKS, "int8", "sm_89"))


def test_a_file_that_is_no_model_is_named(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    (tmp_path / "x.onnx").write_text("nothing")
    with pytest.raises(ModelError, match=r"x\.onnx"):
        build(Wanted(tmp_path / "x.onnx", "float16", CPU))
