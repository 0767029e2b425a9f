"""`tutor show attention`: how much each token takes from each other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text

from tutor.engine.trees import learners_code
from tutor.errors import InputError
from tutor.show import observing, pictures
from tutor.show.subject import WIDEST_LABEL, label, name_of, read, visible
from tutor.terminal.console import OpenConsole

Array = NDArray[np.floating]

CELL = 3  # columns for a weight, up to 100 percent
SMALLEST, SHADED = 0.005, 0.045  # weights that have a number, and a shade
FAINT, STRONG = np.array([140, 140, 145]), np.array([255, 165, 0])  # clear on black and on white
SCALE = (0.01, 0.05, 0.1, 0.25, 0.5, 1)  # of the legend
SUM_TOLERANCE = 1e-3  # rounding moves the sum of weights by 1e-6


def show_attention(
    text: str,
    layer: int | None,
    head: int | None,
    *,
    model: str | None,
    tree: str,
    output: Path | None,
) -> None:
    """Show how much each token takes from each other: in one head, or in all of a layer.

    Unless chosen, the layer is the last. The terminal then shows the mean of its heads, and a file
    each of them.
    """
    engine, _, ids = read(text, model, tree, output)
    observing.only_gpt2(engine.folder, "tutor show attention")
    layers, heads = engine.config.n_layer, engine.config.n_head
    layer = layers - 1 if layer is None else choose("--layer", layer, layers)
    chosen = list(range(heads)) if head is None else [choose("--head", head, heads)]
    with learners_code(tree):
        weights = observing.attention_weights(engine.model, ids, layer)[chosen]
    if not np.isfinite(weights).all():
        raise InputError(f"layer {layer} has weights that are not finite; see tutor check 7")
    tokens = [visible(engine.tokenizer.show(token)) for token in ids]
    title = f"Layer {layer} of {name_of(model)}"
    if output:
        names = [f"head {number}" for number in chosen]
        pictures.draw(output, pictures.draw_attention, title, names, weights, tokens)
        return
    title += f", the mean of its {heads} heads" if head is None else f", head {head}"
    console = OpenConsole(highlight=False)
    console.print(Text(title, "bold"))
    console.print(*attention_grid(tokens, weights.mean(axis=0), console), sep="\n")
    console.print(f"Layers are 0 to {layers - 1}, heads 0 to {heads - 1}: --layer, --head.")
    if np.abs(weights.sum(axis=-1) - 1).max() > SUM_TOLERANCE or np.triu(weights, 1).any():
        console.print("Some rows do not sum to 1, or look ahead: see tutor check 7.")


def choose(option: str, number: int, count: int) -> int:
    """A layer or head, if there is one of this number."""
    if not 0 <= number < count:
        raise InputError(f"{option} must be 0 to {count - 1}, but is {number}")
    return number


def attention_grid(
    tokens: Sequence[str], weights: Array, console: Console
) -> Iterator[RenderableType]:
    """A row for each token, with the percent that it takes from each; shaded where colours are."""
    width = min(max(map(cell_len, tokens)), WIDEST_LABEL)
    count = min(len(tokens), max(1, (console.width - width - 1) // CELL))
    firsts = [token.removeprefix("␣") or token for token in tokens[:count]]
    heads = "".join(f" {set_cell_size(first, CELL - 1)}" for first in firsts)
    yield Text(f"{' ' * width} {heads.rstrip()}", "dim")
    for number, row in enumerate(weights[:count, :count]):
        line = Text(f"{label(tokens[number], width)} ")
        for column, weight in enumerate(row):
            line.append_text(cell(weight) if weight or column <= number else Text(" " * CELL))
        yield line
    said = "Percent that each row's token takes from each column's; · is less than 0.5."
    yield Text(said, "dim")
    if console.color_system and not console.no_color:
        yield Text(" ").join(cell(weight) for weight in SCALE)
    if count < len(tokens):
        yield f"These are the first {count} of {len(tokens)} tokens; --output FILE draws all."


def cell(weight: float) -> Text:
    """A weight in percent, and the more of it, the stronger the shade."""
    size = min(abs(weight), 1)
    if size < SMALLEST:
        return Text("·".rjust(CELL), "dim")
    number = f"{min(max(round(100 * weight), -99), 999)}".rjust(CELL)
    if size < SHADED:
        return Text(number)
    red, green, blue = FAINT + (STRONG - FAINT) * size**0.5
    shade = f"rgb(0,0,0) on rgb({red:.0f},{green:.0f},{blue:.0f})"
    return Text(number, Style.parse(shade))
