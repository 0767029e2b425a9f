"""`tutor grade --scheduler`: the same grades from the workers of a cluster, whatever happens to it.

Scheduler and workers are real processes here.
"""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.project import grades as made
from tests.project.attacks import HOLDS, Target, have_ended, processes, step, until
from tests.project.clusters import Place, other_course
from tests.project.commands import assert_refused, run_here, start_child
from tests.project.hostile import HONEST, RIGHT
from tests.project.test_class import stub, with_mistake, write
from tutor.check.sandbox.isolation import Isolation, Limits, find_bubblewrap
from tutor.course.verdicts import Verdict
from tutor.errors import EnvironmentBrokenError
from tutor.grade import cluster, grades, marking, worker
from tutor.grade.grades import Grade
from tutor.grade.marking import Order, Paper, Task
from tutor.grade.submissions.read import Source, Submission

SECONDS = 280  # that a command may take on a busy machine
OPTIONS = ("--steps", "1,3", "--timeout", "120", "--seed", "2026")
TOGETHER = Isolation(Limits(), "", "it is left out for a test")
real = pytest.mark.full("ways to grade")
namespaces = pytest.mark.skipif(not find_bubblewrap()[0], reason="no user namespaces here")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A class of three: one right, one wrong, and one that ends the process."""
    third = {"ada": RIGHT, "bob": with_mistake("3"), "eve": stub("3") + "import os; os._exit(0)\n"}
    for name, text in third.items():
        write(tmp_path / "class" / name, {"1": HONEST, "3": text})
    return tmp_path


def start(folder: Path, output: str, *options: str) -> "subprocess.Popen[bytes]":
    (folder / "temporary").mkdir(exist_ok=True)
    given = str(folder / "class"), "--output", str(folder / output), *OPTIONS, *options
    return start_child("grade", *given, environment={"TMPDIR": str(folder / "temporary")})


def finish(child: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """How a command ends, and what it says on the way."""
    with child:
        try:
            _, err = child.communicate(timeout=SECONDS)
        finally:
            child.kill()
    return child.returncode, err.decode()


def kept(folder: Path, output: str) -> dict[str, Grade]:
    """The grades in a folder, without what is another at each run."""
    return {file.stem: made.untimed(file) for file in (folder / output / "results").glob("*.json")}


def wait_for(count: int, folder: Path, output: str) -> dict[str, int]:
    """When the grades were written, once there are so many."""
    for _ in until(SECONDS):
        files = [*(folder / output / "results").glob("*.json")]
        if len(files) >= count:
            return {file.name: file.stat().st_mtime_ns for file in files}
        time.sleep(0.1)
    raise AssertionError(f"there are fewer than {count} grades")


def wait_until_graded(place: Place) -> None:
    """Until a worker grades something."""
    for _ in until(SECONDS):
        if processes(f"{place.temporary}/tutor-"):
            return
        time.sleep(0.05)
    raise AssertionError("no worker grades")


# The same grades, whatever happens


@real
@namespaces
def test_grades_are_those_of_a_local_run_and_another_version_grades_nothing(
    place: Place, small: Path, tmp_path: Path
) -> None:
    place.start_worker()
    place.start_worker(other_course(tmp_path / "other"))
    local = finish(start(small, "local"))
    code, err = finish(start(small, "grades", "--scheduler", str(place.file)))
    assert (code, local[0]) == (1, 1), err
    assert kept(small, "grades") == kept(small, "local")
    assert len(kept(small, "grades")) == 3
    assert err.count("gets nothing to do: it has course") == 1
    written = wait_for(3, small, "grades")
    assert finish(start(small, "grades", "--scheduler", place.address))[0] == 1
    assert wait_for(3, small, "grades") == written
    assert not [*place.temporary.glob("tutor-*"), *(small / "temporary").glob("tutor-*")]


@real
@namespaces
def test_a_killed_worker_costs_its_time(place: Place, small: Path) -> None:
    first = place.start_worker()
    child = start(small, "grades", "--scheduler", place.address)
    wait_until_graded(place)
    first.kill()
    assert have_ended(f"{place.temporary}/tutor-")
    place.start_worker()
    code, err = finish(child)
    assert code == 1, err
    assert err.count("is gone; others grade what it had begun") == 1
    found = kept(small, "grades")
    assert [found[name].steps[1].verdict for name in ("ada", "bob", "eve")] == [
        Verdict.PASSED,
        Verdict.WRONG,
        Verdict.CRASHED,
    ]


@real
@namespaces
def test_nothing_is_lost_with_a_scheduler(place: Place, small: Path) -> None:
    place.start_worker()
    child = start(small, "grades", "--scheduler", place.address)
    wait_for(1, small, "grades")
    place.scheduler.kill()
    code, err = finish(child)
    (line,) = err.strip().splitlines()
    assert code == 3
    assert f"the scheduler at {place.address} does not answer any more" in line
    written = wait_for(1, small, "grades")
    assert finish(start(small, "grades"))[0] == 1
    again = wait_for(3, small, "grades")
    assert {name: again[name] for name in written} == written


@real
@namespaces
def test_an_interrupt_ends_what_the_workers_do(place: Place, small: Path) -> None:
    place.start_worker()
    for name in ("ada", "bob", "eve"):
        write(small / "class" / name, {"3": step(Target(small, 0, 0), HOLDS["sleeps"])})
    child = start(small, "grades", "--scheduler", place.address)
    wait_until_graded(place)
    child.send_signal(signal.SIGINT)
    code, err = finish(child)
    assert (code, err.strip()) == (130, "")
    assert have_ended(f"{place.temporary}/tutor-")
    assert not [*(small / "temporary").glob("tutor-*")]


@real
@namespaces
def test_a_cluster_of_this_machine_is_started_for_a_class(small: Path) -> None:
    code, err = finish(start(small, "grades", "--scheduler", "local", "--jobs", "2"))
    assert (code, err.strip()) == (1, "")
    assert {name: grade.points() for name, grade in kept(small, "grades").items()} == {
        "ada": 14,
        "bob": 9,
        "eve": 6,
    }


# Who may grade

OURS = {"course": "c" * 64, "MAX": "26.7.0", "Python": "3.11"}
APART = OURS | {"isolation": "namespaces, seal, limits", "weakness": ""}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (APART, ""),
        (
            APART | {"course": "d" * 64},
            "has course dddddddddddd, and this machine has cccccccccccc",
        ),
        (APART | {"MAX": "26.8.0"}, "has MAX 26.8.0, and this machine has 26.7.0"),
        (APART | {"Python": "3.12"}, "has Python 3.12"),
        (OURS | {"problem": "MAX does not start"}, "cannot grade: MAX does not start"),
        (APART | {"isolation": "limits"}, "keeps code apart by limits, and others by namespaces"),
        (ModuleNotFoundError("No module named 'tutor'"), "cannot run this course: No module"),
        ({}, "has course None"),
    ],
    ids=str,
)
def test_a_worker_that_would_grade_in_another_way_is_refused(facts: Any, why: str) -> None:
    assert cluster.refusal(facts, OURS, APART["isolation"]).startswith(why)
    assert bool(cluster.refusal(facts, OURS, APART["isolation"])) is bool(why)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Paper]:
    """The submissions that a worker, which has no namespaces, hands to its processes."""
    papers: list[Paper] = []

    def run(main: str, message: bytes, temporary: str, file: str) -> None:  # noqa: ARG001
        papers.append(marking.unpack(message, Paper))
        grades.save(made.grade(), Path(file))

    monkeypatch.setattr(worker, "find", lambda *_, **__: TOGETHER)
    monkeypatch.setattr(worker._processes["run"], "run", run)
    return papers


def paper(folder: Path) -> Paper:
    apart = Isolation(Limits(), "bwrap of the client")
    order = Order(["step_01"], "own", 7, 9, apart, folder, "c" * 64)
    return Paper(order, "ada", "", Submission({"step_01.py": b"\xff\0"}, ["a note"]))


def test_a_worker_keeps_code_apart_as_it_can_itself(asked: list[Paper], tmp_path: Path) -> None:
    handed = paper(tmp_path)
    content, said = worker.mark(marking.pack(handed), 3, "run", 1024, run_as_root=False)
    assert (msgspec.json.decode(content, type=Grade), said) == (made.grade(), "")
    (found,) = asked
    assert found.order.isolation == TOGETHER
    assert found.submission == handed.submission


def test_without_namespaces_one_is_graded_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    order: list[str] = []

    def second() -> None:
        with worker.alone(TOGETHER):
            order.append("second")

    with worker.alone(TOGETHER):
        other = threading.Thread(target=second)
        other.start()
        other.join(0.2)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_a_worker_whose_course_has_changed_grades_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "begin", lambda _: paper(tmp_path))
    with pytest.raises(SystemExit, match="its course was changed"):
        marking.main_of_worker()


# What comes from a worker


@pytest.mark.parametrize(
    ("content", "said", "why"),
    [
        (b"", "a traceback\nit is broken", "no fault of its own: it is broken."),
        (b"{", "", "its grade cannot be read"),
        (grades.as_json(msgspec.to_builtins(made.grade("bob"))), "", "the grade of another"),
        (
            grades.as_json(msgspec.to_builtins(made.grade(steps=[made.step("3", step="step_99")]))),
            "",
            "step_99 is no step",
        ),
    ],
)
def test_what_is_no_grade_is_told(content: bytes, said: str, why: str, tmp_path: Path) -> None:
    order = Order(["step_01"], "own", 7, 9, TOGETHER, tmp_path, "c" * 64)
    task = Task(order, Source("ada", tmp_path, "folder"))
    found = cluster.keep(task, content, said)
    assert why in found.problem
    assert {step.verdict for step in found.steps} == {Verdict.BROKEN}
    assert grades.load(task.file) == found


# Who does not answer


def test_a_scheduler_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECTING", 1)
    (tmp_path / "ada" / "steps").mkdir(parents=True)
    for address in ("tcp://127.0.0.1:1", "no-protocol://here", str(tmp_path / "none.json")):
        given = str(tmp_path / "ada"), "--output", str(tmp_path / "out"), "--scheduler", address
        assert_refused(run_here("grade", *given), "no scheduler answers at", "dask scheduler")


def test_an_environment_without_dask_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with (
        pytest.raises(EnvironmentBrokenError, match="--extra cluster"),
        cluster.join("local", 1, 1024),
    ):
        pass
