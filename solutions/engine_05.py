"""Engine 05: speculative decoding, which writes the same text in fewer passes of the model.

Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding"; Daliri et
al., "Coupling without Communication and Drafter-Invariant Speculative Decoding", for drawing guess
and token with the same noise; Saxena, "Prompt Lookup Decoding", for LookupDraft.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from solutions.engine_02 import Sampling, Tokens, choose
from solutions.engine_03 import Floats, NextToken, slide
from solutions.engine_04 import CachedModel

START = np.zeros(1, np.int64)  # [B], of the only row


class Draft(Protocol):
    """Guesses up to `count` tokens after ids [T]; rng is the generator that will draw them."""

    def __call__(
        self, ids: Tokens, count: int, sampling: Sampling, rng: np.random.Generator, /
    ) -> Tokens: ...


class ModelDraft:
    """The guesses of a faster model, such as the same one with four-bit weights."""

    def __init__(self, model: NextToken) -> None:
        # Keep the model.
        self.model = model

    def __call__(
        self, ids: Tokens, count: int, sampling: Sampling, rng: np.random.Generator, /
    ) -> Tokens:
        # Choose `count` tokens, one after the other, with a deep copy of the generator: each guess
        # is then drawn with the noise of the token that it stands for, and uses none of it up.
        rng, length = copy.deepcopy(rng), len(ids)
        for _ in range(count):
            ids = np.append(ids, choose(self.model(ids[None], START), sampling, [rng]))
        return ids[length:]


class LookupDraft:
    """What followed the last few tokens where they stood before in the text; needs no model."""

    def __init__(self, longest: int = 3) -> None:
        # Keep the number of tokens to look for, at most.
        self.longest = longest

    def __call__(self, ids: Tokens, count: int, /, *_: object) -> Tokens:
        # Look for an earlier place of the last `longest` tokens, or of fewer if there is none; if
        # there are several, take the latest. Guess the tokens that follow there, or nothing.
        for size in range(min(self.longest, len(ids) - 1), 0, -1):
            earlier = np.lib.stride_tricks.sliding_window_view(ids[:-1], size)
            places = np.flatnonzero((earlier == ids[-size:]).all(axis=1))
            if places.size:
                return ids[places[-1] + size :][:count]
        return ids[:0]


def verify(logits: Floats, guesses: Tokens, sampling: Sampling, rng: np.random.Generator) -> Tokens:
    """The tokens that the model chooses, as long as each guess before them is right.

    Shape: the logits before and after each guess [N + 1, V], [N] -> [1 to N + 1].
    """
    # Choose a token from one row of logits after the other; there is one for each guess, and one
    # more. Stop after the first token that is not the guess: all rows after it belong to a text
    # that the model would not have written.
    tokens: list[int] = []
    for row, guess in zip(logits[:, None], [*guesses, None], strict=True):  # [N + 1, V] -> [1, V]
        tokens.append(int(choose(row, sampling, [rng])[0]))
        if tokens[-1] != guess:
            break
    return np.array(tokens)


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
    # Make one generator, which draws all tokens.
    rng, ids = np.random.default_rng(seed), np.array(prompt, dtype=np.int64)
    left, limit = max_new_tokens, model.config.n_positions
    while left > 0:
        # Let the row slide. Ask for `count` guesses, but no more than the row has room for, and
        # fewer than there are tokens left to write: the model adds one of its own.
        ids = slide(ids[None], START, limit)[0][0]
        guesses = draft(ids, min(count, left - 1, limit - len(ids)), sampling, rng)
        # Show the model the text and the guesses. In one pass it scores what comes after the text
        # and after each guess. Verify the guesses with these logits.
        shown = np.append(ids, guesses)[None]
        logits = model.score(shown, START, len(guesses) + 1)[0]
        tokens = verify(logits, guesses, sampling, rng)
        # Yield the tokens, and end after the stop. Append them to the text, but no guess: the cache
        # of engine 04 finds by itself which of its columns are still right.
        for token in tokens.tolist():
            yield token
            if token == stop:
                return
        ids, left = np.append(ids, tokens), left - len(tokens)
