"""What the suites of the text track share: texts, and a tokenizer that was learned from one."""

from collections.abc import Sequence
from typing import Any

from tests import oracle_text
from tests.samples import generator, respelled
from tutor.check.expectations import expect_equal

SPECIAL = respelled(
    ["<|end|>", "<|end|>!", "(*)", "« fin »"]
)  # one begins with another; | and * mean much
WORDS = (
    *("low", "lower", "lowest", "slow", "new", "newer", "newest", "wide", "wider", "the", "then"),
    *(
        "don't",
        "we'll",
        "o'er",
        "naïve",
        "œuf",
        "où",
        "龍",
        "龍と妖精",
        "🐉",
        "é",
        "e\u0301",
        "banana",
    ),
)
# Characters of all kinds: letters, numbers, others, white space, and what only looks like one.
LETTERS = "aZéßœжЯαωאبनกあ龍한ªʰ𝒜"
NUMBERS = "0123456789²½Ⅷ٣४Ⅻ㊿"
OTHERS = ".,;:!?'’\"-–—…()[]{}<>|/\\@#%&*+=_~^`$€«»„·§°©🐉🧚\u0301\u200d\ufe0f\ufffd\0\x1f"
SPACES = " \t\n\r\u00a0\u3000\u2028"


def draw_text(seed: int, length: int) -> str:
    """A text of characters of all kinds, in runs, as texts have them."""
    rng = generator(seed)
    kinds = (LETTERS, LETTERS, NUMBERS, OTHERS, " ", SPACES)
    drawn: list[str] = []
    while len(drawn) < length:
        kind = kinds[int(rng.integers(len(kinds)))]
        drawn += [kind[int(rng.integers(len(kind)))] for _ in range(int(rng.integers(1, 4)))]
    return "".join(drawn[:length])


def draw_words(seed: int, count: int, words: Sequence[str] = WORDS) -> str:
    """A text of words, the first of them the most frequent."""
    rng = generator(seed)
    chosen = (rng.random(count) ** 2 * len(words)).astype(int)
    return " ".join(words[each] for each in chosen)


class Words(str):
    """Words for what was given, which a message has without quotation marks."""

    __repr__ = str.__str__


def expect_each(what: str, given: Sequence[object], got: Sequence[Any], wanted: Any) -> None:
    """Expect an answer for each of what was given; a mistake is recognized by all answers."""
    for case, found, right in zip(given, got, wanted, strict=True):
        expect_equal(f"{what} {case!r}", found, right, observed=got)


PIECES = oracle_text.count_pieces(draw_words(1, 400), SPECIAL)
MERGES = oracle_text.learn_merges(PIECES, 60)
# As in other people's files: the ids are in no order.
_tokens = oracle_text.vocabulary(MERGES, SPECIAL)
VOCAB = dict(zip(_tokens, generator(2).permutation(len(_tokens)).tolist(), strict=True))
