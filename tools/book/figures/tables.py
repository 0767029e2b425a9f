"""Pictures of the sizes and the tables of GPT-2: steps 01, 05 and 06."""

import math

import numpy as np
from max.experimental import functional as F
from numpy.typing import NDArray

from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel
from tools.book.figures import bundled
from tools.book.figures.drawing import ROW, WIDTH, Drawing, Point, number

TEXT = "day and night and"  # one token twice
CELL = 48  # width of a cell with a number of a table


def config() -> Drawing:
    sizes = GPT2Config()
    with F.lazy():
        parameters = list(MaxGPT2LMHeadModel(sizes).parameters)
    counts = {name: math.prod(map(int, parameter.shape)) for name, parameter in parameters}

    def count(part: str) -> int:
        return sum(counts[name] for name in counts if f".{part}." in name)

    assert sizes.n_inner is not None
    total = sum(counts.values()) - counts["lm_head.weight"]  # the numbers of which are those of wte
    wte, wpe, block = (f"{count(part) / 1e6:.1f}M numbers" for part in ("wte", "wpe", "h.0"))
    drawing = Drawing(
        "config",
        "Which field of the configuration sets which size of the model",
        f"""Three parts of GPT-2 small. The table wte has vocab_size ({sizes.vocab_size:,}) rows,
        wpe has n_positions ({sizes.n_positions:,}), and both have n_embd ({sizes.n_embd}) columns.
        There are n_layer ({sizes.n_layer}) blocks; in each, attention has n_head
        ({sizes.n_head}) heads, and the MLP is n_inner ({sizes.n_inner:,}) wide. In wte are {wte},
        in wpe {wpe}, in a block {block}, in all {total:,}.""",
    )
    left, width, y = 92, 66, 18
    drawing.over(left, left + width, y, f"`n_embd` {sizes.n_embd}")
    for name, height, field, rows, remark in (
        ("wte", 92, "vocab_size", sizes.vocab_size, f"a row for each token\n{wte}"),
        ("wpe", 40, "n_positions", sizes.n_positions, f"a row for each position\n{wpe}"),
    ):
        table = drawing.box(left, y + 8, width, height, f"`{name}`")
        _, middle = table.right
        drawing.text(left - 8, middle, f"`{field}`\n{rows:,}", align="end")
        drawing.text(left + width + 10, middle, remark, "muted", align="start")
        y += height + 10

    y += 22
    for offset in (12, 6, 0):  # the blocks, the first one on top
        drawing.box(offset, y + offset, WIDTH - 13, 140, style="page")
    drawing.text(12, y + 15, f"`n_layer` {sizes.n_layer} blocks", align="start")
    drawing.text(WIDTH - 25, y + 15, f"{block} each", "muted", align="end")
    drawing.text(20, y + 41, "attention", "muted", align="start")
    drawing.cells(20, y + 52, [[""] * sizes.n_head], width / sizes.n_head)
    heads = f"`n_head` {sizes.n_head} heads of {sizes.n_embd // sizes.n_head}"
    drawing.text(20 + width + 10, y + 63, heads, align="start")
    drawing.text(20, y + 91, "MLP", "muted", align="start")
    inner = f"`n_inner` {sizes.n_inner:,}"
    drawing.box(21, y + 103, width * sizes.n_inner / sizes.n_embd - 2, 22, inner, "stream")
    drawing.text(WIDTH / 2, y + 170, f"in all {total / 1e6:.1f}M numbers", "muted")
    return drawing


