"""Grades one submission, in a process of its own.

On a cluster one process, on the client, reads the submission, and another, on a worker, grades it.
"""

import hashlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote_to_bytes

import msgspec

from tutor import ROOT
from tutor.check.sandbox import seal
from tutor.check.sandbox.isolation import Isolation
from tutor.course.registry import Check, Step, find_step
from tutor.course.verdicts import Verdict
from tutor.errors import InputError
from tutor.grade import grades, imports
from tutor.grade.formats.texts import file_name, fitted, printable, shortened
from tutor.grade.grades import CheckGrade, Dependencies, Grade, StepGrade
from tutor.grade.submissions.entries import UnreadableError
from tutor.grade.submissions.read import Source, Submission, read
from tutor.processes import limit_memory

if TYPE_CHECKING:
    from rich.console import Console

    from tutor.check.results import Outcome, Result
    from tutor.check.sandbox.workbench import Workbench

SEED_VARIABLE = "TUTOR_SEED"  # which the suites draw their inputs from
MOST_MEMORY = 2**31  # bytes that this process may map, whatever the code under check sends
MOST_TEXT = 8000  # characters of an explanation
MOST_IN_ALL = 120_000  # bytes of the explanations of a submission, which come into seven files
LEAST_TEXT = 200  # bytes that an explanation may have even so
ON_OWN = "It passes on the learner's own other steps; on the reference's it crashes."

# What decides a grade, beside the submission and the code that grades.
RULES = ("tests/*.py", "solutions/*.py", "steps/__init__.py", "tutor/exercises/**/*")
CODE = ("tutor.check.suite", "tutor.check.sandbox.worker", "tutor.grade.marking")


class Order(msgspec.Struct, frozen=True):
    """How submissions are graded."""

    steps: list[str]  # by name
    dependencies: Dependencies
    seed: int
    seconds: int  # that a step and all its checks may take
    isolation: Isolation
    folder: Path  # where a file is written for each of them
    course: str  # a digest of all that decides a grade, beside the submission
    kept_apart: str = ""  # what workers say of their isolation, which is then theirs


class Task(msgspec.Struct, frozen=True):
    """What this process is asked for."""

    order: Order
    source: Source

    @property
    def file(self) -> Path:
        """Where the grade goes."""
        return self.order.folder / f"{file_name(self.source.learner)}.json"


class Paper(msgspec.Struct, frozen=True):
    """A submission as it was read: all that grading it needs, on any machine."""

    order: Order
    learner: str
    number: str  # the learner's, in Moodle or Canvas
    submission: Submission
    problem: str = ""  # why it could not be read


Message = TypeVar("Message", Task, Paper)


def main() -> None:
    """Grade what standard input asks for, unless the grade is there already."""
    task = begin(Task)
    paper = read_paper(task)
    if not is_kept(task, paper):
        grades.save(grade(paper), task.file)


def main_of_client() -> None:
    """Read what standard input asks for, into the file named, unless it is graded already."""
    task = begin(Task)
    paper = read_paper(task)
    if not is_kept(task, paper):
        Path(sys.argv[1]).write_bytes(pack(paper))


def main_of_worker() -> None:
    """Grade the submission that standard input holds, into the file named."""
    paper = begin(Paper)
    if course_digest() != paper.order.course:
        raise SystemExit("its course was changed after its worker had started; start that again")
    grades.save(grade(paper), Path(sys.argv[1]))


def begin(kind: type[Message]) -> Message:
    """Bound this process, and close it to others; what it is asked for."""
    seal.close()
    limit_memory(MOST_MEMORY)
    return unpack(sys.stdin.buffer.read(), kind)


def pack(message: Task | Paper) -> bytes:
    """A message as it is handed to this process."""
    return msgspec.json.encode(message, enc_hook=lambda path: quote(os.fsencode(path)))


def unpack(message: bytes, kind: type[Message]) -> Message:
    """What is in a message."""

    def decode(kind: type[Path], quoted: str) -> Path:  # whose name need not be UTF-8
        return kind(os.fsdecode(unquote_to_bytes(quoted)))

    return msgspec.json.decode(message, type=kind, dec_hook=decode)


def read_paper(task: Task) -> Paper:
    """The submission that a task is about, or why it cannot be read."""
    try:
        submission, problem = read(task.source), ""
    except UnreadableError as error:
        submission, problem = Submission({}, []), f"It was not graded: {error}."
    return Paper(task.order, task.source.learner, task.source.number, submission, problem)


def blank(paper: Paper) -> Grade:
    """The grade of a submission before it is checked."""
    order, submission = paper.order, paper.submission
    return Grade(
        format=grades.FORMAT,
        learner=paper.learner,
        problem=paper.problem or " ".join(submission.notes),
        submission=submission.digest,
        course=order.course,
        seed=order.seed,
        dependencies=order.dependencies,
        isolation=order.kept_apart or order.isolation.name,
        limits=f"{order.seconds} seconds a step; {order.isolation.limits}",
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        seconds=0.0,
        steps=[blank_step(find_step(name), Verdict.NOT_STARTED) for name in order.steps],
        number=paper.number,
    )


def course_digest() -> str:
    """SHA-256 of all that decides a grade, beside the submission."""
    total = hashlib.sha256()
    rules = {file for pattern in RULES for file in ROOT.glob(pattern) if file.is_file()}
    for file in sorted(rules | imports.files(*CODE)):
        total.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return total.hexdigest()


