"""Text 01, byte-level BPE: letters and pieces, merges, special tokens, then ids and back."""

import json

from tests import oracle_text
from tests.samples import generator, respelled
from tests.texts import (
    MERGES,
    NUMBERS,
    PIECES,
    SPECIAL,
    VOCAB,
    WORDS,
    Words,
    draw_text,
    draw_words,
    expect_each,
)
from tutor.check.expectations import expect_entries, expect_equal
from tutor.check.sandbox.workbench import Workbench
from tutor.engine.checkpoint import BUNDLED_MODEL

WRITTEN = (
    "Once upon a time, in a far-off land, there lived a King.",
    "don't we'll they're you've I'm she'd the king's",
    "DON'T 'tis o'er rock 'n' roll 's it’s",
    "abc123 4567 x1y2 2²=4 ½ Ⅷ ٣",
    "  two spaces   three, a\ttab\n\na new line \n and the end  ",
    "naïve œuf, où? «龍と妖精»\u00a0🐉🧚‍♀️ e\u0301",
    "snake_case(x) == 'a'; // # …",
    *("a", " ", " '", "\n", ""),
)
DRAWN = [draw_text(seed, 60) for seed in range(3, 11)]

# Tokens, and a pair to join.
JOINED = respelled(
    [
        (["l", "o", "w", "l", "o"], ("l", "o")),
        (["a", "a", "a"], ("a", "a")),
        (["a", "a", "a", "a", "b", "a", "a"], ("a", "a")),
        (["ab", "a", "b", "ab"], ("a", "b")),
        (["a", "bc", "ab", "c"], ("ab", "c")),
        (["o", "l", "l", "o", "l"], ("l", "o")),
        (["o"], ("o", "o")),
        ([], ("l", "o")),
    ]
)
# Tokens, and merges in their order.
MERGED = respelled(
    [
        ([*"lower"], [("l", "o"), ("lo", "w"), ("e", "r")]),
        ([*"abc"], [("b", "c"), ("a", "b")]),
        ([*"abc"], [("b", "c"), ("a", "b"), ("ab", "c")]),
        ([*"abcd"], [("c", "d"), ("a", "b"), ("b", "cd"), ("ab", "cd")]),
        ([*"zazab"], [("a", "b"), ("z", "a")]),
        ([*"zazab"], [("z", "a"), ("a", "b"), ("za", "za")]),
        ([*"aaaaa"], [("a", "a"), ("aa", "aa")]),
        ([*"abcabc"], [("b", "c"), ("a", "bc"), ("abc", "abc")]),
        (["a", "b", "cc"], [("a", "b"), ("b", "cc")]),
        ([*"abcbc"], [("a", "b"), ("b", "c")]),
        ([*"xy"], [("y", "x")]),
        (["a"], [("a", "a")]),
        ([], [("a", "a")]),
    ]
)
CUT = respelled(
    (
        "a<|end|>b",
        "<|end|>a <|end|> b<|end|>",
        "a<|end|>!b<|end|>?",
        "<|end|><|end|>!",
        "end|><|end <|end|",
        "(*) (a) **« fin »",
        "nothing special",
        "",
    )
)
TALES = json.loads((BUNDLED_MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]


def test_letters(step: Workbench) -> None:
    expected = {str(byte): letter for byte, letter in enumerate(oracle_text.LETTERS)}
    expect_entries("of byte_letters(), byte", step.byte_letters(), expected)
    expect_equal("how many letters there are", len(step.byte_letters()), 256)
    pieces = ["low", " lower", "é", "龍🐉", "\n\t", "\0\x7f\u00a0\u00ad"]
    wanted = [list(oracle_text.spell(piece)) for piece in pieces]
    expect_each("the letters of", pieces, step.call_each("spell", [[p] for p in pieces]), wanted)


def test_pieces(step: Workbench) -> None:
    texts = [*WRITTEN, *DRAWN, " ".join(NUMBERS), "x".join(NUMBERS)]
    got = step.call_each("split", [[text] for text in texts])
    expect_each("the pieces of", texts, got, [oracle_text.split(text) for text in texts])


def test_join(step: Workbench) -> None:
    wanted = [list(oracle_text.join(*case)) for case in JOINED]
    expect_each("the joined tokens of", JOINED, step.join_each(JOINED), wanted)


def test_merges(step: Workbench) -> None:
    learned = [(list(piece), MERGES) for piece in [*PIECES, *map(oracle_text.spell, WORDS)]]
    cases = [*MERGED, *learned]
    shown = [
        Words(f"{tokens} after {'learned merges' if merges is MERGES else merges}")
        for tokens, merges in cases
    ]
    wanted = [oracle_text.merge(*case) for case in cases]
    expect_each("the tokens of", shown, step.merge_each(cases), wanted)


def test_special(step: Workbench) -> None:
    cases = [(text, SPECIAL) for text in CUT] + [(CUT[0], []), ("(*)", SPECIAL[:1])]
    shown = [Words(f"{text!r}, with the special tokens {special}") for text, special in cases]
    # With or without the empty parts that are between two of them, or at an end.
    got = [[*filter(None, parts)] for parts in step.call_each("cut", cases)]
    expect_each("the parts of", shown, got, [oracle_text.cut(*case) for case in cases])


def test_encode(step: Workbench) -> None:
    texts = [*WRITTEN, "é", *CUT, draw_words(11, 40), *DRAWN]  # é alone is a letter, too
    for merges, special in ((MERGES, SPECIAL), (MERGES, []), ([], SPECIAL)):
        vocab = {token: VOCAB[token] for token in VOCAB if special or token not in SPECIAL}
        got = step.encode_each(vocab, merges, special, texts)
        wanted = [oracle_text.encode(VOCAB, merges, special, text) for text in texts]
        what = f"with {len(merges)} merges and the special tokens {special}, the ids of"
        expect_each(what, texts, got, wanted)
    vocab, merges = TALES["vocab"], [(one, other) for one, other in TALES["merges"]]
    tales = [*WRITTEN, "There was once a poor fisherman.<|endoftext|>"]
    got = step.encode_each(vocab, merges, ["<|endoftext|>"], tales)
    wanted = [oracle_text.encode(vocab, merges, ["<|endoftext|>"], text) for text in tales]
    expect_each("with the tokenizer of the bundled model, the ids of", tales, got, wanted)


def test_decode(step: Workbench) -> None:
    texts = [*WRITTEN, *CUT, *DRAWN]
    rows = [oracle_text.encode(VOCAB, MERGES, SPECIAL, text) for text in texts]
    # Whatever a model chooses: often bytes that are no character.
    chosen = generator(12).integers(len(VOCAB), size=(20, 12)).tolist()
    dragon = [VOCAB[letter] for letter in oracle_text.spell("🐉")]
    rows += [*chosen, dragon, dragon[:2], dragon[1:], [*dragon[:3], *dragon]]
    got = step.decode_each(VOCAB, MERGES, SPECIAL, rows)
    expect_each("the text of", rows, got, [oracle_text.decode(VOCAB, SPECIAL, row) for row in rows])
