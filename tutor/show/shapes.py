"""`tutor show shapes`: the shapes on the way through a step."""

import re
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from tutor.course.registry import Step
from tutor.show import pictures, sheets
from tutor.show.tracing import Line
from tutor.terminal.console import OpenConsole

# Letters of no fixed size.
LETTERS = {"B": "B batch", "T": "T tokens", "N": "N new tokens", "P": "P tokens before them"}


def show_shapes(step: Step, *, model: str | None, tree: str, output: Path | None) -> None:
    """Show the shapes on the way through a step."""
    if output:
        pictures.check_output(output)
    sheet = sheets.of_step(step, model, tree)
    rows = [row for line in sheet.lines for row in indented(line)]
    used = "".join(re.findall(r"\[.*?\]", " ".join(map("".join, rows))))
    named = [meaning for letter, meaning in LETTERS.items() if letter in used]
    note = f"{', '.join([*named, *sheet.letters.legend(used)])}{sheet.whose}"
    title = f"{step.label.capitalize()}, {step.title}: {step.file(tree)}"
    if output:
        pictures.draw(output, pictures.draw_table, title, [sheet.head, *rows], note)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in sheet.head:
        table.add_column(name, no_wrap=name == sheet.head[0])
    for row in rows:
        table.add_row(*map(Text, row))
    console = OpenConsole(highlight=False)
    console.print(Text(title, "bold"), table, Text(note, "dim"), sep="\n")


def indented(line: Line, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """A line and its parts as rows of a table."""
    yield "  " * depth + line.label, line.shapes, line.weights
    for part in line.parts:
        yield from indented(part, depth + 1)
