"""How much a text surprises a model: a number for experiments."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor

TALE = (
    "Once upon a time there lived a poor woodcutter with his wife and his two children at the "
    "edge of a great forest. One evening, when the children were asleep, the woman said to her "
    "husband: “We have nothing left to eat but half a loaf of bread. Tomorrow morning take the "
    "children into the forest, and leave them there.” But the boy had heard every word."
)


def loss(model: "Callable[[Tensor], Tensor]", text: str = TALE) -> float:
    """The mean of -log p over all tokens of a text except the first, in the bundled vocabulary.

    model: [B, T] int64 -> [B, T, V], logits.
    """
    from max.experimental.tensor import Tensor

    ids = np.array([load_tokenizer(BUNDLED_MODEL).encode(text)])
    logits = model(Tensor.from_dlpack(ids)).to_numpy()[0, :-1].astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    right = logits[range(len(logits)), ids[0, 1:]]
    return float((np.log(np.exp(logits).sum(axis=-1)) - right).mean())
