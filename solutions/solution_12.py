"""Step 12: text, one token after the other.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.
"""

from typing import Protocol

import numpy as np
from max.experimental import functional as F
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config


class LanguageModel(Protocol):
    """Any callable [B, T] int64 -> [B, T, V] that carries its config; no class to inherit from."""

    config: GPT2Config

    def __call__(self, input_ids: Tensor, /) -> Tensor: ...


class Tokenizer(Protocol):
    """What turns text into token ids and back."""

    def encode(self, text: str, /) -> list[int]: ...
    def decode(self, token_ids: list[int], /) -> str: ...


def generate_next_token(
    model: LanguageModel,
    input_ids: Tensor,
    temperature: float = 1.0,
    do_sample: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """The next token of each row: the most likely, or drawn from softmax(logits / temperature).

    Shape: [B, T] -> [B, 1] int64. Raises ValueError for a temperature below 0 or NaN.
    """
    # Refuse a temperature below 0; write it so that NaN is refused as well.
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 or more, but is {temperature}")
    # Show the model the last n_positions tokens, and keep the logits of the last position.
    start = max(0, int(input_ids.shape[1]) - model.config.n_positions)
    logits = model(input_ids[:, start:]).to_numpy()[:, -1]  # [B, T, V] -> [B, V]
    # Take the most likely token when not sampling, or when the temperature is 0.
    if not do_sample or temperature == 0:
        next_ids = logits.argmax(axis=-1)
    # Otherwise subtract the maximum of each row, so that no exp overflows, and draw one token a row
    # from the softmax of logits / temperature, in float64, so that it sums to 1 to many digits.
    else:
        rng = rng or np.random.default_rng()
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
        weights = np.exp(shifted / temperature)
        probabilities = weights / weights.sum(axis=-1, keepdims=True)
        next_ids = np.array([rng.choice(row.size, p=row) for row in probabilities])
    # Return the ids as a column, on the device of input_ids.
    return Tensor.from_dlpack(next_ids.astype(np.int64)[:, None]).to(input_ids.device)


def generate_tokens(
    model: LanguageModel,
    input_ids: Tensor,
    max_new_tokens: int = 10,
    temperature: float = 1.0,
    do_sample: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """The prompt and max_new_tokens more, the prompt itself unchanged.

    Shape: [B, T] -> [B, T + max_new_tokens] int64.
    """
    # Make one generator for all tokens, if none is given.
    rng = rng or np.random.default_rng()
    # Append the next token to what there is, again and again.
    for _ in range(max_new_tokens):
        next_token = generate_next_token(model, input_ids, temperature, do_sample, rng=rng)
        input_ids = F.concat([input_ids, next_token], axis=1)  # [B, T] -> [B, T + 1]
    return input_ids


def generate_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    max_new_tokens: int = 50,
    temperature: float = 1.0,
    do_sample: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> str:
    """The prompt and what the model writes after it."""
    # Encode the prompt as a batch of one row.
    input_ids = Tensor.from_dlpack(np.array([tokenizer.encode(prompt)], dtype=np.int64))
    # Generate, and decode that row.
    output_ids = generate_tokens(model, input_ids, max_new_tokens, temperature, do_sample, rng=rng)
    return tokenizer.decode(output_ids.to_numpy()[0].tolist())
