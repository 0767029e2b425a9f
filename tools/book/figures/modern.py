"""Pictures of the modern track: what a Llama has in place of GPT-2's parts."""

import math

import numpy as np
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.modern_01 import LlamaConfig, read_config
from solutions.modern_02 import RMSNorm
from solutions.modern_03 import LlamaMLP
from solutions.modern_04 import rotary_speeds, rotary_table, rotate
from solutions.solution_03 import LayerNorm
from tests import test_modern_01 as files
from tools.book.figures.drawing import WIDTH, Box, Drawing, Point, number

LLAMA = "Llama-3.2-1B"


def two_files() -> Drawing:
    older = files.FILES[LLAMA]
    newer = files.as_version_5_writes(older)
    config, rope = read_config(newer), newer["rope_parameters"]
    assert config.rope_scaling
    drawing = Drawing(
        "two_files",
        "Where two versions of transformers keep what the rotation needs",
        f"""Three rows of boxes, for {LLAMA}. In a config.json of transformers 4, rope_theta,
        {older["rope_theta"]:g}, and rope_scaling, {older["rope_scaling"]["rope_type"]}, stand side
        by side. In one of transformers 5, both are in rope_parameters. From either, LlamaConfig
        gets a rope_theta and a rope_scaling.""",
    )
    half, height = (WIDTH - 12) / 2, 44

    def two(y: float, theta: float, kind: str, style: str) -> list[Box]:
        words = f"`rope_theta`\n{theta:g}", f"`rope_scaling`\n{kind}"
        return [
            drawing.box(1 + place * (half + 10), y, half, height, text, style)
            for place, text in enumerate(words)
        ]

    drawing.text(0, 8, "`config.json`, transformers 4", align="start")
    above = two(22, older["rope_theta"], older["rope_scaling"]["rope_type"], "page")
    drawing.text(WIDTH / 2, 98, "`LlamaConfig`", "stream")
    both = two(110, config.rope_theta, config.rope_scaling["rope_type"], "stream")
    words = f"`rope_parameters`\n{rope['rope_theta']:g}, {rope['rope_type']}"
    below = drawing.box(1, 198, WIDTH - 2, height, words, "page")
    drawing.text(0, 254, "`config.json`, transformers 5", align="start")
    for upper, middle in zip(above, both, strict=True):
        drawing.arrow(upper.bottom, middle.top, style="stream")
        x, y = middle.bottom
        drawing.arrow((x, below.y), (x, y), style="stream")
    return drawing


def rms_norm() -> Drawing:
    x = np.array([2, 4, 4, 8], dtype=np.float32)
    outputs = [norm(4)(Tensor.from_dlpack(x)).to_numpy() for norm in (RMSNorm, LayerNorm)]

    def listed(values: NDArray[np.float32]) -> str:
        return ", ".join(f"{value:.4g}" for value in values.round(2))

    drawing = Drawing(
        "rms_norm",
        "Four numbers after RMSNorm, and after layer normalization",
        f"""Bars for the numbers {listed(x)}. Below them, on the left, what RMSNorm makes of them:
        {listed(outputs[0])}, all above 0 and in the same proportions. On the right, what layer
        normalization makes of them: {listed(outputs[1])}, around 0.""",
    )
    width = 36

    def bars(x: float, base: float, values: NDArray[np.float32], unit: float, digits: int) -> None:
        drawing.bars(x, base, values, width, unit)
        for place, value in enumerate(values):
            end = base - value * unit + (-9 if value > 0 else 9)
            drawing.text(x + (place + 0.5) * width, end, number(value, digits), "mono")

    middle, left, right, base = WIDTH / 2, 4, WIDTH - 4 * width - 4, 190
    drawing.text(middle - 2 * width - 14, 70, "`x`")
    bars(middle - 2 * width, 78, x, 8, 0)
    for column, name, said, values in (
        (left, "RMSNorm", "`/ √(mean(x²))`", outputs[0]),
        (right, "layer normalization", "`- mean`, `/ deviation`", outputs[1]),
    ):
        centre = column + 2 * width
        drawing.arrow((middle, 82), (middle, 92), (centre, 92), (centre, 104), style="stream")
        bars(column, base, values, 32, 1)
        drawing.text(centre, base + 70, f"{name}\n{said}")
    return drawing


