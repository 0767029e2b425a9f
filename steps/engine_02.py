"""Engine 02: sampling strategies, which cut off unlikely tokens before one is drawn.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e2   or   uv run tutor book e2
Check:   pixi run e02   or   uv run tutor check e2

Source: Fan et al., "Hierarchical Neural Story Generation", section 5.1, for top-k; Holtzman et
al., "The Curious Case of Neural Text Degeneration", section 3.1, for top-p.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn: from softmax(logits / temperature), cut to top-k, then to top-p.

    A temperature of 0 is greedy; a top_k of None and a top_p of 1 keep all tokens.
    Raises ValueError, naming field and value, for an impossible setting.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        # TODO: Refuse a temperature that is below 0 or infinite, a top_k below 1, and a top_p that
        #   is not above 0 and at most 1; write each test so that it refuses NaN as well.
        raise NotImplementedError("engine 02: Sampling.__post_init__")


def probabilities(logits: NDArray[np.floating], sampling: Sampling) -> NDArray[np.float64]:
    """The probability of each token: 0 if it was cut; each row sums to 1.

    Shape: [B, V] -> [B, V].
    """
    # TODO: Subtract from the logits the maximum of their row, and compute the softmax of the result
    #   divided by the temperature, all in float64.
    # TODO: If there is a smaller top_k, find the top_k-th largest of each row, set what is less to
    #   0, and divide each row by its sum again. np.partition is as good as a sort here, and faster.
    # TODO: If top_p is below 1, sort a copy of each row, the most likely token first. A token stays
    #   if those before it sum to less than top_p, so the one that crosses top_p stays. Count them,
    #   set what is less than the last of them to 0, and divide each row by its sum.
    raise NotImplementedError("engine 02: probabilities")


def choose(
    logits: NDArray[np.floating], sampling: Sampling, rngs: Sequence[np.random.Generator]
) -> Tokens:
    """A token for every row, drawn with the generator of that row. Shape: [B, V] -> [B]."""
    # TODO: At temperature 0, take the most likely token.
    # TODO: Otherwise draw each row by itself, so that it does not matter which rows are beside it:
    #   divide its probabilities by as many draws of rng.standard_exponential, and take the place of
    #   the largest. That is the Gumbel trick of engine 01 without its logarithms.
    raise NotImplementedError("engine 02: choose")
