"""Where the learner is: what the last checks said, and which step comes next."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tutor import ROOT
from tutor.course import sources, stubs
from tutor.course.names import Name
from tutor.course.registry import Step, all_steps, find_step
from tutor.course.tracks import STEPS, TRACKS, Track
from tutor.course.verdicts import Verdict
from tutor.learn import records

# How it is shown where a step stands without a check.
UNCHECKED = {"not there": "red", "not started": "dim", "not checked": "yellow"}
WIDTH_WITH_BARS = 70  # columns of a terminal
TITLE = "GPT-2 from scratch on MAX"
WRITE = "tutor generate --tree steps"


@dataclass(frozen=True)
class Standing:
    """A step as its last check left it."""

    step: Step
    verdict: str  # of its last check, or one of UNCHECKED
    points: int = 0
    was_checked: bool = False
    edited: tuple[str, ...] = ()  # since that check: the step, others that it uses, its suite
    was_opened: bool = False  # its solution, before it passed

    @property
    def is_stale(self) -> bool:
        """Whether another check could say something else."""
        return bool(self.edited)

    @property
    def has_passed(self) -> bool:
        return self.verdict == Verdict.PASSED and not self.is_stale

    @property
    def style(self) -> str:
        """How its words are shown."""
        if self.is_stale:
            return "yellow"
        return UNCHECKED.get(self.verdict) or Verdict(self.verdict).style

    @property
    def words(self) -> str:
        """The verdict, and what has happened since."""
        words = [self.verdict]
        names = [find_step(name) for name in self.edited if name != "suite"]
        steps = ", ".join(map(short_label, names))
        if self.step.name in self.edited:
            words.append("then edited")
        elif self.is_stale:
            words.append(f"then {steps} edited" if steps else "then checks changed")
        return ", ".join(words + ["solution opened"] * self.was_opened)


def standing(step: Step) -> Standing:
    """What is known of a step without checking it."""
    file, record = ROOT / step.file("steps"), records.load(step)
    was_opened = record.opened is not None
    if not file.is_file():
        return Standing(step, "not there", was_opened=was_opened)
    if stubs.is_untouched(file, step):
        return Standing(step, "not started", was_opened=was_opened)
    if record.verdict is None:
        return Standing(step, "not checked", was_opened=was_opened)
    passed = [check for check in step.checks if record.checks.get(check.name) == Verdict.PASSED]
    points, now = sum(check.points for check in passed), sources.digests(step)
    edited = tuple(sorted({name for name, _ in now.items() ^ record.files.items()}))
    return Standing(step, record.verdict, points, True, edited, was_opened)


def standings() -> list[Standing]:
    """All steps, in their order."""
    return [standing(step) for step in all_steps()]


def find_current(known: Collection[Standing]) -> Standing | None:
    """The first step that has not passed yet, if there is one."""
    return next((each for each in known if not each.has_passed), None)


def overview(known: Collection[Standing], width: int) -> RenderableType:
    """All steps in a table, and the points in all; without bars where there is no room for them.

    Of a track that lies ahead, only its title is shown.
    """
    bars, here = width >= WIDTH_WITH_BARS, find_current(known)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("topic")
    if bars:
        table.add_column("points", width=10)
    table.add_column("" if bars else "points", justify="right", no_wrap=True)
    table.add_column("last check", min_width=11)
    for track, group in itertools.groupby(known, lambda each: each.step.track):
        members = list(group)
        if table.row_count:
            table.add_row()
        title, points = Text(track.title, style="bold"), "{}/{}".format(*count(members))
        table.add_row("", title, *[""] * bars, points)
        if here and here not in members and all(map(is_ahead, members)):
            continue
        for each in members:
            step, points = each.step, f"{each.points}/{each.step.points}"
            words = Text(each.words, style=each.style)
            drawn = [bar([each], 10)] * bars
            table.add_row(step.task.removeprefix("s"), step.title, *drawn, points, words)
    return Group(table, Text(), Text(f"In all: {total(known)}."), Text(what_next(known)))


def is_ahead(standing: Standing) -> bool:
    """Whether nothing has been done about a step yet."""
    return standing.verdict == "not started" and not standing.was_checked


def short_label(step: Name) -> str:
    """How words on another step call it: 07, engine 02."""
    return step.label.removeprefix("step ")


def bar(known: Collection[Standing], width: int) -> ProgressBar:
    """How many of the points of these steps are reached."""
    reached, most = count(known)
    return ProgressBar(most, reached, width, complete_style="green", finished_style="green")


def count(known: Collection[Standing]) -> tuple[int, int]:
    """The points reached, and those that can be."""
    return sum(each.points for each in known), sum(each.step.points for each in known)


def of_track(known: Collection[Standing], track: Track) -> list[Standing]:
    """The steps of a track."""
    return [each for each in known if each.step.track == track]


def total(known: Collection[Standing]) -> str:
    """How far the learner has come, in words; of a track that was not begun, nothing."""
    twelve = of_track(known, STEPS)
    passed = sum(each.verdict == Verdict.PASSED for each in twelve)
    words = f"{passed} of {len(twelve)} steps, {{}} of {{}} points".format(*count(twelve))
    for track in TRACKS:
        points, most = count(of_track(known, track))
        if track != STEPS and points:
            words += f", {points} of {most} in the {track.name} track"
    again = sum(each.is_stale for each in known)
    return f"{words}; {again} to check again" if again else words


def what_next(known: Collection[Standing]) -> str:
    """The one next command, and why."""
    return "Next: {} {}".format(*next_command(known))


def next_command(known: Collection[Standing]) -> tuple[str, str]:
    """Why, and which command comes next."""
    here = find_current(known)
    if here is None:
        return "all steps have passed; let your own GPT-2 write:", WRITE
    step, file = here.step, here.step.file("steps")
    again = [each.step.short for each in known if each.verdict == Verdict.PASSED and each.is_stale]
    check = f"tutor check {step.short}"
    match here.verdict:
        case "not there":
            return f"{file} is missing; this writes the exercise:", f"tutor reset {step.short}"
        case "not started" if not here.was_checked:
            chapter = f"read the chapter with tutor read {step.short}"
            return f"{chapter}, fill in the TODOs of {file}, and check them:", check
        case "not started":
            return f"continue with the TODOs of {file}, and check them:", check
        case "not checked":
            return f"check {file}, which you have begun:", check
        case Verdict.PASSED:
            return "check again what passed before an edit:", f"tutor check {' '.join(again)}"
        case _ if here.is_stale:
            return f"check {file} again, after your last edit:", check
    return f"fix {file} and check it again; for a hint:", f"tutor hint {step.short}"


def welcome(known: Collection[Standing]) -> RenderableType:
    """What `tutor` says by itself: where the learner is, and the one next command."""
    here, (why, command) = find_current(known), next_command(known)
    line = Table.grid()
    line.add_row(bar(of_track(known, STEPS), 40))
    parts: list[RenderableType] = [Text(TITLE, style="bold"), line, Text(f"{total(known)}.\n")]
    if here:
        if here.step.track != STEPS:
            parts.append(Text(f"Let your own GPT-2 write: {WRITE}"))
        parts.append(Text(f"You are at {here.step.label}, {here.step.title}: {here.words}."))
    parts += [Text(f"{why[0].upper()}{why[1:]}"), Text(f"\n  {command}\n", style="bold")]
    return Group(*parts, Text("tutor --help lists all commands.", style="dim"))
