"""Pictures of the modern track: what a Llama has in place of GPT-2's parts."""

import json
import math

import numpy as np
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.modern_01 import LlamaConfig, read_config
from solutions.modern_02 import RMSNorm
from solutions.modern_03 import LlamaMLP
from solutions.modern_04 import rotary_speeds, rotary_table, rotate
from solutions.modern_09 import MixtureOfExperts, MoEConfig
from solutions.solution_01 import GPT2Config
from solutions.solution_03 import LayerNorm
from tests import test_modern_01 as files
from tools.book.figures.drawing import WIDTH, Box, Drawing, Point, number
from tutor import ROOT

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
        f"""Bars for the numbers {listed(x)}. Below them, on the left, what RMSNorm returns:
        {listed(outputs[0])}, all above 0 and in the same proportions. On the right, what layer
        normalization returns: {listed(outputs[1])}, around 0.""",
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
        turn it into L numbers, the gate, hardly any of them below 0. On the right, up_proj makes L
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
        ends = [1, 1 + exponent, len(digits)]
        for begin, end, words in zip(ends, ends[1:], ("exponent", "fraction"), strict=False):
            count = str(end - begin)
            said = f"{words}, {count}" if len(digits) == len(bits) else count
            drawing.over(begin * width + 1, end * width - 1, y - 6, said)
        styles = [parts[sum(place >= end for end in ends)] for place in range(len(digits))]
        return drawing.cells(0, y, [digits], width, [styles])

    row(48, f"`float32`: {value:.7f}", bits, 8)
    same = row(138, f"`bfloat16`: {upper:.7f}", bits[:16], 8)
    drawing.cells(same.right[0], same.y, [["0"] * 16], width, "absent")
    row(228, f"`float16`: {half:.7f}", f"{int(half.view(np.uint16)):016b}", 5)
    return drawing


