"""The bundled model, for pictures of what it really says."""

import functools

import numpy as np
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.solution_10 import MaxGPT2LMHeadModel
from solutions.solution_11 import load_pretrained
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import Tokenizer, load_tokenizer


@functools.cache
def tokenizer() -> Tokenizer:
    return load_tokenizer(BUNDLED_MODEL)


@functools.cache
def model() -> MaxGPT2LMHeadModel:
    return load_pretrained(BUNDLED_MODEL)


def encode(text: str) -> NDArray[np.int64]:
    """The ids of a text. Shape: [T]."""
    return np.array(tokenizer().encode(text))


def word(token: int) -> str:
    """The text of a token, with the blank visible that most begin with."""
    return tokenizer().decode([int(token)]).replace(" ", "\N{OPEN BOX}")


def logits(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Shape: [T] -> [T, V]."""
    scores: NDArray[np.float32] = model()(Tensor.from_dlpack(ids[None])).to_numpy()[0]
    return scores


def go_on(text: str, count: int, n_positions: int = 256) -> NDArray[np.int64]:
    """The ids of a text and of the likeliest tokens after it. Shape: [T + count]."""
    ids = encode(text)
    for _ in range(count):
        ids = np.append(ids, logits(ids[-n_positions:])[-1].argmax())
    return ids


def weight(name: str) -> NDArray[np.float32]:
    """The table of an embedding of the model."""
    table: NDArray[np.float32] = getattr(model().transformer, name).weight.to_numpy()
    return table
