"""A learner's file beside the reference, and where they differ."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tutor import ROOT
from tutor.course import sources, stubs
from tutor.course.registry import Step

WIDE = 110  # columns from which two files are shown side by side; a line of theirs has 100 at most
COLOURS = {"-": "red", "+": "green", " ": ""}  # the learner's, the reference's, both's
CONTEXT = 4  # lines that are shown above and below a difference
ALIKE = 0.5  # how much of two lines is the same if one is the other, changed
Opcode = tuple[str, int, int, int, int]  # of difflib
TODO = re.compile(r" *# TODO:")


@dataclass(frozen=True)
class Piece:
    """A line of code, or all lines of a comment."""

    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """What counts: the code, or the words of a comment, be it a TODO or not."""
        if not is_comment(self.lines[0]):
            return self.lines[0].partition("  # ")[0].rstrip()
        words = " ".join(line.lstrip().removeprefix("#") for line in self.lines).split()
        return " ".join(["#", *words[words[:1] == ["TODO:"] :]])


GAP = Piece(("⋮",))


@dataclass(frozen=True)
class Change:
    """Pieces of the learner's file, and those of the reference in the same place."""

    own: list[Piece]
    reference: list[Piece]
    is_equal: bool  # in what Python reads

    @property
    def rows(self) -> Iterator[tuple[str | None, str | None]]:
        """The lines that stand side by side."""
        for pair in zip_longest(self.own, self.reference):
            yield from zip_longest(*(piece.lines if piece else () for piece in pair))


def compare(step: Step) -> list[Change]:
    """A learner's file and the reference as it would stand in `steps/`, from top to bottom."""
    file = ROOT / step.file("steps")
    text = file.read_text(errors="replace") if file.is_file() else ""
    source = sources.reference(step, "steps")
    if "\nTask: " in text:
        source = stubs.with_header(source, step)
    own, reference = list(pieces(text)), list(pieces(source))
    opcodes = match([piece.text for piece in own], [piece.text for piece in reference])
    changes = [(tag, own[a:b], reference[c:d]) for tag, a, b, c, d in opcodes]
    return [
        Change(left, right, tag == "equal" or all(is_comment(each.text) for each in left + right))
        for tag, left, right in changes
    ]


def folded(changes: list[Change]) -> Iterator[Change]:
    """The same without what is far from all differences."""
    for place, change in enumerate(changes):
        count = len(change.own)
        head = CONTEXT if place else 0
        tail = count - CONTEXT if place < len(changes) - 1 else count
        if change.is_equal and count == len(change.reference) and tail - head > 1:
            yield Change(change.own[:head], change.reference[:head], is_equal=True)
            yield Change([GAP], [GAP], is_equal=True)
            yield Change(change.own[tail:], change.reference[tail:], is_equal=True)
        else:
            yield change


def match(own: list[str], other: list[str], least: float = 0.0) -> list[Opcode]:
    """What makes the other out of one's own; nothing if less than this is common to both."""
    matcher = difflib.SequenceMatcher(lambda text: not text, own, other, autojunk=False)
    return list(matcher.get_opcodes()) if matcher.ratio() >= least else []


def is_comment(line: str) -> bool:
    """Whether a line says nothing to Python."""
    return not line.strip() or line.lstrip().startswith("#")


def pieces(source: str) -> Iterator[Piece]:
    """A source in pieces; a comment goes on in the next line, unless a TODO begins there."""
    lines: tuple[str, ...] = ()
    for line in source.expandtabs().splitlines():
        is_in_todo = bool(lines) and bool(TODO.match(lines[0]))
        goes_on = re.match(" *#   " if is_in_todo else " *#", line) and not TODO.match(line)
        if lines and not (goes_on and lines[0].lstrip().startswith("#")):
            yield Piece(lines)
            lines = ()
        lines += (line,)
    if lines:
        yield Piece(lines)


def show(step: Step, console: Console) -> RenderableType:
    """Both files side by side where there is room, else one within the other."""
    names, changes = [step.file(tree) for tree in ("steps", "solutions")], compare(step)
    if all(change.is_equal for change in changes):
        return Text("{} and {} are the same, except for comments.".format(*names))
    changes = list(folded(changes))
    if console.is_terminal and console.width >= WIDE:
        return beside(changes, names)
    heads = [(mark, Text(name, COLOURS[mark])) for mark, name in zip("-+", names, strict=True)]
    lines = [*heads, (" ", Text()), *within(changes)]
    if not console.is_terminal:
        return Group(*(Text.assemble(mark, " ", text) for mark, text in lines))
    table = Table.grid(padding=(0, 1, 0, 0))
    for mark, text in lines:
        table.add_row(Text(mark, COLOURS[mark]), hung(text))
    return table


def beside(changes: list[Change], names: list[str]) -> RenderableType:
    """Both files side by side."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    for name in names:
        table.add_column("", width=1)
        table.add_column(name, ratio=1)
    for change in changes:
        marks = "  " if change.is_equal else "-+"
        for own, reference in change.rows:
            left, right = marked(marks[0], own, reference), marked(marks[1], reference, own)
            cells = [(Text(mark, COLOURS[mark]), hung(text)) for mark, text in (left, right)]
            table.add_row(*chain.from_iterable(cells))
    return table


def within(changes: list[Change]) -> Iterator[tuple[str, Text]]:
    """One file within the other: each line, and a mark if only one of them has it."""
    for change in changes:
        rows = list(change.rows)
        if change.is_equal:
            yield from (marked(" ", own if line is None else line) for own, line in rows)
        else:
            yield from (marked("-", own, other) for own, other in rows if own is not None)
            yield from (marked("+", line, own) for own, line in rows if line is not None)


def marked(mark: str, line: str | None, other: str | None = None) -> tuple[str, Text]:
    """A line in the colour of its mark; in bold, what the line beside it has otherwise."""
    if line is None:
        return " ", Text()
    if is_comment(line):
        mark = " "
    shown = Text(line, COLOURS[mark])
    if mark != " " and other:
        words = [re.findall(r"\w+|\s+|.", text) for text in (line, other)]
        for tag, first, end, _, _ in match(words[0], words[1], ALIKE):
            if tag != "equal":
                places = [len("".join(words[0][:place])) for place in (first, end)]
                shown.stylize("bold underline", *places)
    return mark, shown


def hung(text: Text) -> RenderableType:
    """A line that goes on below its own beginning if it is broken."""
    indent = len(text.plain) - len(text.plain.lstrip())
    return Padding(text[indent:], (0, 0, 0, indent))
