"""`tutor grade`: many submissions, each in processes of its own, and what came of them."""

import contextlib
import secrets
import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich import progress as bars
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeElapsedColumn
from rich.text import Text

from tutor import files
from tutor.course.names import Name, in_order
from tutor.course.tracks import STEPS, TRACKS
from tutor.errors import InputError
from tutor.grade import grades, table
from tutor.grade.formats import files as formats
from tutor.grade.formats.services import quiet
from tutor.grade.formats.texts import file_name
from tutor.grade.grades import Dependencies, Grade
from tutor.grade.here import Executor, Here, make_ready, temporary_folder
from tutor.grade.marking import Order, Task, course_digest
from tutor.grade.report import page
from tutor.grade.submissions.read import Source

RESULTS = "results"  # the folder of the grades, in the one for the output
KEPT_SEED = """\
{} has results of seed {} already: whoever has seen them knows these inputs and numbers.
  For new inputs give another --seed, or another --output."""


@contextlib.contextmanager
def executor(
    scheduler: str | None, jobs: int, megabytes: int, *, run_as_root: bool = False
) -> Iterator[Executor]:
    """Where submissions are graded: on this machine, or on the workers of a scheduler.

    Raises EnvironmentBrokenError if MAX does not start, or nothing would keep code apart from root.
    """
    if scheduler is None:
        isolation = make_ready(megabytes, run_as_root=run_as_root)
        beside = jobs if isolation.bubblewrap else 1  # else they could reach each other
        yield Here(isolation, beside)
        return
    from tutor.grade.cluster import join

    with join(scheduler, jobs, megabytes, run_as_root=run_as_root) as cluster:
        yield cluster


def make_order(
    where: Executor,
    folder: Path,
    steps: Sequence[Name],
    dependencies: Dependencies,
    seed: int | None,
    seconds: int,
) -> Order:
    """How submissions are to be graded there, and into that folder."""
    results = folder.resolve() / RESULTS
    seed = seed or seed_of(results) or secrets.randbelow(2**31 - 1) + 1
    return Order(
        [step.name for step in steps],
        dependencies,
        seed,
        seconds,
        where.isolation,
        results,
        course_digest(),
        where.kept_apart,
    )


def grade_class(
    order: Order, sources: Sequence[Source], where: Executor, grade_book: str | None = None
) -> list[Grade]:
    """Grade submissions, print each as it comes, and write the files of the class."""
    order.folder.mkdir(parents=True, exist_ok=True)
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    if obstacle := order.isolation.obstacle:
        err.print(Text(f"{order.isolation.weakness}\n  ({obstacle})", style="yellow"))
    if order.seed == seed_of(order.folder):
        err.print(Text(KEPT_SEED.format(order.folder.parent, order.seed), style="yellow"))
    count = f"{len(sources)} submission{'s' * (len(sources) != 1)}"
    out.print(f"{count}, seed {order.seed}, {where.kept_apart}.")
    out.print(Text(table.LEGEND, style="dim"))
    out.print(table.heading(order.steps))
    found = []
    columns = Status(where), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("", total=len(sources))
        for grade in Class(order, sources, where).grade():
            out.print(table.row(grade, order.steps), soft_wrap=True)
            found.append(grade)
            progress.advance(bar)
    return conclude(found, order.folder.parent, out, grade_book)


class Status(ProgressColumn):
    """What is going on, before the bar."""

    def __init__(self, where: Executor) -> None:
        super().__init__()
        self._where = where

    def render(self, task: bars.Task) -> Text:  # noqa: ARG002 (as rich has it)
        return Text(self._where.status)


def load_sound(file: Path) -> Grade:
    """A grade that came from elsewhere. Raises InputError for what this course would not write."""
    grade = grades.load(file)
    if why := grades.fault(grade):
        raise InputError(f"{file} is no grade of this course: {why}; grade the submission anew")
    return grade


def merge(paths: Iterable[Path], folder: Path, grade_book: str | None = None) -> list[Grade]:
    """Print grades that came from elsewhere, and write the files of the class."""
    found = [load_sound(file) for file in paths]
    kept = {f"{file_name(grade.learner)}.json": grade for grade in found}
    if len(kept) < len(found):
        learners = [grade.learner for grade in found]
        twice = next(each for each in learners if learners.count(each) > 1)
        raise InputError(f"there are two grades of {twice}; name one of them")
    steps = [step.name for step in in_order({s.name for g in found for s in g.steps if s.name})]
    out = Console(highlight=False)
    out.print(Text(table.LEGEND, style="dim"))
    out.print(table.heading(steps))
    for grade in found:
        out.print(table.row(grade, steps), soft_wrap=True)
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    for name, grade in kept.items():
        grades.save(grade, folder / RESULTS / name)
    return conclude(found, folder, out, grade_book)


def conclude(
    found: list[Grade], folder: Path, out: Console, grade_book: str | None = None
) -> list[Grade]:
    """Write the files of the class, and say where they are."""
    ordered = sorted(found, key=lambda grade: grade.learner)
    formats.write(ordered, folder, grade_book)
    files.write(folder / "report.html", page.render(ordered).encode())
    read = [grade for grade in ordered if grade.was_read]
    said = [f"{len(read)} graded"]
    for track in TRACKS:
        if points := [grade.points(track) for grade in read if grade.of_track(track)]:
            where = "" if track == STEPS else f" in the {track.name} track"
            said.append(f"{statistics.fmean(points):.1f} points on average{where}")
    left = [grade.learner for grade in ordered if not grade.was_read]
    if left:
        said.append(f"{len(left)} not to be graded")
    out.print(f"\n{', '.join(said)}. The report: {folder / 'report.html'}", soft_wrap=True)
    if left:
        out.print(Text(f"Not graded: {', '.join(map(quiet, left))}.", "yellow"), soft_wrap=True)
    if grade_book and (unknown := [grade.learner for grade in read if not grade.number]):
        they = ", ".join(map(quiet, unknown))
        out.print(
            Text(f"{grade_book.capitalize()} has to be told who these are: {they}.", "yellow")
        )
    return ordered


def seed_of(folder: Path) -> int | None:
    """The seed of the grades that are in a folder already."""
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(InputError):
            return grades.load(file).seed
    return None


class Class:
    """The submissions of a class, while they are graded side by side."""

    def __init__(self, order: Order, sources: Sequence[Source], where: Executor) -> None:
        self.order, self.sources, self.where = order, sources, where

    def grade(self) -> Iterator[Grade]:
        """The grades in the order in which they come; what is graded already, at once."""
        with temporary_folder() as temporary:
            pool = ThreadPoolExecutor(self.where.at_once)
            try:
                waiting = [
                    pool.submit(self.where.mark, Task(self.order, each), number, temporary)
                    for number, each in enumerate(self.sources)
                ]
                for finished in as_completed(waiting):
                    yield finished.result()
            finally:
                self.where.end()
                pool.shutdown(cancel_futures=True)
