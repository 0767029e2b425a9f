"""A picture of what has changed since GPT-2: what the course teaches of it, and what it doesn't.

All of it is read from the page it stands on: its table and its list of papers. A step teaches the
papers that its solution names as its source.
"""

import itertools
import re
from dataclasses import dataclass

from tools.book.figures.drawing import WIDTH, Drawing
from tutor import ROOT
from tutor.course.registry import Step, all_steps
from tutor.course.tracks import STEPS

PAGE = ROOT / "book" / "src" / "beyond.md"
PAPER = re.compile(r"^- [^\[]*\[([^\]]+)\]\(\S+\),\s+(\d{4})(?:: (.+))?", re.MULTILINE)
PART = re.compile(r"^\| ([^|]+) \| ([^|]+) \| \[[^|]*?arxiv\.org/abs/(\d\d)\d\d\.", re.MULTILINE)
STEP = re.compile(r"\[([^\]]+)\]\(\w+_\d\d\.md\)")
LEFT, HEIGHT, STRIDE, GAP = 46, 20, 23, 7


@dataclass(frozen=True)
class Change:
    """Something that came in a year, and the step that teaches it, or that the table names."""

    year: int
    name: str
    step: str
    is_taught: bool = True


def changes() -> list[Change]:
    """GPT-2 and what came after it, by year."""
    page = PAGE.read_text(encoding="utf-8")
    papers = {
        " ".join(title.split()): (int(year), note) for title, year, note in PAPER.findall(page)
    }
    (gpt2,) = (year for year, note in papers.values() if note == "GPT-2")
    first, *_, last = all_steps(STEPS)
    models = " ".join(page.partition("The models:")[2].partition("Training and")[0].split())
    taught = [
        Change(year, title if f"[{title}]" in models else step.title, step.label)
        for step in all_steps()
        for title, (year, note) in papers.items()
        if f'"{title}' in source(step) and year >= gpt2 and note != "GPT-2"
    ]
    others = [
        Change(2000 + int(year), name, (STEP.findall(text) or [""])[0], is_taught=False)
        for name, text, year in PART.findall(page)
    ]
    start = Change(gpt2, "GPT-2", f"steps {first.number} to {last.number}")
    return sorted([start, *taught, *others], key=lambda change: change.year)


def source(step: Step) -> str:
    """What a solution says of itself, in one line."""
    text = (ROOT / step.file("solutions")).read_text(encoding="utf-8")
    return " ".join(text.split('"""')[1].split())


def since() -> Drawing:
    found = changes()
    said = [f"{change.year} {change.name}, {where(change)}" for change in found]
    drawing = Drawing(
        "since",
        "What has changed since GPT-2, by year",
        f"A list from the oldest to the newest, with the years beside it. {'; '.join(said)}.",
    )
    y = 0.0
    for year, group in itertools.groupby(found, key=lambda change: change.year):
        drawing.text(0, y + HEIGHT / 2, f"{year}", "mono muted", align="start")
        for change in group:
            style, ink = ("stream", "") if change.is_taught else ("absent", "muted")
            drawing.box(LEFT, y, WIDTH - LEFT - 1, HEIGHT, style=style)
            drawing.text(LEFT + 8, y + HEIGHT / 2, change.name, ink, align="start")
            drawing.text(WIDTH - 8, y + HEIGHT / 2, change.step, f"{ink} mono".strip(), align="end")
            y += STRIDE
        y += GAP
    drawing.sample(LEFT, y, "stream", "You build it, in this step.")
    drawing.sample(LEFT, y + STRIDE, "absent", "In the table below, which names this step.")
    return drawing


def where(change: Change) -> str:
    if change.is_taught:
        return f"which you build in {change.step}"
    return f"in the table, with {change.step}" if change.step else "in the table"
