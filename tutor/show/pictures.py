"""Pictures in files, PNG or SVG, drawn by matplotlib; the same input gives the same file."""

import io
import logging
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tutor.errors import EnvironmentBrokenError, InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.floating]

SUFFIXES = (".png", ".svg")
STYLE = {
    "text.parse_math": False,  # a token may be a dollar
    "svg.fonttype": "none",  # text stays text, to search and to copy
    "svg.hashsalt": "tutor",  # or the names in the file would be drawn at random
    "font.size": 9,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}
COLOUR, MUTED = "#0b5cad", "#9aa5b1"
# Inches.
TOKEN, SMALLEST_PANEL, UNNAMED_PANEL = 0.18, 2.4, 5.0
BARS, BAR, LETTER, LINE = 2.3, 0.26, 0.083, 0.19  # all bars side by side, one, a letter of text
MOST_NAMED = 48  # tokens on an axis; of more, only some are numbered
TITLE_LETTERS = 11  # for each inch


def check_output(path: Path) -> None:
    """Refuse a file that is no picture, before anything is computed for it."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--output must end in {' or '.join(SUFFIXES)}, but is {path}")
    if not find_spec("matplotlib"):
        raise EnvironmentBrokenError(
            "drawing files takes matplotlib, which is missing; run `uv sync` or `pip install -e .`"
        )


@contextmanager
def drawing(path: Path, width: float, height: float) -> "Iterator[Figure]":
    """A figure to draw on, in inches, which is then written to a file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of caches and fonts
    content = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
        mpl.rcdefaults()  # whatever the user's own settings are
        mpl.rcParams.update(STYLE)
        figure = Figure((width, height), layout="constrained")
        yield figure
        kind = path.suffix.lower().removeprefix(".")
        figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else {})
    path.write_bytes(content.getvalue())


def draw(output: Path, picture: Callable[..., None], *arguments: Any) -> None:
    """Draw a picture, and say where it is."""
    with Console(stderr=True).status("Drawing"):
        picture(output, *arguments)
    print(output)


def give_title(figure: "Figure", title: str) -> None:
    """Write the title in as many lines as it needs."""
    width = int(TITLE_LETTERS * figure.get_figwidth())
    figure.suptitle("\n".join(textwrap.wrap(title, width)))


def draw_attention(
    path: Path, title: str, names: Sequence[str], weights: Array, tokens: Sequence[str]
) -> None:
    """A panel for each head, [H, T, T]: rows take from columns."""
    named = len(tokens) <= MOST_NAMED
    size = max(TOKEN * len(tokens), SMALLEST_PANEL) if named else UNNAMED_PANEL
    beside = 0.3 + (LETTER * max(map(len, tokens)) if named else 0)
    columns = math.ceil(math.sqrt(len(weights)))
    rows = math.ceil(len(weights) / columns)
    width, height = (size + beside) * columns + 1, (size + beside + 0.2) * rows + 0.4
    with drawing(path, width, height) as figure:
        give_title(figure, f"{title}: what each row takes from each column")
        panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        for panel, name, head in zip(panels, names, weights, strict=False):
            image = panel.imshow(head, cmap="Blues", vmin=0, vmax=1)
            panel.set_title(name, fontsize="medium")
            panel.tick_params(length=0, labelsize="small")
            panel.spines[:].set_visible(False)
            if named:
                panel.set_xticks(range(len(tokens)), tokens, rotation=90)
                panel.set_yticks(range(len(tokens)), tokens)
        for panel in panels[len(weights) :]:
            panel.set_axis_off()
        figure.colorbar(image, ax=panels, shrink=0.6, aspect=30)


def draw_next(
    path: Path,
    title: str,
    temperatures: Sequence[float],
    tokens: Sequence[str],
    shares: Array,
) -> None:
    """A panel of bars for each temperature, [n, tokens]; the last bar is all others."""
    with drawing(path, 1.5 + BARS * len(temperatures), 1.4 + BAR * len(tokens)) as figure:
        give_title(figure, title)
        panels = figure.subplots(1, len(temperatures), sharex=True, sharey=True, squeeze=False)[0]
        places = range(len(tokens))
        for panel, temperature, row in zip(panels, temperatures, shares, strict=True):
            bars = panel.barh(places, row, color=[COLOUR] * (len(tokens) - 1) + [MUTED])
            panel.bar_label(bars, [percent(share) for share in row], padding=3, fontsize="small")
            panel.set_title(f"temperature {temperature:g}", fontsize="medium")
            panel.spines[["top", "right", "bottom"]].set_visible(False)
            panel.tick_params(length=0, labelbottom=False)
        panels[0].set_yticks(places, tokens)
        panels[0].set_ylim(len(tokens) - 0.4, -0.6)
        panels[0].set_xlim(0, 1.3 * shares.max())  # the numbers stand beside the bars


def percent(share: float) -> str:
    """A share in at most six letters."""
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def draw_table(path: Path, title: str, rows: Sequence[Sequence[str]], note: str) -> None:
    """Rows of text below each other; the first has the heads of the columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    # In an SVG several spaces would be shown as one.
    lines = [line.replace(" ", "\N{NO-BREAK SPACE}") for line in (title, "", *table, "", note)]
    width, height = LETTER * max(map(len, lines)) + 0.5, LINE * (len(lines) + 1)
    with drawing(path, width, height) as figure:
        figure.set_layout_engine("none")
        for number, line in enumerate(lines, 1):
            weight = "bold" if number in (1, 3) else "normal"
            place = 0.2 / width, 1 - number * LINE / height
            figure.text(*place, line, family="monospace", weight=weight, va="center")
