"""Small files of random weights in exactly the layout of a sherpa-onnx streaming Zipformer release.

Names, shapes, order and metadata are those of icefall's export scripts: of
``pruned_transducer_stateless7_streaming`` for the first kind of Zipformer, of ``zipformer`` for the second.
What lies between is a stand-in in which every state tensor is used and changes, so that a state that is lost,
mixed up or kept over a reset changes the result.
"""

import numpy as np
import onnx
from onnx import TensorProto as Kind
from onnx import helper, numpy_helper

T, MOVE, BANDS, FRAMES = 39, 32, 80, 8
WIDTH, CONTEXT = 24, 2
KINDS = ("zipformer", "zipformer2")
# Of each stack: layers, left context, width, attention, kernel.
STACKS = [(2, 16, 20, 8, 7), (1, 8, 12, 8, 5)]
TOKENS = ["<blk>", "<sos/eos>", "<unk>"] + [
    begin + letter * count for count in (1, 2) for letter in "ABCDEFGH" for begin in ("\u2581", "")
]
RELEASE = "sherpa-onnx-streaming-zipformer-en-20M-2023-02-17"


def write_release(folder, seed=7, kind="zipformer"):
    """The files of an unpacked release: encoder and joiner also in int8, as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in (
        ("encoder", _encoder(rng, kind)),
        ("decoder", _decoder(rng)),
        ("joiner", _joiner(rng)),
    ):
        path = folder / f"{name}-epoch-99-avg-1.onnx"
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        if name != "decoder":
            small = path.with_name(f"{path.stem}.int8.onnx")
            quantize_dynamic(path, small, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
    lines = [f"{token} {number}" for number, token in enumerate(TOKENS)]
    (folder / "tokens.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def state_shapes(kind):
    """name -> (dtype, shape with N for the batch), in the published order."""
    return _states_of_the_second() if kind == "zipformer2" else _states_of_the_first()


def _states_of_the_second():
    shapes, number = {}, 0
    for layers, left, width, attention, kernel in STACKS:
        for _ in range(layers):
            for name, shape in {
                "cached_key": [left, "N", attention],
                "cached_nonlin_attn": [1, "N", left, 3 * width // 4],
                "cached_val1": [left, "N", attention],
                "cached_val2": [left, "N", attention],
                "cached_conv1": ["N", width, kernel // 2],
                "cached_conv2": ["N", width, kernel // 2],
            }.items():
                shapes[f"{name}_{number}"] = (Kind.FLOAT, shape)
            number += 1
    shapes["embed_states"] = (Kind.FLOAT, ["N", 128, 3, 19])
    shapes["processed_lens"] = (Kind.INT64, ["N"])
    return shapes


def _states_of_the_first():
    shapes = {}
    for i, (layers, *_) in enumerate(STACKS):
        shapes[f"cached_len_{i}"] = (Kind.INT64, [layers, "N"])
    for i, (layers, _, width, _, _) in enumerate(STACKS):
        shapes[f"cached_avg_{i}"] = (Kind.FLOAT, [layers, "N", width])
    for name, share in (("key", 1), ("val", 2), ("val2", 2)):
        for i, (layers, left, _, attention, _) in enumerate(STACKS):
            shapes[f"cached_{name}_{i}"] = (Kind.FLOAT, [layers, left, "N", attention // share])
    for name in ("conv1", "conv2"):
        for i, (layers, _, width, _, kernel) in enumerate(STACKS):
            shapes[f"cached_{name}_{i}"] = (Kind.FLOAT, [layers, "N", width, kernel - 1])
    return shapes


class _Graph:
    def __init__(self, rng):
        self.rng, self.nodes, self.weights = rng, [], []

    def weight(self, *shape, scale=1.0):
        return self.constant(self.rng.normal(0, scale, shape).astype(np.float32))

    def constant(self, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def add(self, kind, *inputs, name="", **attributes):
        name = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def model(self, inputs, outputs, metadata):
        graph = helper.make_graph(self.nodes, "g", _values(inputs), _values(outputs), self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        helper.set_model_props(made, {key: str(value) for key, value in metadata.items()})
        return made


def _values(described):
    return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in described.items()]


def _encoder(rng, model_type):
    g, states = _Graph(rng), state_shapes(model_type)
    moved = g.add("Slice", "x", g.constant([T - MOVE]), g.constant([T]), g.constant([1]))
    folded = g.add("Reshape", moved, g.constant([-1, FRAMES, MOVE // FRAMES * BANDS]))
    hidden = g.add("MatMul", folded, g.weight(MOVE // FRAMES * BANDS, WIDTH, scale=0.02))
    mean = g.add("ReduceMean", hidden, axes=[1, 2], keepdims=0)  # [N]
    new = {}
    for name, (kind, shape) in states.items():
        batch = shape.index("N")
        value = name
        if kind == Kind.INT64:
            new[f"new_{name}"] = (kind, shape)
            g.add("Add", name, g.constant(np.int64(FRAMES)), name=f"new_{name}")
            value = g.add("Mul", g.add("Cast", name, to=Kind.FLOAT), g.constant(np.float32(0.01)))
        others = [axis for axis in range(len(shape)) if axis != batch]
        told = g.add("ReduceMean", value, axes=others, keepdims=0) if others else value  # [N]
        told = g.add("Reshape", told, g.constant([-1, 1, 1]))
        hidden = g.add("Add", hidden, g.add("Mul", told, g.weight(WIDTH, scale=3.0)))
        if kind == Kind.FLOAT:
            spread = g.add(
                "Reshape", mean, g.constant([-1 if axis == batch else 1 for axis in range(len(shape))])
            )
            fresh = g.add("Mul", spread, g.weight(*(1 if n == "N" else n for n in shape)))
            g.add("Add", g.add("Mul", name, g.constant(np.float32(0.7))), fresh, name=f"new_{name}")
            new[f"new_{name}"] = (kind, shape)
    g.add("Tanh", hidden, name="encoder_out")
    layers, left, widths, attention, kernels = (
        ",".join(map(str, column)) for column in zip(*STACKS, strict=True)
    )
    metadata = {
        "model_type": model_type,
        "version": 1,
        "model_author": "k2-fsa",
        "decode_chunk_len": MOVE,
        "T": T,
        "num_encoder_layers": layers,
        "encoder_dims": widths,
        "attention_dims": attention,
        "cnn_module_kernels": kernels,
        "left_context_len": left,
    }
    if model_type == "zipformer2":
        heads = ",".join("2" for _ in STACKS)
        each = ",".join(str(stack[3] // 2) for stack in STACKS)
        metadata |= {"num_heads": heads, "query_head_dims": each, "value_head_dims": each}
    ordered = {f"new_{name}": new[f"new_{name}"] for name in states}
    inputs = {"x": (Kind.FLOAT, ["N", T, BANDS]), **states}
    return g.model(inputs, {"encoder_out": (Kind.FLOAT, ["N", FRAMES, WIDTH]), **ordered}, metadata)


def _decoder(rng):
    """As icefall's: an embedding of the last tokens, negative ones empty, and a convolution over them."""
    g = _Graph(rng)
    there = g.add("Not", g.add("Less", "y", g.constant(np.int64(0))))
    row = g.add("Gather", g.weight(len(TOKENS), WIDTH), g.add("Max", "y", g.constant(np.int64(0))))
    mask = g.add("Unsqueeze", g.add("Cast", there, to=Kind.FLOAT), g.constant([2]))
    mixed = g.add("Mul", g.add("Mul", row, mask), g.weight(CONTEXT, WIDTH))
    summed = g.add("ReduceSum", mixed, g.constant([1]), keepdims=0)
    g.add("MatMul", g.add("Relu", summed), g.weight(WIDTH, WIDTH, scale=0.3), name="decoder_out")
    metadata = {"context_size": CONTEXT, "vocab_size": len(TOKENS)}
    return g.model({"y": (Kind.INT64, ["N", CONTEXT])}, {"decoder_out": (Kind.FLOAT, ["N", WIDTH])}, metadata)


