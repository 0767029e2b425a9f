"""The bundled model, for pictures of what it really says."""

import functools

import numpy as np
from max.experimental.nn import Linear
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.solution_10 import MaxGPT2LMHeadModel
from solutions.solution_11 import load_pretrained
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.quantization import BLOCK, pack
from tutor.engine.tokenizer import Tokenizer, load_tokenizer


@functools.cache
def tokenizer() -> Tokenizer:
    return load_tokenizer(BUNDLED_MODEL)


@functools.cache
def model() -> MaxGPT2LMHeadModel:
    return load_pretrained(BUNDLED_MODEL)


@functools.cache
def four_bit_model() -> MaxGPT2LMHeadModel:
    """The model with its weights rounded to what four bits can hold."""
    rounded = load_pretrained(BUNDLED_MODEL)
    for _, layer in rounded.descendants:
        if isinstance(layer, Linear):
            layer.weight = Tensor.from_dlpack(in_four_bits(layer.weight.to_numpy()))
    return rounded


def in_four_bits(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The numbers of a matrix once it has been packed."""
    blocks = pack(weight).reshape(-1, 2 + BLOCK // 2)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    whole = np.hstack([blocks[:, 2:] & 15, blocks[:, 2:] >> 4]).astype(np.float32) - 8
    return (scale * whole).reshape(weight.shape)


def encode(text: str) -> NDArray[np.int64]:
    """The ids of a text. Shape: [T]."""
    return np.array(tokenizer().encode(text))


def word(token: int) -> str:
    """The text of a token, with the blank visible that most begin with."""
    return tokenizer().decode([int(token)]).replace(" ", "\N{OPEN BOX}")


def logits(ids: NDArray[np.int64], of: MaxGPT2LMHeadModel | None = None) -> NDArray[np.float32]:
    """What the model, or another one, makes of ids. Shape: [T] -> [T, V]."""
    scores: NDArray[np.float32] = (of or model())(Tensor.from_dlpack(ids[None])).to_numpy()[0]
    return scores


def go_on(
    text: str, count: int, n_positions: int = 256, of: MaxGPT2LMHeadModel | None = None
) -> NDArray[np.int64]:
    """The ids of a text and of the likeliest tokens after it. Shape: [T + count]."""
    ids = encode(text)
    for _ in range(count):
        ids = np.append(ids, logits(ids[-n_positions:], of)[-1].argmax())
    return ids


def weight(name: str) -> NDArray[np.float32]:
    """The table of an embedding of the model."""
    table: NDArray[np.float32] = getattr(model().transformer, name).weight.to_numpy()
    return table