def silu() -> Drawing:
    x = np.linspace(-5, 5, 101, dtype=np.float32)
    curves = [bend(Tensor.from_dlpack(x)).to_numpy() for bend in (F.silu, F.gelu)]
    low_x, low_y = x[curves[0].argmin()], curves[0].min()
    drawing = Drawing(
        "silu",
        "The curves of SiLU and GELU",
        f"""Both are close to 0 far left, and to x far right. SiLU bends more slowly: it is lowest
        at {low_x:.1f}, with {low_y:.2f}, and GELU lies between it and the corner at 0.""",
    )
    unit, highest = 30, 4.4

    def place(x: float, y: float) -> Point:
        return WIDTH / 2 + x * unit, (highest - y) * unit

    drawing.arrow(place(-5.2, 0), place(5.2, 0), style="muted")
    drawing.arrow(place(0, -0.7), place(0, highest), style="muted")
    for tick in (-4, -2, 2, 4):
        drawing.text(*place(tick, -0.35), number(tick, 0), "mono muted")
    for tick in (2, 4):
        drawing.text(*place(-0.35, tick), number(tick, 0), "mono muted")
    shown = x <= highest
    for values, style in zip(curves, ("stream bold", "dashed"), strict=True):
        points = zip(x[shown].tolist(), values[shown].tolist(), strict=True)
        drawing.curve([place(*point) for point in points], style)
    drawing.text(*place(2.3, 3.4), "GELU(x)", align="end")
    drawing.text(*place(2.9, 1.7), "SiLU(x)", "stream", align="start")
    drawing.arrow(place(low_x, -0.95), place(low_x, low_y), style="stream")
    drawing.text(*place(low_x, -1.2), f"lowest: {number(low_y)} at {number(low_x, 1)}", "stream")
    return drawing


def swiglu() -> Drawing:
    layer, rng = LlamaMLP(4, 10), np.random.default_rng(34)
    shapes = {name: tuple(map(int, parameter.shape)) for name, parameter in layer.parameters}
    layer.load_state_dict(
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    )
    x = Tensor.from_dlpack(np.array([1, -0.6, 0.4, -1], dtype=np.float32))
    gate, up = F.silu(layer.gate_proj(x)), layer.up_proj(x)
    drawing = Drawing(
        "swiglu",
        "The MLP with a gate: two ways, a product, and back",
        """From top to bottom: a vector of C numbers goes two ways. On the left, gate_proj and SiLU
        make L numbers of it, the gate, hardly any of them below 0. On the right, up_proj makes L
        others, above and below 0. The product is close to 0 wherever the gate is. Then down_proj
        turns it into C numbers again.""",
    )
    width, height, middle = 13, 20, WIDTH / 2

    def bars(centre: float, y: float, values: Tensor) -> tuple[Point, Point]:
        """Bars around a centre; returns the middle of what is above and below them."""
        row = values.to_numpy()
        left = centre - len(row) * width / 2
        drawing.bars(left, y + height, row, width, height / float(abs(row).max()))
        return (centre, y - 2), (centre, y + 2 * height + 2)

    product = gate * up
    _, start = bars(middle, 0, x)
    above, below = bars(middle, 176, product)
    end, _ = bars(middle, 266, layer.down_proj(product))
    for side, name, values, align in (
        (70, "`gate_proj`, SiLU", gate, "start"),
        (WIDTH - 70, "`up_proj`", up, "end"),
    ):
        top, bottom = bars(side, 92, values)
        drawing.arrow(start, (middle, 56), (side, 56), top, style="stream")
        drawing.text(side + (8 if align == "start" else -8), 70, name, align=align)
        drawing.arrow(bottom, (side, 158), (middle, 158), above, style="stream")
    drawing.text(middle, 148, "product")
    drawing.arrow(below, end, style="stream")
    drawing.text(middle + 8, 243, "`down_proj`", align="start")
    for y, shape in ((0, "C"), (176, "L"), (266, "C")):
        drawing.text(WIDTH, y + height, f"`[B, T, {shape}]`", align="end")
    return drawing


