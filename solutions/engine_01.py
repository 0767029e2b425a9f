"""Engine 01: compiled heads, so that a token costs one call of one graph.

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

from solutions.solution_10 import MaxGPT2LMHeadModel
from solutions.solution_12 import Tokenizer

Head = Callable[..., Tensor]  # compiled: [B, T] -> [B], or [B, T], [] -> [B, V]


def _last_logits(model: MaxGPT2LMHeadModel, input_ids: Tensor) -> Tensor:
    """The logits after the last position alone, in float32. Shape: [B, T] int64 -> [B, V]."""
    # Take the last position before lm_head, which need not score the others; cast to float32.
    last = model.transformer(input_ids)[:, -1]  # [B, T, C] -> [B, C]
    return model.lm_head(last).cast(DType.float32)


class GPT2GreedyHead(Module[[Tensor], Tensor]):
    """The most likely next token. Shape: [B, T] int64 -> [B] int64."""

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model; the head has no weights of its own.
        self.model = model

    def forward(self, input_ids: Tensor) -> Tensor:
        # Take the argmax of the last logits; F.argmax keeps the axis, which has to go.
        return F.argmax(_last_logits(self.model, input_ids)).squeeze(-1)  # [B, V] -> [B]


class GPT2SamplingHead(Module[[Tensor, Tensor], Tensor]):
    """log(softmax(logits / temperature)), float32. Shape: [B, T] int64, [] float32 -> [B, V]."""

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model; the head has no weights of its own.
        self.model = model

    def forward(self, input_ids: Tensor, temperature: Tensor) -> Tensor:
        # Take the log-softmax of the last logits / temperature.
        return F.logsoftmax(_last_logits(self.model, input_ids) / temperature)


def compile_heads(model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> tuple[Head, Head]:
    """The sampling head and the greedy head, each compiled once, for any batch and length."""
    # Describe the inputs: the ids with symbols for sizes, so that one graph serves every length.
    device = device or CPU()
    input_ids = TensorType(DType.int64, ["batch", "length"], device=device)
    temperature = TensorType(DType.float32, [], device=device)
    # Compile both heads.
    sampler = GPT2SamplingHead(model).compile(input_ids, temperature)
    return sampler, GPT2GreedyHead(model).compile(input_ids)


def gumbel_sample(log_probs: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """A token for every row, drawn with these probabilities. Shape: [B, V] -> [B]."""
    # Add Gumbel noise to each number; the place of the largest sum is a draw from the softmax.
    return (log_probs + rng.gumbel(size=log_probs.shape)).argmax(axis=-1)


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
    # Refuse a temperature below 0; write it so that NaN is refused as well.
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 or more, but is {temperature}")
    # Make one generator from the seed, and a tensor for the temperature without running an eager
    # operation.
    rng = np.random.default_rng(seed)
    divisor = Tensor.from_dlpack(np.array(temperature, dtype=np.float32))
    # Keep the ids in NumPy: to append to a tensor would be an eager operation, too.
    ids = np.array([tokenizer.encode(prompt)], dtype=np.int64)
    for _ in range(max_new_tokens):
        # Show the last n_positions tokens to the greedy head at temperature 0 or when not sampling;
        # otherwise to the sampling head, and draw from what it returns.
        window = Tensor.from_dlpack(np.ascontiguousarray(ids[:, -n_positions:]))
        if not do_sample or temperature == 0:
            next_ids = greedy(window).to_numpy()
        else:
            next_ids = gumbel_sample(sampler(window, divisor).to_numpy(), rng)
        ids = np.append(ids, next_ids[:, None], axis=1)  # [1, T] -> [1, T + 1]
    return tokenizer.decode(ids[0].tolist())
