"""The class in the terminal: a line for each submission, a column for each step."""

from collections.abc import Sequence

from rich.text import Text

from tutor.course.names import named
from tutor.course.tracks import STEPS
from tutor.course.verdicts import Verdict
from tutor.grade.formats.services import quiet
from tutor.grade.grades import Grade

NAME = 20  # columns of a learner's name
WORDS = {verdict: str(verdict) for verdict in Verdict} | {Verdict.BROKEN: "machine at fault"}
# What was not reached comes after something graver, which is what the step is shown as.
LEGEND = "  ".join(
    f"{verdict.sign} {words}"
    for verdict, words in WORDS.items()
    if verdict is not Verdict.NOT_REACHED
)


def heading(steps: Sequence[str]) -> Text:
    """The head of the table."""
    numbers = " ".join(named(name).short.rjust(2) for name in steps)
    return Text(f"{'learner'.ljust(NAME)} points  {numbers}", style="bold")


def row(grade: Grade, steps: Sequence[str]) -> Text:
    """A learner's line in the table, with the points of the track that comes first in it."""
    track = named(steps[0]).track if steps else STEPS
    learner = Text(quiet(grade.learner))
    learner.truncate(NAME, overflow="ellipsis", pad=True)
    points = f"{grade.points(track)}/{grade.max_points(track)}"
    line = Text.assemble(learner, f" {points.rjust(7)} ")
    verdicts = {step.step: step.verdict for step in grade.steps}
    for name in steps:
        verdict = verdicts.get(name)
        line.append(f"  {verdict.sign if verdict else ' '}", verdict.style if verdict else "")
    if grade.problem:
        line.append(f"\n  {quiet(grade.problem)}", "yellow")
    return line
