"""Pictures of the whole model: the way through the steps, and steps 08 to 11."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tools.book.figures import bundled
from tools.book.figures.drawing import ROW, WIDTH, Box, Drawing
from tutor.course.registry import find_step


def steps() -> Drawing:
    drawing = Drawing(
        "steps",
        "What the twelve steps build, one inside the other",
        """Boxes in boxes. Text generation, step 12, calls the language-model head, step 10. In it
        is the stacked model, step 09, with token embeddings, step 05, position embeddings, step 06,
        and the transformer block, step 08. In the block are layer normalization, step 03,
        multi-head attention, step 07, with the causal mask, step 02, and the GELU MLP, step 04. The
        model configuration, step 01, gives all their sizes; weight loading, step 11, the weights.
        """,
    )

    def step(name: str, x: float, y: float, right: float, bottom: float, style: str) -> Box:
        box = drawing.box(x, y, right - x, bottom - y, style=style)
        found = find_step(name)
        drawing.text(x + 8, y + 14, f"`{found.number:02}` {found.title}", align="start")
        return box

    right = WIDTH - 1
    step("12", 1, 0, right, 330, "soft")
    step("10", 9, 28, right - 8, 322, "page")
    step("9", 17, 56, right - 16, 314, "soft")
    step("5", 25, 84, right - 24, 110, "page")
    step("6", 25, 116, right - 24, 142, "page")
    step("8", 25, 148, right - 24, 306, "page")
    step("3", 33, 176, right - 32, 202, "stream")
    step("7", 33, 208, right - 32, 266, "stream")
    step("2", 41, 234, right - 40, 260, "page")
    step("4", 33, 272, right - 32, 298, "stream")
    sizes = step("1", 1, 356, 156, 382, "query")
    weights = step("11", 164, 356, right, 382, "query")
    for box, words in ((sizes, "the sizes"), (weights, "the weights")):
        x, y = box.top
        drawing.arrow((x, y), (x, 330), style="query")
        drawing.text(x + 8, y - 13, words, "query", align="start")
    return drawing


def block() -> Drawing:
    drawing = Drawing(
        "block",
        "The transformer block, beside the residual stream",
        """A thick line, the residual stream x, runs from top to bottom. Twice something branches
        off and is added to it again: first attn of ln_1 of x, then mlp of ln_2 of x. The stream
        itself is never normalized.""",
    )
    stream, centre = 46, 148
    drawing.text(stream - 8, 8, "`x`  `[B, T, C]`", "stream", align="start")
    y = 20.0
    for norm, part, remark in (
        ("ln_1", "attn", "tokens exchange\nwhat they know"),
        ("ln_2", "mlp", "each token\nby itself"),
    ):
        first = drawing.box(centre - 42, y + 46, 84, 26, f"`{norm}`")
        second = drawing.box(centre - 42, y + 90, 84, 26, f"`{part}`")
        drawing.text(centre + 54, y + 59, "each vector\nnormalized", "muted", align="start")
        drawing.text(centre + 54, y + 103, remark, "muted", align="start")
        plus = drawing.plus(stream, y + 140, "stream")
        drawing.line((stream, y), plus.top, style="stream thick")
        drawing.arrow((stream, y + 28), (centre, y + 28), first.top, style="stream")
        drawing.arrow(first.bottom, second.top, style="stream")
        drawing.arrow(second.bottom, (centre, y + 140), plus.right, style="stream")
        drawing.text(stream + 20, y + 158, f"`x = x + {part}({norm}(x))`", align="start")
        _, y = plus.bottom
    drawing.arrow((stream, y - 2), (stream, y + 34), style="stream thick")
    drawing.text(stream - 8, y + 44, "`x`  `[B, T, C]`", "stream", align="start")
    return drawing


def model() -> Drawing:
    drawing = Drawing(
        "model",
        "GPT-2, from token ids to logits",
        """From top to bottom: the ids pick rows of wte, their positions rows of wpe; the sum,
        [B, T, C], is the residual stream. It passes through the blocks, n_layer of them, then ln_f.
        The lm_head, whose weights are those of wte, turns it into logits, [B, T, V].""",
    )
    left, middle, right, half = 76, 135, 194, 60

    def shape(y: float, words: str) -> None:
        drawing.text(WIDTH, y, f"`{words}`", align="end")

    drawing.text(left, 8, "ids `[B, T]`")
    drawing.text(right, 8, "positions `[T]`")
    wte = drawing.box(left - 50, 38, 100, 26, "`wte`")
    wpe = drawing.box(right - 50, 38, 100, 26, "`wpe`")
    plus = drawing.plus(middle, 92, "stream")
    for table, side in ((wte, plus.left), (wpe, plus.right)):
        x, _ = table.top
        drawing.arrow((x, 18), table.top)
        drawing.arrow(table.bottom, (x, 92), side, style="stream")
    shape(92, "[B, T, C]")
    drawing.arrow(plus.bottom, (middle, 126), style="stream thick")

    drawing.box(middle - half, 126, 2 * half, 26, "`h.0`")
    drawing.box(middle - half, 157, 2 * half, 26, "`h.1`")
    drawing.text(middle, 193, "⋮")
    last = drawing.box(middle - half, 203, 2 * half, 26, "the last of `h`")
    drawing.beside(middle + half + 6, 126, 229, "`n_layer`\nblocks")

    ln_f = drawing.box(middle - half, 261, 2 * half, 26, "`ln_f`")
    lm_head = drawing.box(middle - half, 319, 2 * half, 26, "`lm_head`")
    for above, below in ((last, ln_f), (ln_f, lm_head)):
        drawing.arrow(above.bottom, below.top, style="stream thick")
        shape((above.bottom[1] + below.top[1]) / 2, "[B, T, C]")
    tied = wte.left, (8, wte.left[1]), (8, lm_head.left[1]), lm_head.left
    drawing.arrow(*tied, style="muted dashed")
    drawing.text(16, 303, "same\nweights", "muted", align="start")
    drawing.arrow(lm_head.bottom, (middle, 375))
    drawing.text(middle, 385, "logits")
    shape(385, "[B, T, V]")
    return drawing


def head_shift() -> Drawing:
    text = "Once upon a time there"
    ids = bundled.encode(text)
    scores = bundled.logits(ids).astype(np.float64)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = 1 / weights.sum(axis=-1)  # of the likeliest, whose weight is 1
    words = [bundled.word(token) for token in ids]
    likeliest = [bundled.word(token) for token in scores.argmax(axis=-1)]
    following = [*words[1:], "?"]
    hits = [guess == after for guess, after in zip(likeliest, following, strict=True)]
    guesses = ", ".join(
        f"{guess} ({share:.0%})" for guess, share in zip(likeliest, shares, strict=True)
    )
    drawing = Drawing(
        "head_shift",
        "Every position scores the token after it",
        f"""The bundled model reads {text!r}. The most likely next tokens at its {len(ids)}
        positions are {guesses}. In the text these are {", ".join(following)}: the text itself, one
        token to the left.""",
    )
    width = WIDTH / len(ids)
    drawing.text(0, 8, "the text", "muted", align="start")
    drawing.cells(0, 20, [words], width, height=26)
    drawing.box(1, 68, WIDTH - 2, 28, "GPT-2")
    drawing.cells(0, 118, [likeliest], width, np.where(hits, "stream", "soft"), height=26)
    for place in range(len(ids)):
        x = (place + 0.5) * width
        drawing.arrow((x, 46), (x, 68))
        drawing.arrow((x, 96), (x, 118))
    drawing.across(0, 153, [f"{share:.0%}" for share in shares], width, "mono muted")
    drawing.text(0, 173, "the most likely next token, and how likely", "muted", align="start")
    styles = ["query"] * (len(ids) - 1) + ["absent"]
    drawing.cells(0, 204, [following], width, styles, height=26)
    drawing.text(0, 239, "what comes next: the text, one to the left", "muted", align="start")
    return drawing


def conv1d() -> Drawing:
    x = np.array([[1, 2]])
    stored = np.array([[1, 0, 3], [0, 2, 1]])
    output = x @ stored
    drawing = Drawing(
        "conv1d",
        "One layer in two layouts: Conv1D keeps [in, out], Linear [out, in]",
        f"""The vector {x[0].tolist()} times a Conv1D weight of 2 rows and 3 columns,
        {stored.tolist()}, is {output[0].tolist()}. Linear keeps the transpose, of 3 rows and 2
        columns, {stored.T.tolist()}, and gives the same. What is a column in one, and gives one
        number of the output, is a row in the other.""",
    )
    width, centre = 28, 153
    traced = np.array(["soft", "soft", "query bold"])  # by output

    def grid(x: float, middle: float, rows: NDArray[np.int64], style: ArrayLike) -> Box:
        words = [[str(value) for value in row] for row in rows]
        return drawing.cells(x, middle - len(rows) * ROW / 2, words, width, style)

    def product(middle: float, words: str, weight: NDArray[np.int64], style: ArrayLike) -> None:
        vector = grid(0, middle, x, "stream")
        matrix = grid(centre - weight.shape[1] * width / 2, middle, weight, style)
        result = grid(WIDTH - 3 * width, middle, output, traced)
        drawing.text(vector.top[0], middle - 22, "`x`", "stream")
        drawing.text(centre, matrix.bottom[1] + 14, f"`{words}`")
        drawing.text(result.top[0], middle - 22, "output")
        drawing.arrow(vector.right, matrix.left)
        drawing.arrow(matrix.right, result.left)

    drawing.text(centre, 8, "Conv1D `[in, out]`")
    product(46, "x @ W", stored, traced)
    drawing.text(centre, 122, "Linear `[out, in]`")
    product(170, "x @ W.T", stored.T, traced[:, None])
    return drawing
