"""A public expert for faces in place of our own: chosen by one line, shown the portrait if there is one."""

import shutil
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto as Kind
from onnx import helper, numpy_helper

import engines.sentiment
from engines import store
from engines.catalogue import Catalogue, read_catalogue
from engines.fetch import sha256_of
from engines.sentiment.emotieff import EmotiEff
from nodes.perception.experts import Experts
from nodes.perception.sentiment import Sentiment
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Face
from nodes.runtime.node import Context

sys.path.insert(0, str(Path(__file__).parents[1] / "sentiment"))
from test_emotieff import write as write_emotieff

WORDS = Path(engines.sentiment.__file__).parent / "weights" / "words.onnx"


def write_expert(path, inputs, **outputs):
    """A step that takes ``inputs`` and always says the same."""
    nodes = [helper.make_node("Identity", [f"the_{name}"], [name]) for name in outputs]
    weights = [numpy_helper.from_array(np.full(s, 0.1, np.float32), f"the_{n}") for n, s in outputs.items()]
    takes = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    gives = [helper.make_tensor_value_info(name, Kind.FLOAT, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(nodes, "g", takes, gives, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """hearsee's experts: the shipped one for words, beside ones that know nothing."""
    made = tmp_path_factory.mktemp("experts")
    says = {"logits": (1, 7), "affect": (1, 2), "embedding": (1, 64)}
    write_expert(made / "face.onnx", {"face": (Kind.UINT8, (1, 64, 64))}, **says)
    write_expert(made / "voice.onnx", {"features": (Kind.FLOAT, (1, 16, 80))}, **says)
    shapes = {"opinions": (1, 3, 7), "embeddings": (1, 3, 64), "affects": (1, 3, 2), "present": (1, 3)}
    takes = {name: (Kind.FLOAT, shape) for name, shape in shapes.items()}
    write_expert(made / "fusion.onnx", takes, logits=(1, 7), affect=(1, 2), reliability=(1, 3))
    shutil.copy(WORDS, made / "words.onnx")
    return made


@pytest.fixture(scope="module")
def emotieff(tmp_path_factory):
    return write_emotieff(tmp_path_factory.mktemp("public") / "enet_b0_8_va_mtl.onnx")


def face(portrait=None):
    rng = np.random.default_rng(1)
    return Face(
        stream="camera",
        seq=0,
        epoch=0,
        t_start_ns=0,
        t_end_ns=40_000_000,
        mouth=np.zeros((88, 88), np.uint8),
        face=rng.integers(0, 256, (64, 64), np.uint8),
        box=(0.0, 0.0, 64.0, 64.0),
        landmarks=np.zeros((5, 2), np.float32),
        quality=1.0,
        track=0,
        portrait=portrait,
    )


def test_the_portrait_is_looked_at_where_there_is_one_and_the_grey_face_where_not(folder, emotieff):
    public = EmotiEff(emotieff)
    experts = Experts(folder, public)
    portrait = np.random.default_rng(2).integers(0, 256, (224, 224, 3), np.uint8)
    assert np.array_equal(experts.see(face(portrait)).logits, public.run(portrait)["logits"][0])
    assert np.array_equal(experts.see(face()).logits, public.run(face().face)["logits"][0])
    ours = Experts(folder)
    assert np.array_equal(ours.see(face(portrait)).logits, np.full(7, 0.1, np.float32))


def test_it_is_chosen_by_its_name_once_it_was_pulled_and_only_while_its_sum_is_right(
    folder, emotieff, tmp_path, monkeypatch
):
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path))
    node = Sentiment(weights=str(folder), expression="emotieff-b0")
    with pytest.raises(UserError, match=r"not here; `python launch\.py models pull emotieff-b0`"):
        node.open(Context(name="sentiment"))
    shipped = read_catalogue().models["emotieff-b0"]
    this = msgspec.structs.replace(shipped, sha256=sha256_of(emotieff), bytes=emotieff.stat().st_size)
    monkeypatch.setattr(store, "read_catalogue", lambda: Catalogue(models={"emotieff-b0": this}))
    assert store.open_store().pull("emotieff-b0", str(emotieff.parent))
    node.open(Context(name="sentiment"))
    placed = tmp_path / "emotieff-b0" / emotieff.name
    placed.write_bytes(placed.read_bytes() + b"!")
    with pytest.raises(UserError, match="not the known file"):
        node.open(Context(name="sentiment"))


def test_a_file_of_ones_own_is_taken_by_its_path(folder, emotieff, tmp_path):
    Sentiment(weights=str(folder), expression=str(emotieff)).open(Context(name="sentiment"))
    with pytest.raises(UserError, match=r"no model '.*nowhere\.onnx'; there are yunet"):
        Sentiment(weights=str(folder), expression=str(tmp_path / "nowhere.onnx")).open(Context(name="s"))
