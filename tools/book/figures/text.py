"""Pictures of the text track: merges that are applied, and merges that are learned."""

import itertools
from collections.abc import Sequence

from solutions.text_01 import Pair, join, merge, spell
from solutions.text_02 import learn_merges
from tools.book.figures import bundled
from tools.book.figures.drawing import WIDTH, Drawing

PIECE = " there"
LETTER, STEP = 34, 44  # the width of a letter, and from one row to the next
WORDS = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
LEARNED = 3


def merges() -> Drawing:
    parts = bundled.tokenizer().parts()
    assert parts
    vocab, ranks = parts[0], {pair: rank for rank, pair in enumerate(parts[1])}
    rows: list[tuple[list[str], Pair | None]] = [(spell(PIECE), None)]
    while pairs := [pair for pair in itertools.pairwise(rows[-1][0]) if pair in ranks]:
        best = min(pairs, key=ranks.__getitem__)
        rows.append((join(rows[-1][0], best), best))
    assert rows[-1][0] == merge(spell(PIECE), ranks)
    said = [f"{' '.join(pair)} has rank {ranks[pair]}" for _, pair in rows if pair]
    ids = [vocab[token] for token in rows[-1][0]]
    drawing = Drawing(
        "merges",
        "How a piece of text becomes tokens",
        f"""Rows of boxes. The first row spells the piece, a space and there, in the letters of its
        bytes. In each row below, two neighbors join into one box: {", then ".join(said)}. The last
        row has the id of the token that is left, {", ".join(map(str, ids))}.""",
    )
    for place, (tokens, pair) in enumerate(rows):
        y = place * STEP
        row(drawing, 0, y, tokens, "".join(pair) if pair else "")
        words = f"rank {ranks[pair]}" if pair else "letters"
        drawing.text(WIDTH, y + 12, words, align="end")
    y = len(rows) * STEP
    drawing.arrow((len(PIECE) * LETTER / 2, y - STEP + 26), (len(PIECE) * LETTER / 2, y - 4))
    drawing.text(len(PIECE) * LETTER / 2, y + 8, ", ".join(map(str, ids)), "mono")
    drawing.text(WIDTH, y + 8, "id", align="end")
    return drawing


def learning() -> Drawing:
    pieces = {tuple(word): times for word, times in WORDS.items()}
    learned = learn_merges(pieces, LEARNED)
    said = ", then ".join(f"{one} with {other}" for one, other in learned)
    drawing = Drawing(
        "learning",
        "Four words before and after three merges",
        f"""Twice the words {", ".join(WORDS)} in boxes, each with how often it occurs. At first,
        every letter is a box of its own. Below, merged letters share a box: {said}.""",
    )
    y, words = 0.0, [list(piece) for piece in pieces]
    for number in range(0, LEARNED + 1, LEARNED):
        for pair in learned[:number]:
            words = [join(word, pair) for word in words]
        for word, times in zip(words, pieces.values(), strict=True):
            drawing.text(0, y + 12, f"{times} ×", align="start")
            row(drawing, 44, y, word)
            y += 30
        if not number:
            listed = ", ".join(f"`{one} {other}`" for one, other in learned)
            drawing.arrow((44 + LETTER * 3, y + 2), (44 + LETTER * 3, y + 34))
            drawing.text(44 + LETTER * 3 + 12, y + 18, listed, align="start")
            y += 44
    return drawing


def row(drawing: Drawing, x: float, y: float, tokens: Sequence[str], new: str = "") -> None:
    """Tokens side by side, each as wide as its letters; a new one stands out, long ones, too."""
    for token in tokens:
        width = LETTER * len(token)
        style = "stream" if token == new or (not new and len(token) > 1) else "soft"
        drawing.box(x + 1, y, width - 3, 24, token, style, "mono")
        x += width
