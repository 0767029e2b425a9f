"""Engine 02: sampling strategies, which cut off unlikely tokens before one is drawn.

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
        # Refuse a temperature that is below 0 or infinite, a top_k below 1, and a top_p that is
        # not above 0 and at most 1; write each test so that it refuses NaN as well.
        if not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"temperature must be 0 or more, and finite, but is {self.temperature}"
            )
        if self.top_k is not None and not self.top_k >= 1:
            raise ValueError(f"top_k must be 1 or more, but is {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, but is {self.top_p}")


def probabilities(logits: NDArray[np.floating], sampling: Sampling) -> NDArray[np.float64]:
    """The probability of each token: 0 if it was cut; each row sums to 1.

    Shape: [B, V] -> [B, V].
    """
    # Subtract from the logits the maximum of their row, and compute the softmax of the result
    # divided by the temperature, all in float64.
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted / sampling.temperature)
    weights /= weights.sum(axis=-1, keepdims=True)
    # If there is a smaller top_k, find the top_k-th largest of each row, set what is less to 0, and
    # divide each row by its sum again. np.partition is as good as a sort here, and faster.
    if sampling.top_k is not None and sampling.top_k < weights.shape[-1]:
        least = np.partition(weights, -sampling.top_k, axis=-1)[:, [-sampling.top_k]]
        weights[weights < least] = 0
        weights /= weights.sum(axis=-1, keepdims=True)
    # If top_p is below 1, sort a copy of each row, the most likely token first. A token stays if
    # those before it sum to less than top_p, so the one that crosses top_p stays. Count them, set
    # what is less than the last of them to 0, and divide each row by its sum.
    if sampling.top_p < 1:
        ranked = np.sort(weights, axis=-1)[:, ::-1]
        kept = (ranked.cumsum(axis=-1) - ranked < sampling.top_p).sum(axis=-1, keepdims=True)
        weights[weights < np.take_along_axis(ranked, kept - 1, axis=-1)] = 0
        weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def choose(
    logits: NDArray[np.floating], sampling: Sampling, rngs: Sequence[np.random.Generator]
) -> Tokens:
    """A token for every row, drawn with the generator of that row. Shape: [B, V] -> [B]."""
    # At temperature 0, take the most likely token.
    if sampling.temperature == 0:
        return logits.argmax(axis=-1)
    # Otherwise draw each row by itself, so that it does not matter which rows are beside it: divide
    # its probabilities by as many draws of rng.standard_exponential, and take the place of the
    # largest. That is the Gumbel trick of engine 01 without its logarithms.
    rows = zip(probabilities(logits, sampling), rngs, strict=True)
    return np.array([(row / rng.standard_exponential(row.size)).argmax() for row, rng in rows])
