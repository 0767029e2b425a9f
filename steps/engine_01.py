"""Engine 01: compiled heads, so that a token costs one call of one graph.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e1   or   uv run tutor book e1
Check:   pixi run e01   or   uv run tutor check e1

Source: Maddison et al., "A* Sampling", section 2, for the Gumbel-max trick.
"""

from collections.abc import Callable

import numpy as np
from max.driver import CPU, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor, TensorType
from numpy.typing import NDArray

from steps.step_10 import MaxGPT2LMHeadModel
from steps.step_12 import Tokenizer

Head = Callable[..., Tensor]  # compiled: [B, T] -> [B], or [B, T], [] -> [B, V]


def _last_logits(model: MaxGPT2LMHeadModel, input_ids: Tensor) -> Tensor:
    """The logits after the last position alone, in float32. Shape: [B, T] int64 -> [B, V]."""
    # TODO: Take the last position before lm_head, which need not score the others; cast to float32.
    raise NotImplementedError("engine 01: _last_logits")


class GPT2GreedyHead(Module[[Tensor], Tensor]):
    """The most likely next token. Shape: [B, T] int64 -> [B] int64."""

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # TODO: Keep the model; the head has no weights of its own.
        raise NotImplementedError("engine 01: GPT2GreedyHead.__init__")

    def forward(self, input_ids: Tensor) -> Tensor:
        # TODO: Take the argmax of the last logits; F.argmax keeps the axis, which has to go.
        raise NotImplementedError("engine 01: GPT2GreedyHead.forward")


class GPT2SamplingHead(Module[[Tensor, Tensor], Tensor]):
    """log(softmax(logits / temperature)), float32. Shape: [B, T] int64, [] float32 -> [B, V]."""

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # TODO: Keep the model; the head has no weights of its own.
        raise NotImplementedError("engine 01: GPT2SamplingHead.__init__")

    def forward(self, input_ids: Tensor, temperature: Tensor) -> Tensor:
        # TODO: Take the log-softmax of the last logits / temperature.
        raise NotImplementedError("engine 01: GPT2SamplingHead.forward")


def compile_heads(model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> tuple[Head, Head]:
    """The sampling head and the greedy head, each compiled once, for any batch and length."""
    # TODO: Describe the inputs: the ids with symbols for sizes, so that one graph serves every
    #   length.
    # TODO: Compile both heads.
    raise NotImplementedError("engine 01: compile_heads")


def gumbel_sample(log_probs: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """A token for every row, drawn with these probabilities. Shape: [B, V] -> [B]."""
    # TODO: Add Gumbel noise to each number; the place of the largest sum is a draw from the
    #   softmax.
    raise NotImplementedError("engine 01: gumbel_sample")


def generate_text(
    sampler: Head,
    greedy: Head,
    tokenizer: Tokenizer,
    prompt: str,
    max_new_tokens: int = 50,
    temperature: float = 1.0,
    do_sample: bool = True,
    *,
    n_positions: int = 1024,
    seed: int = 0,
) -> str:
    """The prompt and what the heads add. Raises ValueError for a temperature below 0 or NaN."""
    # TODO: Refuse a temperature below 0; write it so that NaN is refused as well.
    # TODO: Make one generator from the seed, and a tensor for the temperature without running an
    #   eager operation.
    # TODO: Keep the ids in NumPy: to append to a tensor would be an eager operation, too.
    # TODO: Show the last n_positions tokens to the greedy head at temperature 0 or when not
    #   sampling; otherwise to the sampling head, and draw from what it returns.
    raise NotImplementedError("engine 01: generate_text")