def groups() -> Drawing:
    heads = 4
    drawing = Drawing(
        "groups",
        "Four heads with a group each, in two groups, and in one",
        """Three rows, each with four queries, one for each head, and below them keys and values.
        With four groups, each head has its own. With two groups, heads 0 and 1 share group 0, heads
        2 and 3 share group 1. With one group, all heads share it.""",
    )
    width, height, between = 58, 24, 16
    left = WIDTH - heads * (width + between) + between - 1

    def centre(head: float) -> float:
        return left + head * (width + between) + width / 2

    for row, count in enumerate((4, 2, 1)):
        y, shared = row * 128, heads // count
        label = f"{count} group{'s' * (count > 1)}, as many as heads" if count == heads else ""
        label = label or f"{count} group{'s' * (count > 1)}: {shared} heads share one"
        drawing.text(0, y + 8, label, align="start")
        below = []
        for group in range(count):
            place = centre(group * shared + (shared - 1) / 2)
            words = f"`k {group}`, `v {group}`"
            below.append(drawing.box(place - width / 2, y + 78, width, height, words, "stream"))
        for head in range(heads):
            asks = drawing.box(centre(head) - width / 2, y + 22, width, height, f"`q {head}`")
            drawing.arrow(below[head // shared].top, asks.bottom, style="stream")
    return drawing


# The parts of GPT-2 and of a Llama in their order, and what has changed from the one to the other.
PARTS = (
    ("wte", "embed_tokens", ""),
    ("wpe", "", "no table"),
    ("ln_1", "input_layernorm", "RMSNorm"),
    ("attn", "self_attn", "RoPE, groups"),
    ("ln_2", "post_attention_\nlayernorm", "RMSNorm"),
    ("mlp", "mlp", "SwiGLU"),
    ("ln_f", "norm", "RMSNorm"),
    ("lm_head", "lm_head", ""),
)
FIRST, LAST = 2, 5  # of those in a block


def from_gpt2() -> Drawing:
    def told(part: tuple[str, str, str]) -> str:
        old, new, change = part
        new = new.replace("\n", "")
        return f"{old} {'is ' + new if new else 'is gone'}: {change or 'as it was'}"

    drawing = Drawing(
        "from_gpt2",
        "GPT-2 and Llama, part by part",
        f"""Two columns of boxes from top to bottom, GPT-2 on the left, a Llama on the right, and
        between them what has changed. {"; ".join(map(told, PARTS))}. The four in the middle are a
        block, and in both models attn and mlp add to the stream.""",
    )
    left, right, height, row = 88, 128, 36, 50
    middle, start = (left + WIDTH - right) / 2, 26
    drawing.text(left / 2, 8, "GPT-2")
    drawing.text(WIDTH - right / 2, 8, "Llama")
    top, bottom = (start + place * row for place in (FIRST, LAST + 1))
    drawing.line((0, top - 7), (WIDTH, top - 7), style="muted dashed")
    drawing.line((0, bottom - 7), (WIDTH, bottom - 7), style="muted dashed")
    for place, (old, new, change) in enumerate(PARTS):
        y, style = start + place * row, "stream" if change else "soft"
        words = [f"`{name}`" for name in new.split("\n")]
        before = drawing.box(1, y, left - 2, height, f"`{old}`")
        after = drawing.box(
            *(WIDTH - right + 1, y, right - 2, height),
            "\n".join(words) if new else "",
            style if new else "absent",
        )
        drawing.arrow(before.right, after.left, style="stream" if change else "muted")
        drawing.text(middle, y + 8, change or "the same", "" if change else "muted")
    return drawing


def cache_costs() -> dict[str, int]:
    """How many numbers the caches of three models keep for each token."""
    gpt2, llama = GPT2Config(), read_config(files.FILES[LLAMA])
    layers, head_dim = 2 * llama.num_hidden_layers, llama.head_dim
    assert head_dim
    assert llama.num_key_value_heads
    return {
        "GPT-2 small": 2 * gpt2.n_layer * gpt2.n_embd,
        LLAMA: layers * llama.num_key_value_heads * head_dim,
        "without groups": layers * llama.num_attention_heads * head_dim,
    }


def group_cache() -> Drawing:
    costs = cache_costs()
    kilobytes = {name: 4 * count / 1000 for name, count in costs.items()}
    drawing = Drawing(
        "group_cache",
        "What a cache keeps for each token, in float32",
        f"""Three bars. {"; ".join(f"{name}: {size:.0f} kB" for name, size in kilobytes.items())}.
        The last is the same Llama, with keys and values for each head.""",
    )
    left, height = 6, 20
    longest = max(costs.values())
    for place, (name, size) in enumerate(kilobytes.items()):
        y, length = place * 52, costs[name] / longest * (WIDTH - left - 70)
        drawing.text(left, y + 9, name, align="start")
        style = "stream full" if name == LLAMA else "soft"
        box = drawing.box(left, y + 20, length, height, style=style)
        drawing.text(box.x + length + 8, y + 30, f"{size:.0f} kB", "mono", align="start")
    return drawing


def experts() -> Drawing:
    config = MoEConfig(6, 2, 8, norm_topk_prob=True)
    layer, rng = MixtureOfExperts(4, config), np.random.default_rng(6)
    shapes = {name: tuple(map(int, parameter.shape)) for name, parameter in layer.parameters}
    layer.load_state_dict(
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    )
    x = Tensor.from_dlpack(np.array([[[0.9, -0.4, 0.3, 0.6]]], dtype=np.float32))
    odds, shares = (each.to_numpy()[0, 0] for each in (F.softmax(layer.gate(x)), layer.route(x)))
    chosen = np.flatnonzero(shares).tolist()
    drawing = Drawing(
        "experts",
        "One token on its way through two of six experts",
        f"""From top to bottom: the token's vector goes into the gate, whose softmax gives six
        probabilities, {", ".join(number(value) for value in odds)}. The two largest are those of
        experts {chosen[0]} and {chosen[1]}. The vector goes into these two, and their outputs are
        multiplied by {number(shares[chosen[0]])} and {number(shares[chosen[1]])}, which sum to 1,
        and added. The other four experts are not used.""",
    )
    left, width, base, top = 4, 47, 142, 180
    side, middle = WIDTH - 5, left + 3 * width
    vector = drawing.box(middle - 16, 0, 32, 24, "`x`", "stream")
    gate = drawing.box(middle - 60, 48, 120, 24, "`gate`, softmax")
    drawing.arrow(vector.bottom, gate.top, style="stream")
    drawing.bars(left, base, odds, width, 80)
    plus = drawing.plus(middle, top + 76, "stream")
    for place, (value, share) in enumerate(zip(odds.tolist(), shares.tolist(), strict=True)):
        centre, used = left + (place + 0.5) * width, place in chosen
        style = "stream" if used else "muted"
        drawing.text(centre, base - value * 80 - 9, number(value), f"mono {style}")
        expert = drawing.box(
            centre - width / 2 + 3, top, width - 6, 26, f"`{place}`", "stream" if used else "absent"
        )
        if used:
            drawing.arrow(
                vector.right, (side, 12), (side, 160), (centre, 160), expert.top, style=style
            )
            edge = plus.left if centre < middle else plus.right
            drawing.arrow(expert.bottom, (centre, edge[1]), edge, style=style)
            align, gap = ("end", -6) if centre < middle else ("start", 6)
            drawing.text(centre + gap, top + 52, f"× {number(share)}", align=align)
    drawing.text(left, gate.left[1], "which two?", align="start")
    mixed = drawing.box(middle - 16, top + 110, 32, 24, "`y`", "stream")
    drawing.arrow(plus.bottom, mixed.top, style="stream")
    return drawing


def worth() -> Drawing:
    text = (ROOT / "book" / "src" / "data" / "ablation.json").read_text(encoding="utf-8")
    losses = {
        row["name"]: list(row["heldout_loss"].values())[-1] for row in json.loads(text).values()
    }
    without, *names = losses
    saved = {name: losses[without] - losses[name] for name in names}
    together = names[0]  # the others are single changes
    order = [*sorted(names[1:], key=saved.__getitem__), together]
    drawing = Drawing(
        "worth",
        "By how much each change lowers the loss of a small GPT-2",
        f"""A bar for each change, to the right if it lowers the held-out loss, to the left if it
        raises it: {"; ".join(f"{name} {signed(saved[name])}" for name in order)}.""",
    )
    lowest, highest = min(0, *saved.values()), max(saved.values())
    left, right = 12, WIDTH - 60
    unit = (right - left) / (highest - lowest)
    zero = left - lowest * unit
    for place, name in enumerate(order):
        y, value = place * 46, saved[name]
        start, end = sorted((zero, zero + value * unit))
        drawing.text(start, y + 9, name, align="start")
        drawing.box(start, y + 20, end - start, 18, style="stream full" if value > 0 else "soft")
        drawing.text(end + 8, y + 29, signed(value), "mono", align="start")
    return drawing


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
