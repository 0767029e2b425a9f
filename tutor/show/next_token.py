"""`tutor show next`: which tokens may come next, and how likely each is."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tutor.engine.generation import Engine
from tutor.engine.trees import learners_code
from tutor.errors import InputError
from tutor.show import observing, pictures
from tutor.show.pictures import percent
from tutor.show.subject import WIDEST_LABEL, label, name_of, read, visible
from tutor.terminal.console import OpenConsole

Array = NDArray[np.floating]

LONGEST_TITLE = 60  # characters of the text that it repeats
NARROWEST, WIDEST = 14, 30  # columns for a temperature, with its bars and numbers


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
            f"--temperature must be above 0, but is {wrong[0]:g}; "
            "towards 0 the most likely token gets everything"
        )
    engine, prompt, ids = read(text, model, tree, output)
    with learners_code(tree):
        logits = observing.next_logits(engine.model, ids)
    if not np.isfinite(logits).all():
        raise InputError("the model gives logits that are not finite; see tutor check 10")
    tokens, shares = likeliest(engine, logits, temperatures, top)
    shown = visible(prompt).replace("␣", " ")
    shown = shown if len(shown) <= LONGEST_TITLE else f"… {shown[-LONGEST_TITLE:]}"
    title = f"What {name_of(model)} expects after “{shown}”, by temperature"
    if output:
        pictures.draw(output, pictures.draw_next, title, temperatures, tokens, shares)
        return
    console = OpenConsole(highlight=False)
    console.print(Text(title, "bold"))
    console.print(*next_bars(temperatures, tokens, shares, console), sep="\n")


def likeliest(
    engine: Engine, logits: Array, temperatures: Sequence[float], top: int
) -> tuple[list[str], Array]:
    """The likeliest tokens, and all others as one; what each has at each temperature."""
    logits = logits.copy()
    logits[engine.silent] = -np.inf  # tokens without text are not drawn
    order = np.argsort(-logits, kind="stable")[: len(logits) - len(engine.silent)]
    first, rest = order[:top], order[top:]
    all_shares = [observing.softmax(logits, temperature) for temperature in temperatures]
    tokens = [visible(engine.tokenizer.show(token)) for token in first.tolist()]
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
