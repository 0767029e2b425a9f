"""What the learner has built, to show around: a picture of the model, and a text."""

import ast
import textwrap
from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tutor import ROOT, files
from tutor.course.parts import OUTERMOST, PARTS, SHORT
from tutor.course.tracks import STEPS, TRACKS
from tutor.errors import InputError
from tutor.learn.progress import TITLE, Standing, count, of_track

# Of the picture, in pixels: a box without others in it, what is around those in it, and its title.
WIDTH, HEIGHT, GAP, HEAD = 124, 46, 8, 26
WIDEST = 164  # of a name with its lines beside it
MARGIN, TOP, LINE = 28, 104, 24
STYLE = """
.card { --paper: #fdfcf9; --ink: #1b1d22; --mine: #0b5cad; --open: #8b8f98; }
@media (prefers-color-scheme: dark) {
    .card { --paper: #14171f; --ink: #e4e6ee; --mine: #6cb6ff; --open: #767c88; }
}
.card { font: 14px system-ui, "DejaVu Sans", sans-serif; }
.card text { fill: var(--ink); }
.card .title { font: 600 26px Georgia, "DejaVu Serif", serif; }
.card .paper { fill: var(--paper); }
.card .box { fill: none; stroke: var(--open); stroke-dasharray: 4 3; }
.card .mine { fill: var(--mine); fill-opacity: 0.12; stroke: var(--mine); stroke-dasharray: none; }
.card .name { font-weight: 600; }
.card .small { font-size: 12px; }
"""


@dataclass(frozen=True)
class Built:
    """The steps of the twelve that have passed, with the lines of code in each."""

    known: tuple[Standing, ...]
    lines: dict[int, int]  # by the number of the step

    @property
    def sentence(self) -> str:
        """All of it in a sentence."""
        total = sum(self.lines.values())
        twelve = of_track(self.known, STEPS)
        if len(self.lines) == len(twelve):
            return f"I wrote GPT-2 from scratch: {len(twelve)} steps, {total} lines of Python."
        return (
            f"I'm writing GPT-2 from scratch: {len(self.lines)} of {len(twelve)} steps, "
            f"{total} lines of Python so far."
        )

    @property
    def points(self) -> str:
        """The points of each track that the learner has begun."""
        reached = [(track, *count(of_track(self.known, track))) for track in TRACKS]
        return ", ".join(
            f"{track.title}: {points} of {most} points" for track, points, most in reached if points
        )


def gather(known: Collection[Standing]) -> Built:
    """What has passed. Raises InputError if nothing has."""
    passed = [each.step for each in of_track(known, STEPS) if each.has_passed]
    if not passed:
        raise InputError("nothing to share until a step has passed; begin with tutor check 1")
    lines = {step.number: code_lines(ROOT / step.file("steps")) for step in passed}
    return Built(tuple(known), lines)


def code_lines(file: Path) -> int:
    """The lines of a file with code in them: no empty ones, comments or docstrings."""
    text = file.read_text(encoding="utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told.update(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(bool(line) and line[0] != "#" and number not in told for number, line in lines)


def text(built: Built) -> str:
    """What the picture shows, in words."""
    rows = [
        f"  {'✓' if each.step.number in built.lines else '·'} {each.step.number:02}  "
        f"{each.step.title:<24}{lines_of(built, each.step.number):>10}".rstrip()
        for each in of_track(built.known, STEPS)
    ]
    opened = [f"{each.step.number:02}" for each in built.known if each.was_opened]
    notes = [f"I looked at the solution first: {', '.join(opened)}."] if opened else []
    return "\n".join([TITLE, "", built.sentence, built.points + ".", *notes, "", *rows]) + "\n"


def lines_of(built: Built, number: int) -> str:
    """How many lines a step has, in words; nothing where it hasn't passed."""
    return f"{built.lines[number]} lines" if number in built.lines else ""


def size(number: int) -> tuple[int, int]:
    """The width and height of a box with all that is in it."""
    sizes = [size(part) for part in PARTS.get(number, ())]
    if not sizes:
        return WIDTH, HEIGHT
    width = sum(width for width, _ in sizes) + GAP * (len(sizes) + 1)
    return max(width, WIDEST), max(height for _, height in sizes) + HEAD + GAP


def box(built: Built, number: int, x: int, y: int) -> list[str]:
    """The shapes of a box, and of those in it."""
    width, height = size(number)
    kind = "box mine" if number in built.lines else "box"
    shapes = [f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>']
    name, lines = f"{number:02} {SHORT[number - 1]}", lines_of(built, number)
    shapes.append(f'<text class="name" x="{x + GAP}" y="{y + 19}">{name}</text>')
    if lines and number in PARTS:
        end = f'x="{x + width - GAP}" y="{y + 19}" text-anchor="end"'
        shapes.append(f'<text class="small" {end}>{lines}</text>')
    elif lines:
        shapes.append(f'<text class="small" x="{x + GAP}" y="{y + 37}">{lines}</text>')
    left = x + GAP
    for part in PARTS.get(number, ()):
        shapes += box(built, part, left, y + HEAD)
        left += size(part)[0] + GAP
    return shapes


def picture(built: Built) -> str:
    """The model as an SVG, each box of the learner's in colour, and what was written."""
    (whole, height), *others = map(size, OUTERMOST)
    shapes = box(built, OUTERMOST[0], MARGIN, TOP)
    left, below = MARGIN, TOP + height + GAP
    for number, (width, _) in zip(OUTERMOST[1:], others, strict=True):
        shapes += box(built, number, left, below)
        left += width + GAP
    width, height = whole + 2 * MARGIN, below + HEIGHT + MARGIN
    said = textwrap.wrap(built.points, 60)
    shapes += [
        f'<text class="small" x="{left + GAP}" y="{below + 19 + 18 * place}">{escape(line)}</text>'
        for place, line in enumerate(said)
    ]
    label = escape(f"{built.sentence} {built.points}.")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="card" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="{label}">',
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{width}" height="{height}" rx="12"/>',
            f'<text class="title" x="{MARGIN}" y="50">{TITLE}</text>',
            f'<text x="{MARGIN}" y="80">{escape(built.sentence)}</text>',
            *shapes,
            "</svg>\n",
        ]
    )


def share(known: Collection[Standing], file: Path) -> str:
    """Draw the picture into a file; returns the text."""
    if file.suffix.lower() != ".svg":
        raise InputError(f"{file} must end in .svg")
    built = gather(known)
    files.write(file, picture(built).encode())
    return text(built)
