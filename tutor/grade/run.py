"""`tutor grade`: many submissions, each in processes of its own, and what came of them."""

import contextlib
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from tutor import ROOT, files
from tutor.check.sandbox import seal
from tutor.check.sandbox.isolation import MEGABYTE, Limits, find_isolation
from tutor.check.sandbox.workbench import Workbench
from tutor.course.names import Name, in_order
from tutor.course.registry import step_that
from tutor.course.tracks import STEPS, TRACKS
from tutor.course.verdicts import Verdict
from tutor.errors import InputError
from tutor.grade import grades, table
from tutor.grade.formats import files as formats
from tutor.grade.formats.services import quiet
from tutor.grade.formats.texts import file_name
from tutor.grade.grades import Dependencies, Grade
from tutor.grade.marking import Order, Task, blank, course_digest, pack
from tutor.grade.report import page
from tutor.grade.submissions.read import Source, Submission
from tutor.processes import command

RESULTS = "results"  # the folder of the grades, in the one for the output
MINUTES = 60  # that a submission may take at the very most, whatever it is waiting for
KEPT_SEED = """\
{} has results of seed {} already: whoever has seen them knows these inputs and numbers.
  For new inputs give another --seed, or another --output."""


def make_order(
    folder: Path,
    steps: Sequence[Name],
    dependencies: Dependencies,
    seed: int | None,
    seconds: int,
    megabytes: int,
    *,
    run_as_root: bool = False,
) -> Order:
    """How submissions are to be graded on this machine, which is made ready, and into that folder.

    Raises EnvironmentBrokenError if MAX does not start, or nothing would keep code apart from root.
    """
    seal.close()
    isolation = find_isolation(Limits(memory=megabytes * MEGABYTE), run_as_root=run_as_root)
    get_ready()
    results = folder.resolve() / RESULTS
    names = [step.name for step in steps]
    seed = seed or seed_of(results) or secrets.randbelow(2**31 - 1) + 1
    return Order(names, dependencies, seed, seconds, isolation, results, course_digest())


def grade_class(
    order: Order, sources: Sequence[Source], jobs: int, grade_book: str | None = None
) -> list[Grade]:
    """Grade submissions, print each as it comes, and write the files of the class."""
    order.folder.mkdir(parents=True, exist_ok=True)
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    if obstacle := order.isolation.obstacle:
        err.print(Text(f"{order.isolation.weakness}\n  ({obstacle})", style="yellow"))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    if order.seed == seed_of(order.folder):
        err.print(Text(KEPT_SEED.format(order.folder.parent, order.seed), style="yellow"))
    count = f"{len(sources)} submission{'s' * (len(sources) != 1)}"
    out.print(f"{count}, seed {order.seed}, {order.isolation.name}.")
    out.print(Text(table.LEGEND, style="dim"))
    out.print(table.heading(order.steps))
    found = []
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("Grading", total=len(sources))
        beside = jobs if order.isolation.bubblewrap else 1  # else they could reach each other
        for grade in Class(order, sources, beside).grade():
            out.print(table.row(grade, order.steps), soft_wrap=True)
            found.append(grade)
            progress.advance(bar)
    return conclude(found, order.folder.parent, out, grade_book)


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


def get_ready() -> None:
    """Have MAX start once, so that what keeps it from that is told before anything is graded."""
    bench = Workbench("solutions", announce=lambda said: print(said, file=sys.stderr))
    try:
        bench.select(step_that("sizes"))
        bench.config()
    finally:
        bench.close()


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

    def __init__(self, order: Order, sources: Sequence[Source], jobs: int) -> None:
        self.order, self.sources, self.jobs = order, sources, jobs
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock, self._is_over = threading.Lock(), False

    def grade(self) -> Iterator[Grade]:
        """The grades in the order in which they come; what is graded already, at once."""
        with temporary_folder() as temporary:
            pool = ThreadPoolExecutor(self.jobs)
            try:
                waiting = [
                    pool.submit(self._mark, each, number, temporary)
                    for number, each in enumerate(self.sources)
                ]
                for finished in as_completed(waiting):
                    yield finished.result()
            finally:
                self._end()
                pool.shutdown(cancel_futures=True)

    def _mark(self, source: Source, number: int, temporary: str) -> Grade:
        isolation = self.order.isolation.of(number)
        task = Task(msgspec.structs.replace(self.order, isolation=isolation), source)
        with self._lock:
            if self._is_over:
                raise KeyboardInterrupt
            process = subprocess.Popen(  # noqa: S603 (this very Python, on our own module)
                command("from tutor.grade.marking import main; main()"),
                cwd=ROOT,
                env={**os.environ, "TMPDIR": temporary},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._processes.add(process)
        try:
            _, said = process.communicate(pack(task), timeout=60 * MINUTES)
        except subprocess.TimeoutExpired:
            said = f"it took more than {MINUTES} minutes".encode()
        finally:
            end(process)
            with self._lock:
                self._processes.discard(process)
        if self._is_over:
            raise KeyboardInterrupt
        if process.returncode == 0:
            with contextlib.suppress(InputError, OSError):
                return grades.load(task.file)
        return failed(task, said.decode(errors="replace"))

    def _end(self) -> None:
        """Have nothing of it go on."""
        with self._lock:
            self._is_over = True
            for process in self._processes:
                kill(process)


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder for all temporary files, since a process that is killed leaves its own behind."""
    with tempfile.TemporaryDirectory(prefix="tutor-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)  # another user may run the code under check, in a folder of it
        yield name


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process; what it has started ends with it."""
    kill(process)
    process.wait()


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Have a process end, and what it has started with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def failed(task: Task, said: str) -> Grade:
    """The grade of a submission whose grading itself has failed; it is kept, to be told."""
    last = (said.strip().splitlines() or ["its process was killed"])[-1]
    start = blank(task, Submission({}, []), f"It was not graded, for no fault of its own: {last}.")
    steps = [msgspec.structs.replace(step, verdict=Verdict.BROKEN) for step in start.steps]
    grade = msgspec.structs.replace(start, steps=steps)
    grades.save(grade, task.file)
    return grade
