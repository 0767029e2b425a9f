"""The report on a class: one page of HTML that asks for nothing from anywhere else.

Names, explanations and problems come from submissions, so nothing in them is trusted: whatever the
template prints is bounded, and what cannot be seen is spelled out, before it is escaped.
"""

import re
import statistics
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tutor.course.names import find_name, prose
from tutor.course.tracks import STEPS
from tutor.course.verdicts import Verdict
from tutor.grade.grades import CheckGrade, Grade, StepGrade
from tutor.grade.report import findings
from tutor.grade.report.overview import Overview, survey

MOST_WIDE = 200  # characters of a line; the longest line of the course's own has 160
MOST_NAME = 64
MOST_TEXT = 10_000  # of an explanation, that are looked at
MOST_LINES = 40  # of an explanation
ALL_EXPLANATIONS = 2_000_000  # characters of all of them, so that a large class is still one file
EXPLANATION = range(120, 4_000)  # characters of one of them: at least, and at most
ACCENT = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
TOWER = re.compile(f"({ACCENT}{{4}}){ACCENT}+")  # of accents, which would cover other lines
JOINERS = "\u200c\u200d"  # cannot be seen, but Persian names and emoji are spelled with them

# The verdicts that points do not tell.
SIGNED = [verdict for verdict in Verdict if verdict not in (Verdict.PASSED, Verdict.WRONG)]
RUN_BY = {"reference": "the reference's", "own": "the learner's own"}


def render(grades: Sequence[Grade]) -> str:
    """The report on these grades, as a page that stands alone."""
    overview = survey(grades)
    shared = {name: findings.distinct(grades, name) for name in findings.SHARED}
    shared["course"] = [digest[:12] for digest in shared["course"]]
    page = templates().get_template("report.html")
    return page.render(
        overview=overview,
        findings=findings,
        room=explanation_room(overview),
        dates=sorted({when(grade.started) for grade in grades}),
        shared=shared,
    )


def templates() -> Environment:
    """Where the template is, and what it may call; all that it prints passes `line`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        finalize=line,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"name": partial(line, most=MOST_NAME), "excerpt": excerpt}
    environment.filters |= {"groups": group_checks, "steps": name_steps, "tone": tone}
    environment.filters |= {"identify": findings.identify, "said": said, "first_line": first_line}
    environment.filters |= {"mean": statistics.fmean, "median": statistics.median}
    environment.globals |= {"SIGNED": SIGNED, "RUN_BY": RUN_BY, "STEPS": STEPS}
    return environment


def line(value: Any, most: int = MOST_WIDE) -> Any:
    """A text in one line, none of it invisible; numbers and what is escaped already stay."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    shown = visible(value[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def excerpt(text: str, room: int) -> Markup:
    """The lines at the beginning of a text, escaped; where that is not all, how long it is."""
    begin = text[: 8 * room].strip("\r\n")  # more than is shown, since lines may end in spaces
    rows = begin.split("\n")
    shown = "\n".join(visible(row.rstrip(" \r"), kept="\t") for row in rows[:MOST_LINES])
    is_cut = len(shown) > room or len(rows) > MOST_LINES or len(text) > 8 * room
    return escape(f"{shown[:room]}\n… cut, of {len(text):,} characters" if is_cut else shown)


def visible(text: str, kept: str = "") -> str:
    """The text; a character that only a machine would see is spelled as in Python's strings."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in kept or char in JOINERS else spell(char)
        for char in TOWER.sub(r"\1…", text)
    )


def spell(char: str) -> str:
    """What stands for a character that cannot be seen; spaces of other widths are spaces."""
    return " " if unicodedata.category(char) == "Zs" else ascii(char)[1:-1]


def explanation_room(overview: Overview) -> int:
    """How many characters an explanation may have, so that all of them fit one file."""
    steps = [step for learner in overview.learners for step in learner.steps.values()]
    count = sum(len(group_checks(step)) for step in steps)
    fair = ALL_EXPLANATIONS // (count or 1)
    return max(EXPLANATION.start, min(fair, EXPLANATION.stop))


def first_line(text: str) -> str:
    """The first line of a text that says anything."""
    return next(filter(None, map(str.strip, text[:MOST_TEXT].split("\n"))), "")


def said(check: CheckGrade) -> str:
    """The explanation of a check, without its title, below which it is indented."""
    title, _, rest = check.explanation.partition("\n")
    if title.strip() == f"✗ {check.title}":
        return rest[:MOST_TEXT].removeprefix("  ").replace("\n  ", "\n")
    return check.explanation[:MOST_TEXT]


def group_checks(step: StepGrade) -> list[tuple[str, str, list[str]]]:
    """The checks that did not pass, as verdict, explanation and titles, each explanation once."""
    groups = defaultdict(list)
    for check in step.checks:
        if check.verdict != Verdict.PASSED:
            groups[check.verdict, said(check)].append(check.title)
    return [(verdict, text, titles) for (verdict, text), titles in groups.items()]


def name_steps(names: list[str]) -> str:
    """Steps as a sentence calls them: steps 02 and 03; as they are, where one is not known."""
    found = [name for name in map(find_name, names) if name]
    return prose(found) if len(found) == len(names) else ", ".join(names)


def tone(points: float, most: int) -> str:
    """The class of a cell that has so many of its points, by quarters."""
    return f"tone-{int(4 * points / (most or 1))}"


def when(started: str) -> str:
    """A moment for people, or what is there in place of one."""
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M}"
    except ValueError:
        return started
