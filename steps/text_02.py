"""Text 02: learning merges, which turns the frequent parts of a text into tokens.

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
    """How often each piece occurs in a text, spelled in letters; special tokens don't count."""
    # TODO: Cut the text, leave out the special tokens, split the other parts, and count the pieces
    #   as tuples of letters.
    raise NotImplementedError("text 02: count_pieces")


class _PairCounts:
    """The pairs of neighbors in pieces: how often each occurs, and in which pieces."""

    def __init__(self, pieces: Mapping[Piece, int]) -> None:
        # TODO: Keep the pieces as rows of tokens, and how often each occurs. Count the pairs of
        #   every piece as often as the piece occurs.
        raise NotImplementedError("text 02: _PairCounts.__init__")

    def add(self, number: int, times: int) -> None:
        """Count the pairs of piece `number`, each `times` times."""
        # TODO: At every place where two tokens are neighbors, add `times` to the count of that
        #   pair, and note that this piece has it.
        raise NotImplementedError("text 02: _PairCounts.add")

    def merge(self, pair: Pair) -> None:
        """Join a pair in all pieces that have it."""
        # TODO: The counts change only in these pieces: subtract the pairs from before, join, and
        #   add the pairs from after.
        raise NotImplementedError("text 02: _PairCounts.merge")


def learn_merges(pieces: Mapping[Piece, int], count: int) -> list[Pair]:
    """At most `count` merges, each of the most frequent pair, in the order learned."""
    # TODO: Order the 256 letters by code point, to decide ties; new tokens come after them.
    # TODO: Merge the most frequent pair. If there are several, take the one whose first token comes
    #   earliest in the order, then the one whose second does. Stop at count merges, or when no pair
    #   occurs twice. (_PairCounts is a fast way to count; counting again after each merge is right,
    #   too.)
    raise NotImplementedError("text 02: learn_merges")


def make_vocabulary(merges: Sequence[Pair], special_tokens: Collection[str] = ()) -> dict[str, int]:
    """The id of each token: letters by code point, then merged tokens, then special ones."""
    # TODO: Number the tokens from 0, in this order; if two merges make the same token, it counts
    #   once.
    raise NotImplementedError("text 02: make_vocabulary")


def train_tokenizer(
    text: str, vocab_size: int, special_tokens: Collection[str] = ("<|endoftext|>",)
) -> BPETokenizer:
    """A tokenizer learned from the text, with at most `vocab_size` tokens.

    Raises ValueError, naming vocab_size, if it has no room for the letters and the special tokens.
    """
    # TODO: Learn as many merges as fit in besides the 256 letters and the special tokens.
    raise NotImplementedError("text 02: train_tokenizer")