def rotary() -> Drawing:
    speeds = rotary_speeds(LlamaConfig(head_dim=4, rope_theta=16))
    x = Tensor.from_dlpack(np.tile(np.array([1, 1, 0, 0], dtype=np.float32), (1, 1, 5, 1)))
    table = rotary_table(Tensor.from_dlpack(np.arange(5)[None]), speeds)
    turned = rotate(x, *table).to_numpy()[0, 0]  # [5, 4]
    drawing = Drawing(
        "rotary",
        "Two pairs of a head, at five positions",
        f"""Two circles, each with arrows from its centre, for positions 0 to 4. In both, position 0
        points to the right. On the left, for pair 0, every position is a turn of {speeds[0]:g}
        radian further; on the right, for pair 1, a turn of only {speeds[1]:g}.""",
    )
    radius, y = 52, 84
    for pair, x_centre in enumerate((76, WIDTH - 84)):
        angles = np.linspace(0, 2 * math.pi, 73)
        around = [(x_centre + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]
        drawing.curve(around, "muted dashed")
        for position, (across, up) in enumerate(turned[:, [pair, 2 + pair]].tolist()):
            tip, label = (
                (x_centre + length * across, y - length * up)
                for length in (radius + 2, radius + 11)
            )
            drawing.arrow((x_centre, y), tip, style="stream")
            drawing.text(*label, str(position), "mono")
        drawing.text(x_centre, y + radius + 32, f"pair {pair}\n{speeds[pair]:g} radian a position")
    return drawing


def bfloat16() -> Drawing:
    value = np.array(0.7, np.float32)
    bits = f"{int(value.view(np.uint32)):032b}"
    half = value.astype(np.float16)
    upper = np.array(int(bits[:16], 2) << 16, np.uint32).view(np.float32)
    drawing = Drawing(
        "bfloat16",
        "The bits of a number as float32, bfloat16 and float16",
        f"""Three rows of bits. A float32, {value:.7f}, has 32: a sign, 8 for the exponent, 23 for
        the fraction. The bfloat16 below it, {upper:.7f}, is the first 16 of them: the same sign,
        the same exponent, and 7 bits of the fraction; zeros fill the rest. A float16, {half:.7f},
        has 16 bits as well, but 5 for the exponent and 10 for the fraction.""",
    )
    width, parts = WIDTH / 32, ("query", "stream", "soft")

    def row(y: float, name: str, digits: str, exponent: int) -> Box:
        """A bit in each cell, with brackets over exponent and fraction."""
        drawing.text(0, y - 36, name, align="start")
        fraction = len(digits) - 1 - exponent
        ends = [1, 1 + exponent, len(digits)]
        for begin, end, words in zip(
            ends, ends[1:], (f"exponent, {exponent}", f"fraction, {fraction}"), strict=False
        ):
            drawing.over(begin * width + 1, end * width - 1, y - 6, words)
        styles = [parts[sum(place >= end for end in ends)] for place in range(len(digits))]
        return drawing.cells(0, y, [digits], width, [styles])

    row(48, f"`float32`: {value:.7f}", bits, 8)
    same = row(138, f"`bfloat16`: {upper:.7f}", bits[:16], 8)
    drawing.cells(same.right[0], same.y, [["0"] * 16], width, "absent")
    row(228, f"`float16`: {half:.7f}", f"{int(half.view(np.uint16)):016b}", 5)
    return drawing
