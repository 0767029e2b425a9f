"""What `tutor show` shows: attention, next tokens and shapes, in the terminal or in a file."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.bar import Bar
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from tutor import checkpoint, course, loading, observing, pictures, shapes, writing
from tutor.console import OpenConsole
from tutor.errors import InputError
from tutor.generation import Engine
from tutor.pictures import percent
from tutor.tracing import Line

Array = NDArray[np.floating]

WIDEST_LABEL = 12  # of a token in the terminal
LONGEST_TITLE = 60  # characters of the text that it repeats
CELL = 3  # columns for a weight, up to 100 percent
SMALLEST, SHADED = 0.005, 0.045  # weights that have a number, and a shade
FAINT, STRONG = np.array([140, 140, 145]), np.array([255, 165, 0])  # clear on black and on white
SCALE = (0.01, 0.05, 0.1, 0.25, 0.5, 1)  # of the legend
NARROWEST, WIDEST = 14, 30  # columns for a temperature, with its bars and numbers
SUM_TOLERANCE = 1e-3  # rounding moves the sum of weights by 1e-6
# Letters of no fixed size.
LETTERS = {"B": "B batch", "T": "T tokens", "N": "N new tokens", "P": "P tokens before them"}


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
    layers, heads = engine.config.n_layer, engine.config.n_head
    layer = layers - 1 if layer is None else choose("--layer", layer, layers)
    chosen = list(range(heads)) if head is None else [choose("--head", head, heads)]
    with loading.learners_code(tree):
        weights = observing.attention_weights(engine.model, ids, layer)[chosen]
    if not np.isfinite(weights).all():
        raise InputError(f"layer {layer} has weights that are not finite; see tutor check 7")
    tokens = [visible(engine.tokenizer.decode([token])) for token in ids]
    title = f"Layer {layer} of {name_of(model)}"
    if output:
        names = [f"head {number}" for number in chosen]
        draw(output, pictures.draw_attention, title, names, weights, tokens)
        return
    title += f", the mean of its {heads} heads" if head is None else f", head {head}"
    console = OpenConsole(highlight=False)
    console.print(Text(title, "bold"))
    console.print(*attention_grid(tokens, weights.mean(axis=0), console), sep="\n")
    console.print(f"Layers are 0 to {layers - 1}, heads 0 to {heads - 1}: --layer, --head.")
    if np.abs(weights.sum(axis=-1) - 1).max() > SUM_TOLERANCE or np.triu(weights, 1).any():
        console.print("Not all rows sum to 1 and end at their own token: see tutor check 7.")


def show_next(
    text: str,
    temperatures: Sequence[float],
    top: int,
    *,
    model: str | None,
    tree: str,
    output: Path | None,
) -> None:
    """Show which tokens may come next, and how likely each is at several temperatures."""
    if wrong := [each for each in temperatures if not 0 < each < np.inf]:
        raise InputError(
            f"--temperature must be above 0, but is {wrong[0]:g}; near 0 the likeliest has it all"
        )
    engine, prompt, ids = read(text, model, tree, output)
    with loading.learners_code(tree):
        logits = observing.next_logits(engine.model, ids)
    if not np.isfinite(logits).all():
        raise InputError("the model gives logits that are not finite; see tutor check 10")
    tokens, shares = likeliest(engine, logits, temperatures, top)
    shown = visible(prompt).replace("␣", " ")
    shown = shown if len(shown) <= LONGEST_TITLE else f"… {shown[-LONGEST_TITLE:]}"
    title = f"What {name_of(model)} expects after “{shown}”, by temperature"
    if output:
        draw(output, pictures.draw_next, title, temperatures, tokens, shares)
        return
    console = OpenConsole(highlight=False)
    console.print(Text(title, "bold"))
    console.print(*next_bars(temperatures, tokens, shares, console), sep="\n")


def show_shapes(number: int, *, model: str | None, tree: str, output: Path | None) -> None:
    """Show the shapes on the way through a step."""
    if output:
        pictures.check_output(output)
    sheet = shapes.of_step(number, model, tree)
    step = course.load_step(number)
    rows = [row for line in sheet.lines for row in indented(line)]
    used = set("".join(re.findall(r"\[.*?\]", " ".join(map("".join, rows)))))
    named = [meaning for letter, meaning in LETTERS.items() if letter in used]
    sized = [f"{name} = {n}" for name, n in sheet.letters.sizes.items() if name in used]
    note = f"{', '.join([*named, *sized])}{sheet.whose}"
    title = f"{step.label.capitalize()}, {step.title}: {step.file(tree)}"
    if output:
        draw(output, pictures.draw_table, title, [sheet.head, *rows], note)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in sheet.head:
        table.add_column(name, no_wrap=name == sheet.head[0])
    for row in rows:
        table.add_row(*map(Text, row))
    console = OpenConsole(highlight=False)
    console.print(Text(title, "bold"), table, Text(note, "dim"), sep="\n")


def read(
    text: str, model: str | None, tree: str, output: Path | None
) -> tuple[Engine, str, list[int]]:
    """The model, not compiled, and a text with its tokens; - is what comes from standard input."""
    if output:
        pictures.check_output(output)
    ((prompt, _),) = writing.find_prompts({"TEXT": text})
    engine = writing.start_engine(model, tree=tree)
    story = engine.story(str(prompt), seed=0)
    return engine, story.prompt, story.prompt_ids


def draw(output: Path, picture: Callable[..., None], *arguments: Any) -> None:
    """Draw a picture, and say where it is."""
    with Console(stderr=True).status("Drawing"):
        picture(output, *arguments)
    print(output)


def choose(option: str, number: int, count: int) -> int:
    """A layer or head, if there is one of this number."""
    if not 0 <= number < count:
        raise InputError(f"{option} must be 0 to {count - 1}, but is {number}")
    return number


def name_of(model: str | None) -> str:
    """What a title calls a model."""
    return checkpoint.find_model(model).name if model is None else Path(model).name or model


def visible(token: str) -> str:
    """A token with its spaces, line ends and whatever else is not to be seen."""
    marked = token.replace(" ", "␣").replace("\n", "↵")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in marked)


def label(token: str, width: int) -> str:
    """A token at the right end of so many columns, cut if it is longer."""
    cut = set_cell_size(token, width - 1) + "…" if cell_len(token) > width else token
    return " " * (width - cell_len(cut)) + cut


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
    said = "Percent that the token of a row takes from that of a column; · is less than 0.5."
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


def likeliest(
    engine: Engine, logits: Array, temperatures: Sequence[float], top: int
) -> tuple[list[str], Array]:
    """The likeliest tokens, and all others as one; what each has at each temperature."""
    order = np.argsort(-logits, kind="stable")
    first, rest = order[:top], order[top:]
    all_shares = [observing.softmax(logits, temperature) for temperature in temperatures]
    tokens = [visible(engine.tokenizer.decode([token])) for token in first.tolist()]
    shares = [[*share[first], share[rest].sum()] for share in all_shares]
    return [*tokens, f"{len(rest):,} others"], np.array(shares)


def next_bars(
    temperatures: Sequence[float], tokens: Sequence[str], shares: Array, console: Console
) -> Iterator[RenderableType]:
    """A bar for each token and temperature, as many temperatures side by side as there is room."""
    width = min(max(map(cell_len, tokens)), WIDEST_LABEL)
    room = console.width - width
    beside = max(1, min(len(temperatures), room // NARROWEST))
    bar = max(1, min(room // beside, WIDEST) - 9)  # and a number, and spaces between
    for start in range(0, len(temperatures), beside):
        table = Table(box=None, padding=0, header_style="dim")
        table.add_column(width=width)
        for temperature in temperatures[start : start + beside]:
            table.add_column(f"  {temperature:g}", width=bar + 9)
        for number, token in enumerate(tokens):
            is_rest = number == len(tokens) - 1
            cells = []
            for row in shares[start : start + beside]:
                line = Table.grid(padding=0)
                drawn = Bar(float(shares.max()), 0, row[number], width=bar, color="default")
                line.add_row("  ", drawn, percent(row[number]).rjust(7))
                cells.append(line)
            table.add_row(label(token, width), *cells, style="dim" if is_rest else None)
        yield table


def indented(line: Line, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """A line and its parts as rows of a table."""
    yield "  " * depth + line.label, line.shapes, line.weights
    for part in line.parts:
        yield from indented(part, depth + 1)
