"""Text 02: learning merges, so that what is frequent in a text becomes a token.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read t2   or   uv run tutor book t2
Check:   pixi run t02   or   uv run tutor check t2

Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", algorithm 1.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from steps.text_01 import BPETokenizer, Pair, byte_letters, cut, join, spell, split

Piece = tuple[str, ...]


def count_pieces(text: str, special_tokens: Collection[str] = ()) -> Counter[Piece]:
    """How often a text has each piece, spelled in letters; special tokens are not counted."""
    # TODO: Cut the text, leave out the special tokens, split the other parts, and count the pieces
    #   as tuples of letters.
    raise NotImplementedError("text 02: count_pieces")


class _PairCounts:
    """The neighbours in pieces: how often each pair stands side by side, and in which pieces."""

    def __init__(self, pieces: Mapping[Piece, int]) -> None:
        # TODO: Keep the pieces as rows of tokens, and how often each occurs. Count the pairs of
        #   every piece, each as often as the text has it.
        raise NotImplementedError("text 02: _PairCounts.__init__")

    def add(self, number: int, times: int) -> None:
        """Count the pairs of the piece of this number so many times."""
        # TODO: Add the times at every place where two tokens are neighbours, and note that this
        #   piece has that pair.
        raise NotImplementedError("text 02: _PairCounts.add")

    def merge(self, pair: Pair) -> None:
        """Join a pair in all pieces that have it."""
        # TODO: Only in these do the counts change: take out the pairs from before, join, and add
        #   those from after.
        raise NotImplementedError("text 02: _PairCounts.merge")


def learn_merges(pieces: Mapping[Piece, int], count: int) -> list[Pair]:
    """The merges of the pairs that are most frequent, at most so many, in the order learned."""
    # TODO: Order the 256 letters by code point. That decides ties, and a new token goes behind
    #   them.
    # TODO: Merge the most frequent pair, and of several the one whose first token is the earliest
    #   in the order, then whose second is. Stop at count merges, or when no pair occurs twice.
    #   (_PairCounts is one way to do it quickly; counting anew after each merge is right as well.)
    raise NotImplementedError("text 02: learn_merges")


def make_vocabulary(merges: Sequence[Pair], special_tokens: Collection[str] = ()) -> dict[str, int]:
    """The id of each token: letters by code point, then what was merged, then special tokens."""
    # TODO: Number the tokens from 0, in this order; if two merges make the same token, it counts
    #   once.
    raise NotImplementedError("text 02: make_vocabulary")


def train_tokenizer(
    text: str, vocab_size: int, special_tokens: Collection[str] = ("<|endoftext|>",)
) -> BPETokenizer:
    """A tokenizer of the text's own with at most so many tokens.

    Raises ValueError, naming vocab_size, if it has no room for the letters and the special tokens.
    """
    # TODO: Learn as many merges as there is room for beside the 256 letters and the special tokens.
    raise NotImplementedError("text 02: train_tokenizer")
