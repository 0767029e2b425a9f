"""Where the learner is: what the last checks said, and which step comes next."""

from collections.abc import Collection
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tutor import ROOT, records, stubs
from tutor.course import BONUS, CORE, Step, all_steps

# How a verdict is shown; the others are red.
STYLES = {"passed": "green", "not started": "dim", "not checked": "yellow"}


@dataclass(frozen=True)
class Standing:
    """A step as its last check left it."""

    step: Step
    verdict: str
    points: int
    is_stale: bool  # since then it was edited, or a step that it builds on

    @property
    def has_passed(self) -> bool:
        return self.verdict == "passed" and not self.is_stale

    @property
    def words(self) -> str:
        return f"{self.verdict}, edited since" if self.is_stale else self.verdict


def standing(step: Step) -> Standing:
    """What is known of a step without checking it."""
    file, record = ROOT / step.file("steps"), records.load(step.number)
    if not file.is_file():
        return Standing(step, "not there", 0, is_stale=False)
    if file.read_bytes() == stubs.derive(step.number).encode():
        return Standing(step, "not started", 0, is_stale=False)
    if "verdict" not in record:
        return Standing(step, "not checked", 0, is_stale=False)
    verdicts = record["checks"]
    points = sum(check.points for check in step.checks if verdicts.get(check.name) == "passed")
    is_stale = record["fingerprint"] != records.fingerprint(step.number)
    return Standing(step, record["verdict"], points, is_stale)


def standings() -> list[Standing]:
    """All steps, in their order."""
    return [standing(step) for step in all_steps()]


def find_current(known: Collection[Standing]) -> Standing | None:
    """The first step that has not passed yet, if there is one."""
    return next((each for each in known if not each.has_passed), None)


def overview(known: Collection[Standing]) -> RenderableType:
    """All steps in a table, and the points in all."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("topic", ratio=1)
    table.add_column("")
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("last check")
    for each in known:
        step, style = each.step, STYLES.get(each.verdict, "red")
        if step.number == BONUS.start:
            table.add_section()
        table.add_row(
            step.label.removeprefix("step "),
            step.title,
            ProgressBar(step.points, each.points, width=12, complete_style="green"),
            f"{each.points}/{step.points}",
            Text(each.words, style="yellow" if each.is_stale else style),
        )
    return Group(table, Text(), Text(f"In all: {total(known)}."), Text(what_next(known)))


def total(known: Collection[Standing]) -> str:
    """How far the learner has come, in words."""
    core = [each for each in known if each.step.number in CORE]
    passed = sum(each.has_passed for each in core)
    counts = f"{passed} of {len(core)} steps, {points(core)} points"
    bonus = [each for each in known if each.step.number in BONUS]
    return f"{counts}, and {points(bonus)} bonus points" if any(b.points for b in bonus) else counts


def points(known: Collection[Standing]) -> str:
    """The points reached, and those that can be."""
    return f"{sum(each.points for each in known)} of {sum(each.step.points for each in known)}"


def what_next(known: Collection[Standing]) -> str:
    """The one next command, and why."""
    here = find_current(known)
    if here is None:
        return "All is done. Let your own GPT-2 write: tutor generate --tree steps"
    step = here.step
    name = f"{step.label}, {step.title}"
    if here.verdict == "not there":
        return f"Next: {name}, whose file is not there: tutor reset {step.short}"
    if here.verdict == "not started":
        return (
            f"Next: {name}. Fill in the TODOs of {step.file('steps')}, then: "
            f"tutor check {step.short}"
        )
    return f"Next: {name}, {here.words}: tutor check {step.short}"


def welcome(known: Collection[Standing]) -> RenderableType:
    """What `tutor` says by itself: where the learner is, and the one next command."""
    core = [each for each in known if each.step.number in CORE]
    bar = ProgressBar(
        sum(each.step.points for each in core), sum(each.points for each in core), width=40
    )
    return Group(
        Text("GPT-2 from scratch on MAX", style="bold"),
        bar,
        Text(f"{total(known)}."),
        Text(what_next(known)),
        Text("tutor --help lists all commands.", style="dim"),
    )
