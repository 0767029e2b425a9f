"""Step 12: text, one token after the other.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 12   or   uv run tutor book 12
Check:   pixi run s12   or   uv run tutor check 12

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.
"""

from typing import Protocol

import numpy as np
from max.experimental import functional as F
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config


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
    # TODO: Refuse a temperature below 0; write it so that NaN is refused as well.
    # TODO: Show the model the last n_positions tokens, and keep the logits of the last position.
    # TODO: Take the most likely token when not sampling, or when the temperature is 0.
    # TODO: Otherwise subtract the maximum of each row, so that no exp overflows, and draw one token
    #   a row from the softmax of logits / temperature, in float64, so that it sums to 1 to many
    #   digits.
    # TODO: Return the ids as a column, on the device of input_ids.
    raise NotImplementedError("step 12: generate_next_token")


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
    # TODO: Make one generator for all tokens, if none is given.
    # TODO: Append the next token to what there is, again and again.
    raise NotImplementedError("step 12: generate_tokens")


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
    # TODO: Encode the prompt as a batch of one row.
    # TODO: Generate, and decode that row.
    raise NotImplementedError("step 12: generate_text")