def embedding() -> Drawing:
    ids = bundled.encode(TEXT).tolist()
    words = [bundled.word(token) for token in ids]
    wte = bundled.weight("wte")
    drawing = Drawing(
        "embedding",
        "Each token id picks its row of the table wte",
        f"""The text {TEXT!r} is the ids {", ".join(map(str, ids))}. Each points to the row of wte
        with its number, {len(set(ids))} rows in all, since one token comes twice. The rows, in the
        order of the text, are the output.""",
    )
    left, middle = 204, 256
    for x, header in ((20, "token"), (92, "id"), (middle, "`wte`  `[V, C]`")):
        drawing.text(x, 8, header, "muted")
    y, levels = 20, {}
    for row in (0, *sorted(set(ids)), len(wte) - 1):
        if row > 0:
            drawing.text(middle, y + 8, "⋮", "muted")
            y += 18
        drawing.down(left, y, [f"`{row}`"], "" if row in ids else "muted")
        _draw_vectors(drawing, left, y, wte[[row], :2], "stream" if row in ids else "soft")
        levels[row] = y + ROW / 2
        y += ROW
    top = y / 2 + 10 - len(ids) * 15
    for place, (token, word) in enumerate(zip(ids, words, strict=True)):
        box = drawing.box(70, top + place * 30, 44, 24, f"`{token}`", "query")
        drawing.text(0, box.left[1], f"`{word}`", align="start")
        drawing.arrow(box.right, (164, levels[token]), style="query")

    drawing.arrow((middle, y + 4), (middle, y + 34))
    drawing.text(middle - 10, y + 18, "as the text has them", "muted", align="end")
    y += 38
    drawing.text(0, y + len(ids) * ROW / 2, "output\n`[B, T, C]`", "muted", align="start")
    drawing.down(left, y, [f"`{word}`" for word in words])
    _draw_vectors(drawing, left, y, wte[ids, :2], "stream")
    return drawing


def positions() -> Drawing:
    ids = bundled.encode(TEXT)
    words = [f"`{bundled.word(token)}`" for token in ids]
    places = [f"`{place}`" for place in range(len(ids))]
    tokens, where = bundled.weight("wte")[ids, :4], bundled.weight("wpe")[: len(ids), :4]
    drawing = Drawing(
        "positions",
        "The vector of a token and the vector of its position, added",
        f"""Three tables with {len(ids)} rows each, for the text {TEXT!r}. In the first, from wte,
        the rows of the token that comes twice are equal. In the second are the first rows of wpe.
        In the third, their sum, all rows differ.""",
    )
    left, y = 56, 0
    for caption, names, rows, style in (
        ("`wte[ids]`, the tokens", words, tokens, "stream"),
        ("+ `wpe[positions]`, their places", places, where, "soft"),
        ("= what the first block gets", words, tokens + where, "stream"),
    ):
        drawing.text(left, y + 8, caption, align="start")
        drawing.down(left, y + 20, names)
        _draw_vectors(drawing, left, y + 20, rows, style)
        y += 20 + len(ids) * ROW + 14
    return drawing


def waves() -> Drawing:
    wpe = bundled.weight("wpe").astype(np.float64)
    spread = wpe - wpe.mean(axis=0)
    curves = (spread @ np.linalg.svd(spread, full_matrices=False)[2][:3].T).T
    curves *= np.sign(curves[:, -1:])  # a direction is as good as its opposite
    drawing = Drawing(
        "waves",
        "The table wpe along the three directions in which its rows differ most",
        f"""Three curves over the {len(wpe)} positions. The first climbs from end to end. The other
        two begin far from 0, one above it and one below, and are close to it a few positions on.
        From there both sag a little, and rise towards the end.""",
    )
    unit, left, top = 34, 28, 8
    step, highest = (WIDTH - left - 8) / len(wpe), float(curves.max())

    def point(position: float, value: float) -> Point:
        return left + position * step, top + (highest - value) * unit

    bottom = point(0, float(curves.min()) - 0.1)[1]
    drawing.arrow((left, bottom), (left, 0), style="muted")
    drawing.arrow(point(-1, 0), point(len(wpe) + 5, 0), style="muted")
    for tick in (-1, 1, 2):
        drawing.text(*point(-9, tick), number(tick, 0), "mono muted", align="end")
    for tick in (50, 100, 150, 200):
        drawing.text(point(tick, 0)[0], bottom + 8, str(tick), "mono muted")
    drawing.text(WIDTH / 2, bottom + 26, "position", "muted")
    for place, (curve, style) in enumerate(zip(curves, ("stream", "query", "key"), strict=True)):
        drawing.curve([point(*at) for at in enumerate(curve.tolist())], f"{style} bold")
        word = ("first", "second", "third")[place]
        drawing.text(WIDTH / 2, top + 10 + place * 20, f"{word} direction", style, align="start")
    return drawing


def _draw_vectors(
    drawing: Drawing, x: float, y: float, rows: NDArray[np.float32], style: str
) -> None:
    """The first numbers of some vectors, and dots for the others."""
    grid = drawing.cells(x, y, [[number(value) for value in row] for row in rows], CELL, style)
    for place in range(len(rows)):
        drawing.text(grid.right[0] + 9, y + (place + 0.5) * ROW - 1, "…", "muted")
