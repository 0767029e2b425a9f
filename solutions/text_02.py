"""Text 02: learning merges, which turns the frequent parts of a text into tokens.

Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", algorithm 1.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from solutions.text_01 import BPETokenizer, Pair, byte_letters, cut, join, spell, split

Piece = tuple[str, ...]


def count_pieces(text: str, special_tokens: Collection[str] = ()) -> Counter[Piece]:
    """How often each piece occurs in a text, spelled in letters; special tokens don't count."""
    # Cut the text, leave out the special tokens, split the other parts, and count the pieces as
    # tuples of letters.
    parts = [part for part in cut(text, special_tokens) if part not in special_tokens]
    pieces = Counter(piece for part in parts for piece in split(part))
    return Counter({tuple(spell(piece)): times for piece, times in pieces.items()})


class _PairCounts:
    """The pairs of neighbors in pieces: how often each occurs, and in which pieces."""

    def __init__(self, pieces: Mapping[Piece, int]) -> None:
        # Keep the pieces as rows of tokens, and how often each occurs. Count the pairs of every
        # piece as often as the piece occurs.
        self.rows: list[Sequence[str]] = list(pieces)
        self.times = list(pieces.values())
        self.counts, self.places = Counter[Pair](), defaultdict[Pair, set[int]](set)
        for number, times in enumerate(self.times):
            self.add(number, times)

    def add(self, number: int, times: int) -> None:
        """Count the pairs of piece `number`, each `times` times."""
        # At every place where two tokens are neighbors, add `times` to the count of that pair, and
        # note that this piece has it.
        for pair in itertools.pairwise(self.rows[number]):
            self.counts[pair] += times
            self.places[pair].add(number)

    def merge(self, pair: Pair) -> None:
        """Join a pair in all pieces that have it."""
        # The counts change only in these pieces: subtract the pairs from before, join, and add the
        # pairs from after.
        for number in self.places.pop(pair):
            self.add(number, -self.times[number])
            self.rows[number] = join(self.rows[number], pair)
            self.add(number, self.times[number])


def learn_merges(pieces: Mapping[Piece, int], count: int) -> list[Pair]:
    """At most `count` merges, each of the most frequent pair, in the order learned."""
    # Order the 256 letters by code point, to decide ties; new tokens come after them.
    order = {letter: number for number, letter in enumerate(sorted(byte_letters().values()))}
    pairs, merges = _PairCounts(pieces), list[Pair]()
    # Merge the most frequent pair. If there are several, take the one whose first token comes
    # earliest in the order, then the one whose second does. Stop at count merges, or when no pair
    # occurs twice. (_PairCounts is a fast way to count; counting again after each merge is right,
    # too.)
    while len(merges) < count and (most := max(pairs.counts.values(), default=0)) > 1:
        ties = [pair for pair, times in pairs.counts.items() if times == most]
        best = min(ties, key=lambda pair: (order[pair[0]], order[pair[1]]))
        merges.append(best)
        order.setdefault("".join(best), len(order))
        pairs.merge(best)
    return merges


def make_vocabulary(merges: Sequence[Pair], special_tokens: Collection[str] = ()) -> dict[str, int]:
    """The id of each token: letters by code point, then merged tokens, then special ones."""
    # Number the tokens from 0, in this order; if two merges make the same token, it counts once.
    tokens = [*sorted(byte_letters().values()), *map("".join, merges), *special_tokens]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def train_tokenizer(
    text: str, vocab_size: int, special_tokens: Collection[str] = ("<|endoftext|>",)
) -> BPETokenizer:
    """A tokenizer learned from the text, with at most `vocab_size` tokens.

    Raises ValueError, naming vocab_size, if it has no room for the letters and the special tokens.
    """
    # Learn as many merges as fit in besides the 256 letters and the special tokens.
    room = vocab_size - len(byte_letters()) - len(special_tokens)
    if room < 0:
        raise ValueError(f"vocab_size must be at least {vocab_size - room}, but is {vocab_size}")
    merges = learn_merges(count_pieces(text, special_tokens), room)
    return BPETokenizer(make_vocabulary(merges, special_tokens), merges, special_tokens)