def is_kept(task: Task, paper: Paper) -> bool:
    """Whether the grade that would be found out again is there already."""
    return task.file.exists() and is_same(task.file, blank(paper))


def is_same(file: Path, start: Grade) -> bool:
    """Whether a file holds the grade that would be found out again."""
    try:
        found = grades.load(file)
    except InputError:
        return False
    broken = any(step.verdict == Verdict.BROKEN for step in found.steps)
    own = {"started": "", "seconds": 0.0, "steps": []}
    same = msgspec.structs.replace(found, **own) == msgspec.structs.replace(start, **own)
    return same and not broken and [s.step for s in found.steps] == [s.step for s in start.steps]


def grade(paper: Paper) -> Grade:
    """Check the steps of a submission on a copy of its own; an empty one has none to check."""
    start, begun = blank(paper), time.monotonic()
    os.environ[SEED_VARIABLE] = str(paper.order.seed)
    results = check(paper.submission, paper.order) if paper.submission.files else []
    found = {result.step.name: step_grade(result) for result in results}
    steps = bounded(found.get(each.step, each) for each in start.steps)
    return msgspec.structs.replace(start, steps=steps, seconds=time.monotonic() - begun)


def check(submission: Submission, order: Order) -> list["Result"]:
    """Run the suites on a submission."""
    from unittest import mock

    from tutor.check.running import run_suites
    from tutor.check.sandbox.workbench import Workbench

    with tempfile.TemporaryDirectory(prefix="tutor-") as name:
        course, given = Path(name).resolve() / "course", Path(name).resolve() / "given"
        submission.lay_out(course)
        given.mkdir()
        bench = Workbench(
            "steps",
            root=course,
            seconds=order.seconds,
            announce=lambda _: None,
            isolation=order.isolation,
            by_itself=order.dependencies == "reference",
        )
        # What suites write for the code to read goes where the code can see it.
        with mock.patch.object(tempfile, "tempdir", str(given)):
            bench.start()
            try:
                results = run_suites(list(map(find_step, order.steps)), bench, nowhere())
                return try_on_own_steps(results, bench) if bench.by_itself else results
            finally:
                bench.close()


def try_on_own_steps(results: list["Result"], bench: "Workbench") -> list["Result"]:
    """The same, where a step that crashes on the references counts if it passes on the learner's.

    It may import what the learner has added to another step. A crash that a mistake explains stays.
    """
    from tutor.check.running import run_suites

    unexplained = [result for result in results if not result.explanation]
    crashed = [result.step for result in unexplained if result.verdict is Verdict.CRASHED]
    if not crashed:
        return results
    bench.by_itself = False
    passed = {
        again.step: again
        for again in run_suites(crashed, bench, nowhere())
        if again.verdict is Verdict.PASSED
    }
    for again in passed.values():
        again.advice.append(ON_OWN)
    return [passed.get(result.step, result) for result in results]


def bounded(steps: Iterable[StepGrade]) -> list[StepGrade]:
    """The same, but where explanations are too long together, the later ones are cut short."""
    left, kept = MOST_IN_ALL, []
    for step in steps:
        checks = []
        for check in step.checks:
            text = fitted(check.explanation, max(left, LEAST_TEXT))
            left -= len(text.encode())
            checks.append(msgspec.structs.replace(check, explanation=text))
        kept.append(msgspec.structs.replace(step, checks=checks))
    return kept


def nowhere() -> "Console":
    """A console that nobody reads."""
    from rich.console import Console

    return Console(file=io.StringIO())


def step_grade(result: "Result") -> StepGrade:
    """A step's result as it is kept."""
    checks = [
        check_grade(result, check, result.outcomes.get(check.name)) for check in result.step.checks
    ]
    return msgspec.structs.replace(
        blank_step(result.step, Verdict.NOT_STARTED),
        verdict=result.verdict,
        mistake=result.explanation,
        references=[step.name for step in result.replaced],
        culprits=[step.name for step in result.culprits],
        advice=list(map(printable, result.advice)),
        checks=checks,
    )


def check_grade(result: "Result", check: Check, outcome: "Outcome | None") -> CheckGrade:
    """A check's outcome as it is kept."""
    from tutor.check import report

    if outcome is None:
        return blank_check(check, Verdict.NOT_REACHED)
    parts = [report.explain(result, outcome)] if outcome.error else []
    if outcome in result.failures[:1] and not result.explanation:
        parts += report.cause(result)
    text = report.plain(*parts)
    return msgspec.structs.replace(
        blank_check(check, Verdict.NOT_REACHED),
        verdict=outcome.verdict,
        points=outcome.points,
        seconds=outcome.seconds,
        explanation=printable(shortened(text, MOST_TEXT)),
    )


def blank_step(step: Step, verdict: Verdict) -> StepGrade:
    """A step of which nothing is known yet."""
    checks = [blank_check(check, verdict) for check in step.checks]
    return StepGrade(step.name, step.title, verdict, "", [], [], [], checks)


def blank_check(check: Check, verdict: Verdict) -> CheckGrade:
    """A check of which nothing is known yet."""
    return CheckGrade(check.name, check.title, verdict, 0, check.points, 0.0, "")
