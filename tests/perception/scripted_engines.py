"""Speech engines that do as they are told: real ONNX files of the real layout, rules in place of weights.

A tone of word k (``tone``) is heard as that word and as voice; a tone of word 0 as voice without a word;
silence as neither.  Lips of grey level ``GREY[k]`` say word k in the same way.  State counts the chunks since
it was zero.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS = ["", "red", "green", "blue", "now", "two"]
# One pure tone for each word, and the mel bands it reaches.
HERTZ = [250.0, 600.0, 1000.0, 1600.0, 2500.0, 4000.0]
GREY = [40, 80, 120, 160, 200, 240]
V = len(TOKENS)
BLANK_LOGIT = 4.0


def tone(word, seconds, start=0, level=0.1):
    """float32 samples of the tone of TOKENS[word], 0 for voice that says nothing, None for silence."""
    t = (start + np.arange(round(seconds * 16_000))) / 16_000
    if word is None:
        return np.zeros(len(t), np.float32)
    return (level * np.sin(2 * np.pi * HERTZ[word] * t)).astype(np.float32)


def mouth(word):
    """uint8 [88, 88] of lips that say TOKENS[word], 0 for voice that says nothing, None for closed lips."""
    grey = 0 if word is None else GREY[word]
    return np.full((88, 88), grey, np.uint8)


def _mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)


def _bands():
    """float32 [80, V]: which bands belong to which word."""
    centres = np.linspace(_mel(20), _mel(7600), 82)[1:-1]
    table = np.zeros((80, V), np.float32)
    for word, hertz in enumerate(HERTZ):
        table[np.abs(centres - _mel(hertz)).argmin(), word] = 1
    return table


class _Graph:
    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value):
        self.count += 1
        name = f"c{self.count}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind, inputs, output=None, **attributes):
        self.count += 1
        output = output or f"v{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def heads(self, evidence):
        """evidence [1,4,V], column 0 voice without a word: writes log_probs and voice."""
        mask, blank = np.ones(V, np.float32), np.zeros(V, np.float32)
        mask[0], blank[0] = 0, BLANK_LOGIT
        words = self.add("Mul", [evidence, self.constant(mask)])
        self.add("LogSoftmax", [self.add("Add", [words, self.constant(blank)])], "log_probs", axis=-1)
        loudest = self.add("ReduceMax", [evidence], axes=[2], keepdims=0)
        self.add("Sigmoid", [self.add("Sub", [loudest, self.constant(np.float32(BLANK_LOGIT))])], "voice")

    def counted(self):
        self.add("Add", ["state_seen", self.constant(np.ones((1, 1), np.float32))], "next_seen")

    def agreement(self, evidence):
        """Words at the corners of a simplex: two are as far apart as they can be, so that lips that
        say something else agree with a voice by chance only, and then seldom.
        """
        corners, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(64, V + 1)))
        projection = (np.eye(V) - 1 / V) @ corners[:, :V].T
        projected = self.add("MatMul", [evidence, self.constant(projection.astype(np.float32))])
        never_zero = self.constant((0.1 * corners[:, V]).astype(np.float32))
        shifted = self.add("Add", [projected, never_zero])
        self.add("LpNormalization", [shifted], "agreement", axis=-1, p=2)

    def save(self, path, inputs, outputs, tokens=TOKENS, **metadata):
        def value(name, shape, kind=TensorProto.FLOAT):
            return helper.make_tensor_value_info(name, kind, shape)

        kinds = {"mouths": TensorProto.UINT8}
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [
                value(n, s, kinds.get(n, TensorProto.FLOAT))
                for n, s in {**inputs, "state_seen": [1, 1]}.items()
            ],
            [value(n, s) for n, s in {**outputs, "next_seen": [1, 1]}.items()],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if tokens is not None:
            metadata["tokens"] = json.dumps(tokens)
        helper.set_model_props(model, {k: str(v) for k, v in metadata.items()})
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


ENCODED = {"log_probs": [1, 4, V], "voice": [1, 4], "encoding": [1, 4, V], "agreement": [1, 4, 64]}


def write_audio(path, **metadata):
    g = _Graph()
    rows = g.add("Reshape", ["features", g.constant(np.array([1, 4, 4, 80], np.int64))])
    pooled = g.add("ReduceMean", [rows], axes=[2], keepdims=0)
    heard = g.add("Relu", [g.add("MatMul", [pooled, g.constant(8 * _bands())])])
    g.heads(heard)
    g.add("Identity", [heard], "encoding")
    g.agreement(heard)
    g.counted()
    g.save(path, {"features": [1, 16, 80]}, ENCODED, **metadata)


def write_video(path, **metadata):
    g = _Graph()
    grey = g.add("ReduceMean", [g.add("Cast", ["mouths"], to=TensorProto.FLOAT)], axes=[2, 3], keepdims=0)
    column = g.add("Unsqueeze", [grey, g.constant(np.array([2], np.int64))])
    off = g.add("Abs", [g.add("Sub", [column, g.constant(np.array(GREY, np.float32))])])
    near = g.add("Relu", [g.add("Sub", [g.constant(np.full(V, 10, np.float32)), off])])
    there = g.add("Sign", [g.add("Unsqueeze", ["valid", g.constant(np.array([2], np.int64))])])
    seen = g.add("Mul", [near, there])
    g.heads(seen)
    g.add("Identity", [seen], "encoding")
    g.agreement(seen)
    g.counted()
    g.save(path, {"mouths": [1, 4, 88, 88], "valid": [1, 4]}, ENCODED, **metadata)


def write_fusion(path, frames=4, **metadata):
    g = _Graph()
    last = g.constant(np.array([2], np.int64))
    valid = [g.add("Unsqueeze", [name, last]) for name in ("audio_valid", "video_valid")]
    g.add("Concat", valid, "reliability", axis=2)
    both = [
        g.add("Mul", [name, g.add("Sign", [v])]) for name, v in zip(("audio", "video"), valid, strict=True)
    ]
    g.heads(g.add("Add", both))
    g.counted()
    wide, flat = [1, frames, V], [1, frames]
    g.save(
        path,
        {"audio": wide, "video": wide, "audio_valid": flat, "video_valid": flat},
        {"log_probs": wide, "voice": flat, "reliability": [1, frames, 2]},
        **metadata,
    )


def write_engines(folder: Path) -> Path:
    write_audio(folder / "audio.onnx")
    write_video(folder / "video.onnx")
    write_fusion(folder / "fusion.onnx")
    return folder
