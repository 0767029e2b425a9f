"""The class in the terminal: a line for each submission, a column for each step."""

from collections.abc import Iterable

from rich.text import Text

from tutor.course.names import named
from tutor.course.verdicts import Verdict
from tutor.grade.formats.services import quiet
from tutor.grade.grades import Grade

NAME = 20  # columns of a learner's name
LEGEND = "  ".join(
    f"{each.sign} {'machine at fault' if each is Verdict.BROKEN else each}" for each in Verdict
)


def heading(steps: Iterable[str]) -> Text:
    """The head of the table."""
    numbers = " ".join(named(name).short.rjust(2) for name in steps)
    return Text(f"{'learner'.ljust(NAME)} points  {numbers}", style="bold")


def row(grade: Grade, steps: Iterable[str]) -> Text:
    """A learner's line in the table."""
    learner = Text(quiet(grade.learner))
    learner.truncate(NAME, overflow="ellipsis", pad=True)
    points = f"{grade.points()}/{grade.max_points()}"
    line = Text.assemble(learner, f" {points.rjust(7)} ")
    verdicts = {step.step: step.verdict for step in grade.steps}
    for name in steps:
        verdict = verdicts.get(name)
        line.append(f"  {verdict.sign if verdict else ' '}", verdict.style if verdict else "")
    if grade.problem:
        line.append(f"\n  {quiet(grade.problem)}", "yellow")
    return line
