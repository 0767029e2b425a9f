"""Pictures of the small parts that a block is made of: steps 02, 03 and 04."""

from itertools import pairwise

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.solution_01 import GPT2Config
from solutions.solution_02 import causal_mask
from solutions.solution_03 import LayerNorm
from solutions.solution_04 import GPT2MLP
from tools.book.figures.drawing import WIDTH, Drawing, Point, number


def mask() -> Drawing:
    drawing = Drawing(
        "mask",
        "The causal mask, for five tokens at once and for two after three cached ones",
        """Two grids with a row for each query and a column for each key. In the first, of 5 by 5,
        query i sees keys 0 to i: 0 on and below the diagonal, minus infinity above it. In the
        second, of 2 by 5, the queries follow three cached tokens: query 0 sees keys 0 to 3, query 1
        sees all. Its two rows are the last two of the first grid.""",
    )
    width, height, left = 45, 26, 68
    right = left + 5 * width
    y, ends = 8, []
    for queries, cached, remark in (
        (5, 0, "five tokens at once"),
        (2, 3, "two more, after three that are cached"),
    ):
        values = causal_mask(queries, cached, dtype=DType.float32, device=CPU()).to_numpy()
        words = [["0" if value == 0 else "−inf" for value in row] for row in values]
        styles = np.where(values == 0, "stream", "absent")
        drawing.text(0, y + 8, f"`causal_mask({queries}, {cached})`\n{remark}", align="start")
        y += 48
        asked = [f"key {key}" for key in range(cached + queries)]
        drawing.across(left, y - 12, asked, width, "key")
        asking = [f"query {query}" for query in range(queries)]
        drawing.down(left - 2, y, asking, "query", height=height)
        drawing.cells(left, y, words, width, styles, height=height)
        y += queries * height
        drawing.beside(right + 2, y - 2 * height + 3, y - 3, style="muted")
        ends.append((right + 6, y - height))
        y += 24
    (x, first), (_, second) = ends
    drawing.arrow((x, first), (x + 14, first), (x + 14, second), (x, second), style="muted")
    return drawing


def layer_norm() -> Drawing:
    x = np.array([1, 7, 7, 9], dtype=np.float32)
    weight = np.array([2, 1, 1, 0.5], dtype=np.float32)
    bias = np.array([0, 0, 1, 0], dtype=np.float32)
    layer = LayerNorm(4)
    normalized = layer(Tensor.from_dlpack(x)).to_numpy()
    layer.load_state_dict({"weight": weight, "bias": bias})
    output = layer(Tensor.from_dlpack(x)).to_numpy()
    mean, deviation = x.mean(), x.std()

    def listed(values: NDArray[np.float32]) -> str:
        return ", ".join(f"{value:.4g}" for value in values.round(2))

    drawing = Drawing(
        "layer_norm",
        "Layer normalization of four numbers, step by step",
        f"""Bars for the numbers {listed(x)}. Less their mean, {mean:g}, they are
        {listed(x - mean)}; divided by their standard deviation, {deviation:g}, they are
        {listed(normalized)}; times the weight, {listed(weight)}, plus the bias, {listed(bias)},
        they are {listed(output)}.""",
    )
    left, width, unit = 124, 48, 7

    def bars(y: float, values: NDArray[np.float32], name: str, remark: str = "") -> float:
        """Bars with their numbers, and what they are; returns where they end."""
        base = y + max(values) * unit + 14
        drawing.bars(left, base, values, width, unit)
        for place, value in enumerate(values):
            end = base - value * unit + (-9 if value > 0 else 9)
            drawing.text(left + (place + 0.5) * width, end, number(value), "mono")
        drawing.text(0, base - 8, name, align="start")
        drawing.text(0, base + 9, remark, "muted", align="start")
        return float(base - min(*values, 0) * unit)

    y = bars(0, x, "`x`", f"mean {mean:g}, variance {x.var():g}")
    y = bars(y + 30, x - mean, "`- mean`", "mean 0")
    y = bars(y + 30, normalized, "`/ deviation`", "mean 0, variance 1")
    for name, parameter in (("`* weight`", weight), ("`+ bias`", bias)):
        y += 22
        drawing.text(0, y + 8, name, align="start")
        drawing.across(left, y + 8, [number(value) for value in parameter], width, "mono muted")
    bars(y + 28, output, "output")
    return drawing