def _joiner(rng):
    g = _Graph(rng)
    both = g.add("Tanh", g.add("Add", "encoder_out", "decoder_out"))
    bias = np.zeros(len(TOKENS), np.float32)
    bias[:3] = 2.0, -4.0, -1.0  # blank, a mark that is never said, and what is not known
    g.add("Add", g.add("MatMul", both, g.weight(WIDTH, len(TOKENS))), g.constant(bias), name="logit")
    halves = {name: (Kind.FLOAT, ["N", WIDTH]) for name in ("encoder_out", "decoder_out")}
    return g.model(halves, {"logit": (Kind.FLOAT, ["N", len(TOKENS)])}, {"joiner_dim": WIDTH})


def sound(seed, seconds=6):
    """float32, 16 kHz: three gliding tones that swell, and noise."""
    rng, t = np.random.default_rng(seed), np.arange(16_000 * seconds) / 16_000
    tones = [(220, 0.7, 0.2), (900, 1.3, 0.1), (2500, 0.4, 0.08)]
    mixed = sum(a * np.sin(2 * np.pi * (f + 30 * np.sin(2 * np.pi * g * t)) * t) for f, g, a in tones)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 2.1 * t)
    return (mixed * swell + rng.normal(0, 0.02, len(t))).astype(np.float32)
