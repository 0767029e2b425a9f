"""Engine 05: speculative decoding, which writes the same text in fewer passes of the model.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e5   or   uv run tutor book e5
Check:   pixi run e05   or   uv run tutor check e5

Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding"; Daliri et
al., "Coupling without Communication and Drafter-Invariant Speculative Decoding", for drawing guess
and token with the same noise; Saxena, "Prompt Lookup Decoding", for LookupDraft.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from steps.engine_02 import Sampling, Tokens, choose
from steps.engine_03 import Floats, NextToken, slide
from steps.engine_04 import CachedModel

START = np.zeros(1, np.int64)  # [B], of the only row


class Draft(Protocol):
    """Guesses up to `count` tokens after ids [T]; rng is the generator that will draw them."""

    def __call__(
        self, ids: Tokens, count: int, sampling: Sampling, rng: np.random.Generator, /
    ) -> Tokens: ...


class ModelDraft:
    """The guesses of a faster model, such as the same one with four-bit weights."""

    def __init__(self, model: NextToken) -> None:
        # TODO: Keep the model.
        raise NotImplementedError("engine 05: ModelDraft.__init__")

    def __call__(
        self, ids: Tokens, count: int, sampling: Sampling, rng: np.random.Generator, /
    ) -> Tokens:
        # TODO: Choose `count` tokens, one after the other, with a deep copy of the generator: each
        #   guess is then drawn with the noise of the token that it stands for, and uses none of it
        #   up.
        raise NotImplementedError("engine 05: ModelDraft.__call__")


class LookupDraft:
    """What followed the last few tokens where they stood before in the text; needs no model."""

    def __init__(self, longest: int = 3) -> None:
        # TODO: Keep the number of tokens to look for, at most.
        raise NotImplementedError("engine 05: LookupDraft.__init__")

    def __call__(self, ids: Tokens, count: int, /, *_: object) -> Tokens:
        # TODO: Look for an earlier place of the last `longest` tokens, or of fewer if there is
        #   none; if there are several, take the latest. Guess the tokens that follow there, or
        #   nothing.
        raise NotImplementedError("engine 05: LookupDraft.__call__")


def verify(logits: Floats, guesses: Tokens, sampling: Sampling, rng: np.random.Generator) -> Tokens:
    """The tokens that the model chooses, as long as each guess before them is right.

    Shape: the logits before and after each guess [N + 1, V], [N] -> [1 to N + 1].
    """
    # TODO: Choose a token from one row of logits after the other; there is one for each guess, and
    #   one more. Stop after the first token that is not the guess: all rows after it belong to a
    #   text that the model would not have written.
    raise NotImplementedError("engine 05: verify")


def stream_speculative(
    model: CachedModel,
    draft: Draft,
    prompt: Sequence[int],
    max_new_tokens: int = 50,
    sampling: Sampling = Sampling(),
    *,
    count: int = 4,
    seed: int = 0,
    stop: int | None = None,
) -> Iterator[int]:
    """Yield the next tokens of one row, those of stream_tokens with this seed, up to `stop`."""
    # TODO: Make one generator, which draws all tokens.
    # TODO: Let the row slide. Ask for `count` guesses, but no more than the row has room for, and
    #   fewer than there are tokens left to write: the model adds one of its own.
    # TODO: Show the model the text and the guesses. In one pass it scores what comes after the text
    #   and after each guess. Verify the guesses with these logits.
    # TODO: Yield the tokens, and end after the stop. Append them to the text, but no guess: the
    #   cache of engine 04 finds by itself which of its columns are still right.
    raise NotImplementedError("engine 05: stream_speculative")