def mlp() -> Drawing:
    layer, rng = GPT2MLP(16, GPT2Config(n_embd=4, n_head=1)), np.random.default_rng(5)
    shapes = {name: tuple(map(int, parameter.shape)) for name, parameter in layer.parameters}
    layer.load_state_dict(
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    )
    x = Tensor.from_dlpack(np.array([1, -0.6, 0.4, -1], dtype=np.float32))
    wide = layer.c_fc(x)
    bent = F.gelu(wide, approximate="tanh")
    narrow = layer.c_proj(bent)
    drawing = Drawing(
        "mlp",
        "The MLP: widen, bend, narrow",
        """From top to bottom: a vector of C numbers, which c_fc turns into one of L numbers, four
        times as many, above and below 0. GELU leaves those far above 0 as they are, and brings
        those below close to 0. Then c_proj turns them into a vector of C numbers again.""",
    )
    middle, width, height, between = 116, 14, 22, 34
    rows = [values.to_numpy() for values in (x, wide, bent, narrow)]
    y, feet = 0, []
    for row, shape in zip(rows, ("C", "L", "L", "C"), strict=True):
        half = len(row) * width / 2
        drawing.bars(middle - half, y + height, row, width, height / float(abs(row).max()))
        drawing.text(WIDTH, y + height, f"`[B, T, {shape}]`", align="end")
        y += 2 * height + 8
        feet.append((half, y))
        y += between + 8
    steps = zip(pairwise(feet), ("`c_fc`", "GELU", "`c_proj`"), strict=True)
    for ((half, top), (next_half, _)), operation in steps:
        upper = (middle - half, top), (middle + half, top)
        lower = (middle + next_half, top + between), (middle - next_half, top + between)
        drawing.polygon(*upper, *lower)
        drawing.text(middle, top + between / 2, operation)
    return drawing


def gelu() -> Drawing:
    x = np.linspace(-4, 4, 97, dtype=np.float32)
    y = F.gelu(Tensor.from_dlpack(x), approximate="tanh").to_numpy()
    low_x, low_y = x[y.argmin()], y.min()
    drawing = Drawing(
        "gelu",
        "The curves of GELU and ReLU",
        f"""Both are close to 0 far left, and to x far right. ReLU has a corner at 0; GELU is
        smooth, and is lowest at {low_x:.2f}, with {low_y:.2f}.""",
    )
    unit, highest = 36, 4.2

    def place(x: float, y: float) -> Point:
        return WIDTH / 2 + x * unit, (highest - y) * unit

    drawing.arrow(place(-4.3, 0), place(4.4, 0), style="muted")
    drawing.arrow(place(0, -0.6), place(0, highest), style="muted")
    for tick in (-4, -2, 2, 4):
        drawing.text(*place(tick, -0.3), number(tick, 0), "mono muted")
    for tick in (2, 4):
        drawing.text(*place(-0.3, tick), number(tick, 0), "mono muted")
    drawing.curve([place(-4, 0), place(0, 0), place(4, 4)], "dashed")
    drawing.curve(
        [place(*point) for point in zip(x.tolist(), y.tolist(), strict=True)], "stream bold"
    )
    drawing.text(*place(1.9, 3.2), "GELU(x)", "stream", align="end")
    drawing.text(*place(2.7, 1.6), "ReLU(x)")
    drawing.arrow(place(low_x, -0.75), place(low_x, low_y), style="stream")
    drawing.text(*place(low_x, -0.95), f"lowest: {number(low_y)} at {number(low_x)}", "stream")
    return drawing
