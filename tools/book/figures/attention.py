"""Pictures of multi-head attention: step 07."""

import math
from collections.abc import Sequence

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import ArrayLike, NDArray

from solutions.solution_02 import causal_mask
from tools.book.figures.drawing import ROW, WIDTH, Box, Drawing, number


def spoken(rows: NDArray[np.float32]) -> str:
    """A matrix as words."""
    return "; ".join(", ".join(f"{round(float(n), 2):g}" for n in row) for row in rows)


def attention() -> Drawing:
    tokens = "The", "witch", "ate"
    query = np.array([[2, 0, 0, 0], [0, 0, 2, 2], [2, 1, 0, 0]], dtype=np.float32)
    key = np.array([[0, 0, 2, 0], [2, 0, 0, 1], [0, 2, 0, 1]], dtype=np.float32)
    value = np.array([[1, 0, 0, 0], [0, 8, 4, 0], [0, 0, 4, 2]], dtype=np.float32)
    length, dim = query.shape
    scores = query @ key.T
    mask = causal_mask(length, 0, dtype=DType.float32, device=CPU()).to_numpy()
    masked = scores / math.sqrt(dim) + mask
    weights = F.softmax(Tensor.from_dlpack(masked)).to_numpy()
    mixed = weights @ value
    drawing = Drawing(
        "attention",
        "One head of attention, in numbers",
        f"""The tokens {", ".join(tokens)} have the queries {spoken(query)} and the keys
        {spoken(key)}. The products of each query and each key are the scores {spoken(scores)}.
        Divided by {math.sqrt(dim):g}, the root of {dim}, and with minus infinity where a key comes
        after the query, a softmax turns each row into weights: {spoken(weights)}. They mix the
        values {spoken(value)} to the output {spoken(mixed)}.""",
    )
    narrow, middling, wide, left = 22, 36, 38, 39  # widths of cells
    right = WIDTH - length * wide
    centre = right + length * wide / 2
    asking, asked = 2, 1  # the product that is written out: the query of "ate", the key of "witch"
    is_asking, is_asked = np.arange(length)[:, None] == asking, np.arange(length) == asked
    seen = np.where(mask == 0, "soft", "absent")

    def grid(
        x: float, y: float, rows: NDArray[np.float32], width: float, style: ArrayLike, digits: int
    ) -> Box:
        words = [["−inf" if n == -math.inf else number(n, digits) for n in row] for row in rows]
        return drawing.cells(x, y, words, width, style)

    drawing.text(right - 8, 27, "keysᵀ `[D, T]`", "key", align="end")
    drawing.across(right, 8, tokens, wide, "key")
    keys = grid(right, 18, key.T, wide, np.where(is_asked, "key bold", "key"), 0)

    y = 130
    drawing.text(left, y - 10, "queries `[T, D]`", "query", align="start")
    drawing.down(left, y, tokens, "query")
    queries = grid(left, y, query, narrow, np.where(is_asking, "query bold", "query"), 0)
    drawing.text(centre - 10, y - 11, "scores", align="end")
    products = grid(right, y, scores, wide, np.where(is_asking & is_asked, "soft bold", "soft"), 0)
    drawing.arrow(keys.bottom, products.top)
    drawing.arrow(queries.right, products.left)
    terms = zip(query[asking], key[asked], strict=True)
    written = " + ".join(f"{a:g}·{b:g}" for a, b in terms)
    drawing.text(0, y + 78, f"{written} = {scores[asking, asked]:g}", "muted", align="start")

    y += 110
    drawing.text(centre - 10, y - 28, "/ √D, + mask", align="end")
    hidden = grid(right, y, masked, wide, seen, 0)
    drawing.text(left, y - 10, "weights", align="start")
    shares = grid(left, y, weights, middling, seen, 2)
    drawing.arrow(products.bottom, hidden.top)
    drawing.arrow(hidden.left, shares.right)
    drawing.text((right + shares.right[0]) / 2, y + 22, "softmax")

    y += 102
    values = grid(left, y, value, narrow, "value", 0)
    drawing.text(values.top[0] + 10, y - 20, "values `[T, D]`", "value", align="start")
    drawing.text(WIDTH, y - 10, "output `[T, D]`", "stream", align="end")
    output = grid(WIDTH - dim * wide, y, mixed, wide, "stream", 2)
    drawing.arrow((values.top[0], y - 36), values.top)
    drawing.arrow(values.right, output.left)
    return drawing


def heads() -> Drawing:
    length, count, dim = 3, 2, 3
    x = np.arange(length * count * dim).reshape(length, count * dim)
    split = x.reshape(length, count, dim).transpose(1, 0, 2)
    drawing = Drawing(
        "heads",
        "Splitting vectors into heads, and merging the heads again",
        f"""{length} tokens have {count * dim} numbers each. A reshape cuts each row into {count}
        heads of {dim} numbers, a transpose puts the heads before the tokens: head 0 holds
        {split[0].tolist()}, head 1 {split[1].tolist()}. Each works by itself. Then the way back: a
        transpose and a reshape.""",
    )
    width, middle = 27, 124
    styles = "stream", "value"
    starts = [middle - dim * width, middle]
    apart = [starts[0] - 9, starts[1] + 9]
    blank = np.full(split.shape, "")

    def draw(y: float, words: NDArray[np.str_], lefts: Sequence[float], drop: float = 0) -> None:
        """The numbers of each head, from a left edge of its own, and a drop between the rows."""
        for head, left in enumerate(lefts):
            for token, row in enumerate(words[head].tolist()):
                drawing.cells(left, y + token * (ROW + drop), [row], width, styles[head])

    def step(y: float, operation: str, shape: str, height: float) -> float:
        """An arrow, and to the right of what comes next its shape; returns where that begins."""
        drawing.arrow((middle, y + 2), (middle, y + 32))
        drawing.text(middle + 12, y + 17, operation, align="start")
        drawing.text(WIDTH, y + 36 + height / 2, f"`{shape}`", align="end")
        return y + 36

    drawing.text(WIDTH, 33, "`[B, T, C]`", align="end")
    draw(0, split.astype(str), starts)

    y = step(66, "`reshape`", "[B, T, H, D]", 92)
    for token in range(length):
        drawing.box(starts[0] - 9, y + token * 32, 2 * dim * width + 18, 28, style="muted")
    draw(y + 3, split.astype(str), [starts[0] - 5, starts[1] + 5], drop=10)

    y = step(y + 92, "`transpose(1, 2)`", "[B, H, T, D]", 94)
    for head, left in enumerate(apart):
        frame = drawing.box(left - 4, y, dim * width + 8, 94, style="muted")
        drawing.text(frame.top[0], y + 13, f"head {head}", styles[head])
    draw(y + 24, split.astype(str), apart)

    y = step(y + 94, "each head attends", "[B, H, T, D]", 74)
    for left in apart:
        drawing.box(left - 4, y, dim * width + 8, 74, style="muted")
    draw(y + 4, blank, apart)

    y = step(y + 74, "`transpose(1, 2)`, `reshape`", "[B, T, C]", 66)
    draw(y, blank, starts)
    return drawing
