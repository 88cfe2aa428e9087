"""A streaming Zipformer transducer as sherpa-onnx releases it: three ONNX files and a list of tokens.

Yao et al., Zipformer: a faster and better encoder for automatic speech recognition (ICLR 2024), and its
predecessor in icefall, ``pruned_transducer_stateless7_streaming``; both are exported in this layout:

- encoder: ``x`` float32 [N, T, 80] and the state (``cached_...``, zeros at first) to ``encoder_out``
  [N, F, D] and the state in the same order (``new_cached_...``).  Its metadata has ``T`` and
  ``decode_chunk_len``: it is shown T frames of features and moves on by that many.  Each of its F frames
  stands for 40 ms.
- decoder: ``y`` int64 [N, context] the last tokens, to ``decoder_out`` [N, D].
- joiner: ``encoder_out``, ``decoder_out`` [N, D], to ``logit`` [N, tokens].
- tokens.txt: a token and its number a line; 0 is the blank, a token that begins with ``▁`` begins a word.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import ModelError
from engines.net import Net
from engines.speech.fbank import BANDS, Fbank

Float = NDArray[Any]

FRAME_FEATURES = 4  # of 10 ms in a frame of the encoder


class Zipformer:
    """``encode`` sound as it comes; ``predict`` and ``join`` are for the search (see ``transducer``).

    tokens: by number.  context: tokens that ``predict`` looks back at.
    Raises ModelError where a file is missing, is not what its name says, or does not go with the others.
    """

    def __init__(self, encoder: Path, decoder: Path, joiner: Path, tokens: Path) -> None:
        self._encoder, self._decoder, self._joiner = Net(encoder), Net(decoder), Net(joiner)
        self._look, self._move = self._encoder.number("T"), self._encoder.number("decode_chunk_len")
        self.context = self._decoder.number("context_size")
        self.tokens = read_tokens(tokens)
        if not 0 < self._move <= self._look or self._move % FRAME_FEATURES:
            raise ModelError(
                f"{encoder}: moves by {self._move} of {self._look} frames; another model's export"
            )
        self._encoder.expect(["x"], ["encoder_out"])
        self._decoder.expect(["y"], ["decoder_out"])
        self._joiner.expect(["encoder_out", "decoder_out"], ["logit"])
        state = [name for name in self._encoder.inputs if name != "x"]
        if len(self._encoder.outputs) != len(state) + 1:
            raise ModelError(f"{encoder}: gives another state than it takes; another model's export")
        self._zeros = {name: self._encoder.zeros(name) for name in state}
        self._fbank = Fbank()
        self.reset()
        self._try()

    def reset(self) -> None:
        """Forget the past, as before the first sample."""
        self._fbank.reset()
        self._features: Float = np.zeros((0, BANDS), np.float32)
        self._state = self._zeros

    def encode(self, samples: Float) -> Float:
        """samples: float32 [n], -1..1.  Returns float32 [k, D], the frames of 40 ms that are complete."""
        self._features = np.concatenate([self._features, self._fbank.push(samples)])
        frames = []
        while len(self._features) >= self._look:
            frames.append(self._step(self._features[None, : self._look]))
            self._features = self._features[self._move :]
        return np.concatenate(frames) if frames else np.zeros((0, self.width), np.float32)

    def predict(self, contexts: NDArray[np.int64]) -> Float:
        """contexts: int64 [n, context], the last tokens of each sequence.  Returns float32 [n, D]."""
        return self._decoder.run({"y": contexts})[0]

    def join(self, encodings: Float, predictions: Float) -> Float:
        """encodings, predictions: float32 [n, D].  Returns float32 [n, tokens]: log-probabilities."""
        logits = self._joiner.run({"encoder_out": encodings, "decoder_out": predictions})[0]
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def _step(self, features: Float) -> Float:
        encoding, *state = self._encoder.run({"x": features, **self._state})
        self._state = dict(zip(self._state, state, strict=True))
        return encoding[0]

    def _try(self) -> None:
        """One step through all three, so that what does not fit is told before any sound comes."""
        path = self._encoder.path
        encoding = self._step(np.zeros((1, self._look, BANDS), np.float32))
        frames, self.width = encoding.shape
        if frames != self._move // FRAME_FEATURES:
            raise ModelError(
                f"{path}: gives {frames} frames for {self._move} of features; another model's export"
            )
        if any(value.shape != self._zeros[name].shape for name, value in self._state.items()):
            raise ModelError(f"{path}: its state changes its shape; another model's export")
        scores = self.join(encoding[:1], self.predict(np.zeros((1, self.context), np.int64)))
        if scores.shape != (1, len(self.tokens)):
            raise ModelError(f"{self._joiner.path}: knows {scores.shape[-1]} tokens, not {len(self.tokens)}")
        self.reset()


def transducer_files(files: Iterable[Path]) -> tuple[Path, Path, Path, Path]:
    """encoder, decoder, joiner and tokens among the files of a release.

    Encoder and joiner in int8 where there are such; the decoder is small, and better left in float32, as
    sherpa-onnx advises.  Raises ModelError.
    """
    there = sorted(files)
    tokens = [file for file in there if file.name == "tokens.txt"]
    if not tokens:
        raise ModelError(f"{there[0].parent if there else 'an empty folder'}: has no tokens.txt; no release")
    return _one(there, "encoder", True), _one(there, "decoder", False), _one(there, "joiner", True), tokens[0]


def _one(files: list[Path], part: str, int8: bool) -> Path:
    named = [file for file in files if file.name.startswith(part) and file.suffix == ".onnx"]
    preferred = [file for file in named if file.name.endswith(".int8.onnx") == int8] or named
    if len(preferred) != 1:
        names = ", ".join(file.name for file in preferred) or "none"
        raise ModelError(f"{files[0].parent}: one {part}*.onnx is needed there, found {names}")
    return preferred[0]


def read_tokens(path: Path) -> list[str]:
    """The tokens by number.  Raises ModelError."""
    try:
        pairs = [
            line.rsplit(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
        tokens = {int(number): token for token, number in pairs}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; unpack the whole release") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a list of tokens and their numbers ({error})") from None
    if len(tokens) < 2 or len(tokens) != len(pairs) or sorted(tokens) != list(range(len(tokens))):
        raise ModelError(f"{path}: its numbers are not 0, 1, 2 and so on; restore the file")
    return [tokens[number] for number in range(len(tokens))]
