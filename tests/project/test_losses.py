"""The loss that the book tries things out with."""

import math

import numpy as np
import pytest
from max.experimental.tensor import Tensor

from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.losses import loss
from tutor.engine.tokenizer import load_tokenizer

TEXT = "Once upon a time there was a king."
SIZE = 4096


def scores(right: float) -> float:
    """The loss of a model whose logits are 1000, and more for the token that comes."""
    ids = load_tokenizer(BUNDLED_MODEL).encode(TEXT)

    def model(given: Tensor) -> Tensor:
        assert given.to_numpy().tolist() == [ids]
        logits = np.full([1, len(ids), SIZE], 1000, dtype=np.float32)
        logits[0, range(len(ids) - 1), ids[1:]] += right
        return Tensor.from_dlpack(logits)

    return loss(model, TEXT)


@pytest.mark.parametrize("right", [0.0, 3.0, -2.0])
def test_a_loss_is_the_mean_of_minus_log_p(right: float) -> None:
    assert math.isclose(scores(right), math.log(SIZE - 1 + math.exp(right)) - right)
