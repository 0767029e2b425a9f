"""Text 02, learning merges: pieces and pairs, ties, updates, the end, and a tokenizer of them."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from tests import oracle_text
from tests.samples import generator, respelled, varied
from tests.texts import PIECES, SPECIAL, WORDS, draw_text, draw_words, expect_each
from tutor.check.expectations import expect_entries, expect_equal, expect_refusals
from tutor.check.sandbox.workbench import Workbench

END = "<|endoftext|>"
TIMES = varied(2, range(2, 6), seed=30)  # that what is equally frequent occurs

# Pieces of single letters, how often each occurs, and how many merges to learn.
FREQUENT = respelled(
    [
        ({"ab": 3, "bc": 5}, 1),
        ({"ab": 3, "ac": 1, "cab": 1, "bc": 3}, 1),
        ({"abab": 2, "bcd": 3}, 1),
        ({"aaa": 2, "bc": 3}, 1),
        ({"ab": 4, "a": 9, "b": 9, "ba": 3}, 1),
        ({"Ġlo": 5, "Ġwin": 3, "slo": 1}, 2),
    ]
)
EQUAL = respelled(
    [
        ({"ab": 1, "cd": 1}, 2),
        ({"cd": 1, "ab": 1}, 2),
        ({"ac": 1, "ab": 1}, 1),
        ({"ab": 1, "ac": 1}, 1),
        ({"az": 1, "bc": 1}, 1),
        ({"Ġa": 1, "za": 1}, 1),
        ({"th": 2, "the": 1, "ze": 1}, 2),
        ({"the": 1, "ze": 1, "th": 2, "abz": 1}, 3),
        ({"xy": 5, "ab": 3, "xyz": 1, "abz": 1}, 3),
    ]
)
CHANGED = respelled(
    [
        ({"abc": 4, "ab": 3, "bcd": 6, "cd": 2}, 4),
        ({"aaaa": 3, "aaaaa": 2, "baab": 4}, 5),
        ({"banana": 3, "ananas": 2, "nab": 2}, 6),
        ({"abcabc": 3, "bcab": 4, "cabc": 2}, 6),
    ]
)
ENDING = respelled(
    [
        ({"abc": 1}, 9),
        ({"ab": 1, "cab": 1}, 9),
        ({"abc": 2}, 9),
        ({"abcd": 3}, 0),
        ({"abcd": 3}, 1),
        ({"abcd": 3}, 2),
        ({"a": 7}, 3),
        ({}, 3),
    ]
)
TEXTS = (
    respelled("low lower low  lowest\nlow"),
    f"a tale{END}a tale{END} {END}the end",
    "The the THE. the, naïve 龍 naïve",
    "don't don't 2024 2024",
    "",
)
# Words of up to nine letters, the first ones far more often than the last.
NAMES = ["".join(map(chr, generator(n).integers(97, 110, size=2 + n % 8))) for n in range(500)]
LONG = draw_words(31, 16_000, NAMES)
MANY = 80  # merges of these


def expect_learned(
    step: Workbench, cases: Sequence[tuple[Mapping[str, int], int]], factor: int
) -> None:
    """Expect the merges of each case; a mistake is recognized by all of them."""
    given = [({tuple(word): n * factor for word, n in each.items()}, most) for each, most in cases]
    got = [step.learn_merges([*pieces.items()], most) for pieces, most in given]
    for (pieces, most), found in zip(given, got, strict=True):
        words = {"".join(word): times for word, times in pieces.items()}
        wanted = [list(pair) for pair in oracle_text.learn_merges(pieces, most)]
        expect_equal(f"the merges of {words}, {most} at most", found, wanted, observed=got)


def counted(pieces: Mapping[oracle_text.Piece, int]) -> list[list[object]]:
    """Pieces and their numbers as the probe returns them."""
    return [[list(piece), pieces[piece]] for piece in sorted(pieces)]


def test_pieces(step: Workbench) -> None:
    cases = [(text, [END]) for text in TEXTS]
    cases += [(draw_text(32, 80), []), (draw_words(33, 60), SPECIAL), (f"a{SPECIAL[1]}a", SPECIAL)]
    got = [step.count_pieces(*case) for case in cases]
    wanted = [counted(oracle_text.count_pieces(*case)) for case in cases]
    expect_each("the pieces of", [text for text, _ in cases], got, wanted)


def test_pairs(step: Workbench) -> None:
    expect_learned(step, FREQUENT, 1)


def test_ties(step: Workbench) -> None:
    expect_learned(step, EQUAL, TIMES)


def test_updates(step: Workbench) -> None:
    expect_learned(step, CHANGED, 1)
    wanted = [list(pair) for pair in oracle_text.learn_merges(PIECES, 60)]
    got = step.learn_merges([*PIECES.items()], 60)
    expect_equal("60 merges of words in several languages", got, wanted)


def test_stop(step: Workbench) -> None:
    expect_learned(step, ENDING, 1)


def test_long_text(step: Workbench) -> None:
    what = f"of a text of {len(LONG):,} characters"
    expect_equal(f"the pieces {what}", step.count_pieces(LONG, []), counted(pieces_of_long()))
    got = step.learn_merges([*pieces_of_long().items()], MANY)
    expect_equal(f"{MANY} merges {what}", got, merges_of_long())


def pieces_of_long() -> dict[oracle_text.Piece, int]:
    """The pieces of the long text, which is words and nothing else."""
    first, *others = LONG.split(" ")
    words: dict[oracle_text.Piece, int] = {("Ġ", *word): n for word, n in Counter(others).items()}
    return {(*first,): 1} | words


@functools.cache
def merges_of_long() -> list[list[str]]:
    """What is to be learned from it."""
    return [list(pair) for pair in oracle_text.learn_merges(pieces_of_long(), MANY)]


def test_vocabulary(step: Workbench) -> None:
    twice = respelled([("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("Ġ", "a")])
    cases: list[tuple[list[oracle_text.Pair], list[str]]] = [
        (twice[:2], [END]),
        ([], []),
        ([("z", "a"), ("a", "b")], SPECIAL),
        (twice, [END]),
    ]
    got = [step.make_vocabulary(*case) for case in cases]
    for case, found in zip(cases, got, strict=True):
        what, right = "merges {} and special tokens {}".format(*case), oracle_text.vocabulary(*case)
        expect_entries(f"with {what}, the id of", found, right, observed=got)
        expect_equal(f"how many tokens there are with {what}", len(found), len(right), observed=got)


def test_tokenizer(step: Workbench) -> None:
    text = f"{draw_words(34, 300)}{END}{draw_words(35, 300)}{END} {END}" + f" x{SPECIAL[1]}" * 40
    text += " qx" * 200 + " -xj" * 190  # in qxj, the earlier of the two merges goes first
    texts = [
        *WORDS,
        "qxj",
        f"the lowest{END}",
        "something new",
        f"banana{SPECIAL[1]} x{SPECIAL[0]}",
    ]
    cases: list[tuple[int, list[str] | None]] = [(300, None), (280, SPECIAL), (257, None)]
    got = [step.train_tokenizer(text, *case, texts) for case in cases]
    wanted = []
    for size, given in cases:
        special = [END] if given is None else given
        pieces = oracle_text.count_pieces(text, special)
        merges = oracle_text.learn_merges(pieces, size - 256 - len(special))
        vocab = oracle_text.vocabulary(merges, special)
        rows = [oracle_text.encode(vocab, merges, special, each) for each in texts]
        wanted.append([[row, each] for row, each in zip(rows, texts, strict=True)])
    for (size, given), found, right in zip(cases, got, wanted, strict=True):
        what = f"with vocab_size={size} and special tokens {given or [END]}, ids and text of"
        for each, came, expected in zip(texts, found, right, strict=True):
            expect_equal(f"{what} {each!r}", came, expected, observed=got)
    small = partial(step.train_tokenizer, text, 259, SPECIAL, [])
    expect_refusals({"vocab_size=259 with 4 special tokens": (small, ["vocab_size", 259])})
