"""`tutor grade` on whole classes: honest learners, and those who attack, and what each gets.

A quick run grades a few honest learners.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tests.project import hostile
from tests.project.attacks import (
    HOLDS,
    READS,
    SUCCESS,
    Target,
    attacks,
    have_ended,
    step,
    target,
    until,
)
from tests.project.commands import Finished, start_child
from tests.project.hostile import FIRST, HONEST, RIGHT, THIRD, Write, repository
from tests.project.suites import variants_of
from tutor.check.sandbox.isolation import find_bubblewrap
from tutor.course import sources, stubs
from tutor.course.names import find_names, named
from tutor.course.registry import all_steps, find_step
from tutor.course.tracks import STEPS
from tutor.course.verdicts import Verdict
from tutor.grade import grades
from tutor.grade.formats.services import PRINTED
from tutor.grade.formats.texts import file_name as result_name
from tutor.grade.grades import Grade
from tutor.grade.submissions.entries import spelled
from tutor.grade.submissions.find import find

pytestmark = pytest.mark.skipif(not find_bubblewrap()[0], reason="no user namespaces here")

SECONDS = 900  # that a class may take on a busy machine; on two idle cores it takes 80
LIMITS = ("--memory", "1024", "--seed", "2026")
# With less memory, MAX's allocator says so now and then.
SMALL = ("--steps", "1,3", "--timeout", "120", "--memory", "3072")

Row = tuple[Verdict, int, str]  # what is expected of a step: verdict, points, known mistake
Rows = dict[str, Row]  # by the step, named as in a command; one that is not there is not started
BLANK: Row = (Verdict.NOT_STARTED, 0, "")
PASSED: Rows = {step.short: (Verdict.PASSED, step.points, "") for step in all_steps(STEPS)}
ONE_AND_THREE = {name: PASSED[name] for name in ("1", "3")}

# Learners by name, and what their steps come to.

HONEST_ONES: dict[str, Rows] = {
    "all-right": PASSED,
    "zip": ONE_AND_THREE,
    "tar": ONE_AND_THREE,
    "repository": ONE_AND_THREE,
    "work-tree": ONE_AND_THREE,
    "steps-on-top": ONE_AND_THREE,
    "crashes-in-03": PASSED | {"3": (Verdict.CRASHED, 2, "")},
    "half-of-12": {"12": (Verdict.NOT_STARTED, 3, "")},
    "stubs": {},
    "empty": {},
}
MISTAKES: Rows = {
    "1": (Verdict.WRONG, 2, "epsilon too small"),
    "2": (Verdict.WRONG, 2, "triangle flipped"),
    "3": (Verdict.WRONG, 3, "unbiased variance"),
    "4": (Verdict.WRONG, 4, "GELU by the error function"),
    "5": (Verdict.WRONG, 0, "sizes swapped"),
    "6": (Verdict.WRONG, 0, "sizes swapped"),
    "7": (Verdict.WRONG, 12, "scaled by the width"),
    "8": (Verdict.WRONG, 3, "norms after the sums"),
    "9": (Verdict.WRONG, 6, "the same block repeated"),
    "10": (Verdict.WRONG, 2, "head with a bias"),
    "11": (Verdict.WRONG, 4, "square c_proj forgotten"),
    "12": (Verdict.WRONG, 7, "greedy still samples"),
}
VARIANTS = ("3", "7", "12")
EXIT = "\nimport os; os._exit(0)\n"
NAMES = (  # of folders
    *("=1+1", "-rf", "<script>alert(1)<", "a\nb", "a\\nb", " ", "\x1b[2J", "x" * 200, "..x"),
    *(os.fsdecode(b"caf\xe9"), "con", "Ada", "ada"),
)
# Step 03 of those who attack; where an attack goes on, what it does then decides.
CRASHED: Row = (Verdict.CRASHED, 0, "")
TIMED_OUT: Row = (Verdict.TIMED_OUT, 0, "")
ENDLESS: dict[str, Row] = dict.fromkeys(
    ["goes-on-about-compiling", "loops", "outlives", "sleeps"], TIMED_OUT
) | {"loops-in-forward": (Verdict.TIMED_OUT, 2, "")}
ATTACKERS: dict[str, Row] = (
    dict.fromkeys([*READS, *HOLDS], BLANK)
    | {"patches-max": (Verdict.WRONG, 0, "")}
    | dict.fromkeys(
        [
            *("answers-with-a-size", "answers-with-depth", "answers-with-much"),
            *("answers-with-nonsense", "begins-an-answer", "crashes", "exits", "fills-memory"),
            *("fills-the-disk", "floods-the-output", "forges-answers", "lies", "makes-processes"),
            *("makes-threads", "makes-up-where-it-was", "prints-a-report", "raises-systemexit"),
            *("raises-what-cannot-be-shown", "raises-what-is-long", "raises-what-others-mean"),
            *("recurses", "replaces-modules"),
        ],
        CRASHED,
    )
    | dict.fromkeys(["exits-in-forward", "raises-systemexit-in-forward"], (Verdict.CRASHED, 2, ""))
    | ENDLESS
)
PASSED_BUT_FOR_3 = {"1": PASSED["1"], "3": (Verdict.TIMED_OUT, 2, ""), "4": PASSED["4"]}
# Those whose step 01 counts, and those of whom nothing can be read.
READABLE = (
    *("folder-links", "folder-names", "folder-package", "folder-pipe", "folder-tools"),
    *("git-fetches", "git-runs", "tar-devices", "tar-links", "tar-names", "tar-paths"),
    *("zip-bomb", "zip-links", "zip-names", "zip-paths", "zip-zero"),
)
BORROWED = "takes objects from another repository"
UNREADABLE = {
    "folder-is-a-link": "holds no file named like a step",
    "git-alternates": BORROWED,
    "git-bomb": "git lists more than 16,777,216 bytes",
    "git-links": BORROWED,
    "git-of-another": BORROWED,
    "tar-bomb": "unpacked, it has more than 268,435,456 bytes",
    "zip-bombs": "more than 33,554,432 bytes of Python",
    "zip-many": "more than 50,000 files",
    "zip-none": "cannot be read",
    "zip-wrong-size": "cannot be read",
}


@dataclass(frozen=True)
class Plan:
    """Learners who are graded together, what is expected of them, and how they are graded."""

    expected: dict[str, Rows]
    steps: str
    options: tuple[str, ...] = ()


PLANS = {
    "hostile": Plan(
        {name: {"3": row} for name, row in ATTACKERS.items() if name not in ENDLESS}
        | {name: {"1": PASSED["1"]} for name in (*NAMES, *READABLE)}
        | {name: {} for name in UNREADABLE}
        | {"variant-3": {"3": PASSED["3"]}},
        steps="1,3",
        options=("--timeout", "120"),
    ),
    "honest": Plan(
        HONEST_ONES
        | {f"mistake-{name}": {name: row} for name, row in MISTAKES.items()}
        | {f"variant-{name}": {name: PASSED[name]} for name in VARIANTS},
        steps="1-12",
        options=("--timeout", "120"),
    ),
    # Only the others need time that is theirs: these have none of their own to lose.
    "endless": Plan(
        {name: {"3": row} for name, row in ENDLESS.items()}
        | {"never-ends-in-03": PASSED_BUT_FOR_3},
        steps="1,3,4",
        options=("--timeout", "8", "--jobs", "6"),
    ),
}
# The class that a quick run grades, too, and its learners in that case.
QUICK = "honest"
FEW = ("half-of-12", "empty", "zip", "mistake-7")
LEARNERS = [
    pytest.param(
        name,
        learner,
        id=f"{name}-{spelled(learner)}",
        marks=[pytest.mark.full("learners of a class")] * (name != QUICK or learner not in FEW),
    )
    for name, plan in PLANS.items()
    for learner in plan.expected
]


@dataclass(frozen=True)
class Class:
    """A class that has been graded: what was printed, and what came of each learner."""

    folder: Path
    steps: list[str]  # by name
    expected: dict[str, Rows]
    aim: Target
    finished: Finished

    @property
    def output(self) -> Path:
        return self.folder / "grades"

    def grade(self, learner: str) -> Grade:
        return grades.load(self.output / "results" / f"{result_name(learner)}.json")


def write(folder: Path, texts: dict[str, str]) -> None:
    """Hand in these texts, by their steps."""
    for name, text in texts.items():
        file = folder / find_step(name).file("steps")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def grade(folder: Path, *options: str) -> Finished:
    """Grade what is in the folder of that name, with all temporary files beside it."""
    with start(folder, *options) as child:
        try:
            out, err = child.communicate(timeout=SECONDS)
        finally:
            child.kill()
    return Finished(child.returncode, out.decode(), err.decode())


def start(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    (folder / "temporary").mkdir(exist_ok=True)
    hidden = [str(place) for place in (folder / "class").glob("..*")]  # unless it is named
    given = str(folder / "class"), *hidden, "--output", str(folder / "grades"), *LIMITS, *options
    return start_child("grade", *given, environment={"TMPDIR": str(folder / "temporary")})


@pytest.fixture(scope="module")
def classes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Class]]:
    """Grades the class of a name, once; in a quick run, a few of it."""
    is_full = request.config.getoption("full")
    with ExitStack() as stack:

        @cache
        def grade_class(name: str) -> Class:
            plan, folder = PLANS[name], tmp_path_factory.mktemp(name)
            aim = stack.enter_context(target(folder / "target"))
            wanted, writers = plan.expected if is_full else FEW, attackers(aim) | honest_ones()
            (folder / "class").mkdir()
            for learner in wanted:
                writers[learner](folder / "class" / learner)
            finished = grade(folder, "--steps", plan.steps, *plan.options)
            expected = {learner: plan.expected[learner] for learner in wanted}
            steps = [step.name for step in find_names(plan.steps)]
            return Class(folder, steps, expected, aim, finished)

        yield grade_class


@pytest.fixture
def graded(request: pytest.FixtureRequest, classes: Callable[[str], Class]) -> Class:
    """The class of this name."""
    return classes(request.param)


def attackers(aim: Target) -> dict[str, Write]:
    """How to write what each of those hands in who attack, or have strange names."""
    return (
        {name: partial(write, texts={"3": text}) for name, text in attacks(aim).items()}
        | hostile.submissions(aim.folder)
        | {name: partial(write, texts={"1": HONEST}) for name in NAMES}
    )


def honest_ones() -> dict[str, Write]:
    """How to write what each of the others hands in."""
    right = {name: reference(name) for name in PASSED}
    body = "        return F.layer_norm("
    crashes, endless = (
        RIGHT.replace(body, f"        {line}\n{body}") for line in ("1 / 0", "while True: pass")
    )
    done, todo = (text.split("def generate_tokens") for text in (right["12"], stub("12")))
    texts = {
        "all-right": right,
        "stubs": {name: stub(name) for name in PASSED},
        "crashes-in-03": right | {"3": crashes},
        "never-ends-in-03": {"1": HONEST, "3": endless, "4": right["4"]},
        "half-of-12": {"12": f"{done[0]}def generate_tokens{todo[1]}"},
    }
    texts |= {f"mistake-{name}": {name: with_mistake(name)} for name in MISTAKES}
    texts |= {f"variant-{name}": {name: variant_of(name)} for name in VARIANTS}
    return {name: partial(write, texts=texts[name]) for name in texts} | PACKED


def reference(name: str) -> str:
    """The right text of a step."""
    return sources.reference(find_step(name), "steps")


def stub(name: str) -> str:
    return stubs.derive(find_step(name))


def with_mistake(name: str) -> str:
    """A step with the mistake that is expected of it."""
    _, _, wanted = MISTAKES[name]
    mistake = next(each for each in find_step(name).mistakes if each.name == wanted)
    return mistake.apply(reference(name))


def variant_of(name: str) -> str:
    """A step written in another right way."""
    source, (edits, *_) = reference(name), variants_of(find_step(name)).values()
    for old, new in edits:
        source = source.replace(old, new)
    return source


# The same steps in each way in which they can be handed in

FILES = {FIRST: HONEST, THIRD: RIGHT}


def work_tree(place: Path) -> None:
    write(place, {"1": HONEST, "3": RIGHT})
    repository(place / ".git", FILES)


def steps_on_top(place: Path) -> None:
    place.mkdir()
    for name, text in FILES.items():
        (place / Path(name).name).write_text(text)


def zip_of_a_work_tree(place: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work_tree(Path(folder))
        shutil.make_archive(str(place), "zip", folder)


def tar_of_a_work_tree(place: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        tarfile.open(f"{place}.tar.xz", "w:xz") as archive,
    ):
        work_tree(Path(folder))
        archive.add(folder, "homework/tar")


PACKED: dict[str, Write] = {
    "zip": zip_of_a_work_tree,
    "tar": tar_of_a_work_tree,
    "repository": lambda place: repository(place.with_suffix(".git"), FILES),
    "work-tree": work_tree,
    "steps-on-top": steps_on_top,
    "empty": Path.mkdir,
}


# What comes of them

of_each_class = pytest.mark.parametrize(
    "graded",
    [pytest.param(n, marks=[pytest.mark.full("ways to grade")] * (n != QUICK)) for n in PLANS],
    indirect=True,
)


@of_each_class
def test_everybody_is_expected(graded: Class) -> None:
    names = {source.learner for source in find([str(graded.folder / "class")])}
    hidden = {"..x"} & graded.expected.keys()
    assert names | hidden == set(map(spelled, graded.expected))
    assert len(list((graded.output / "results").iterdir())) == len(graded.expected)


@pytest.mark.parametrize(("graded", "learner"), LEARNERS, indirect=["graded"])
def test_each_gets_what_is_expected(learner: str, graded: Class) -> None:
    found = graded.grade(spelled(learner))
    rows = {step.step: (step.verdict, step.points, step.mistake) for step in found.steps}
    expected = graded.expected[learner]
    assert rows == {name: row_of(expected, name) for name in graded.steps}, found.problem
    assert UNREADABLE.get(learner, "") in found.problem


def row_of(expected: Rows, name: str) -> Row:
    """What is expected of a step, with what the registry says of the mistake."""
    verdict, points, mistake = expected.get(named(name).short, BLANK)
    known = {each.name: each.says for each in find_step(name).mistakes}
    return verdict, points, known[mistake] if mistake else ""


@of_each_class
def test_the_command_goes_on_to_its_end(graded: Class) -> None:
    assert graded.finished.code == 1, graded.finished.err
    unread = len(graded.expected.keys() & {*UNREADABLE, "empty"})
    assert f"\n{len(graded.expected) - unread} graded, " in graded.finished.out
    assert (f", {unread} not to be graded." in graded.finished.out) == bool(unread)
    assert "Traceback" not in graded.finished.out + graded.finished.err


@of_each_class
def test_no_attack_succeeds(graded: Class) -> None:
    assert graded.aim.is_unharmed
    assert have_ended(str(graded.folder))
    assert not list((graded.folder / "temporary").iterdir())
    for file in graded.output.rglob("*"):
        assert file.is_dir() or SUCCESS not in file.read_text(), file


@of_each_class
def test_all_files_have_the_same_scores(graded: Class) -> None:
    expected = {
        spelled(name): sum(points for _, points, _ in rows.values())
        for name, rows in graded.expected.items()
    }
    for name, found in scores(graded.output).items():
        assert found == expected, name


def scores(folder: Path) -> dict[str, dict[str, int]]:
    """The points of each learner, by the file that they are in."""
    kept = json.loads((folder / "results.json").read_text())["grades"]
    checks = {
        each["learner"]: [c for step in each["steps"] for c in step["checks"]] for each in kept
    }
    found = {
        "results.csv": total(table(folder / "results.csv", "points")),
        "points.csv": total(table(folder / "points.csv", "steps")),
        "junit.xml": total(suites(folder / "junit.xml")),
        "results.json": {who: sum(each["points"] for each in checks[who]) for who in checks},
    }
    for service in ("gradescope", "classroom", "exercism"):
        tests = {
            who: json.loads((folder / service / f"{result_name(who)}.json").read_text())["tests"]
            for who in checks
        }
        found[service] = {who: sum(map(score, tests[who], checks[who])) for who in checks}
    return found


def total(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sum of the points of each learner."""
    sums: dict[str, int] = {}
    for learner, points in pairs:
        sums[learner] = sums.get(learner, 0) + points
    return sums


def table(file: Path, column: str) -> Iterator[tuple[str, int]]:
    for row in csv.DictReader(file.open(encoding="utf-8-sig", newline="")):
        yield row["learner"].removeprefix("'"), int(row[column])


def suites(file: Path) -> Iterator[tuple[str, int]]:
    for suite in ET.parse(file).iter("testsuite"):  # noqa: S314 (it is ours)
        values = {each.get("name"): each.get("value") for each in suite.find("properties") or ()}
        yield str(values["learner"]), int(values["points"] or 0)


def score(test: dict[str, Any], check: dict[str, Any]) -> int:
    """The points of a test; Exercism has none, but passed and not passed."""
    points: int = test.get("score", check["max_points"] * (test["status"] == "pass"))
    return points


# A class that is graded more than once


def write_small(folder: Path) -> Path:
    """One is right, one is wrong, and one ends the process."""
    for name, third in {
        "ada": RIGHT,
        "bob": with_mistake("3"),
        "eve": stub("3") + EXIT,
    }.items():
        write(folder / "class" / name, {"1": HONEST, "3": third})
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small class that has been graded."""
    folder = write_small(tmp_path_factory.mktemp("small"))
    grade(folder, *SMALL)
    return folder


def outcomes(folder: Path) -> dict[str, list[tuple[str, Verdict, str]]]:
    """What each check of each learner came to; where it is wrong, with the numbers that came."""
    files = sorted((folder / "grades" / "results").glob("*.json"))
    return {
        made.learner: [
            (c.check, c.verdict, c.explanation if c.verdict is Verdict.WRONG else "")
            for s in made.steps
            for c in s.checks
        ]
        for made in map(grades.load, files)
    }


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("grades/results/*.json")}


@pytest.mark.full("ways to grade")
def test_nothing_is_graded_twice(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    graded_at, found = times(tmp_path), outcomes(tmp_path)
    again = grade(tmp_path, *SMALL)
    assert (again.code, times(tmp_path), outcomes(tmp_path)) == (1, graded_at, found)
    write(tmp_path / "class" / "bob", {"3": stub("3")})
    grade(tmp_path, *SMALL)
    changed = {name for name, when in times(tmp_path).items() if when != graded_at[name]}
    assert changed == {"bob.json"}


@pytest.mark.full("ways to grade")
@pytest.mark.parametrize("graded", ["endless"], indirect=True)
def test_who_has_run_out_of_time_is_not_graded_twice(graded: Class) -> None:
    plan, graded_at = PLANS["endless"], times(graded.folder)
    assert graded_at
    again = grade(graded.folder, "--steps", plan.steps, *plan.options)
    assert (again.code, times(graded.folder)) == (1, graded_at)


@pytest.mark.full("ways to grade")
def test_the_same_seed_gives_the_same_grades(small: Path, tmp_path: Path) -> None:
    grade(write_small(tmp_path), *SMALL)
    assert outcomes(tmp_path) == outcomes(small)


@pytest.mark.full("ways to grade")
def test_what_max_says_is_not_taken_for_the_output_of_the_code(small: Path) -> None:
    wrong = [said for _, verdict, said in outcomes(small)["bob"] if verdict is Verdict.WRONG]
    assert wrong
    assert not [said for said in wrong if PRINTED in said]


@pytest.mark.full("ways to grade")
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_small(tmp_path)
    outlives = step(Target(tmp_path, 0, 0), HOLDS["outlives"])
    write(tmp_path / "class" / "eve", {"3": outlives})  # she does what she can to go on
    with start(tmp_path, *SMALL, "--jobs", "1") as child:
        for _ in until(SECONDS):
            if len(times(tmp_path)) == 2:
                break
            time.sleep(0.1)
        time.sleep(2)  # eve is being graded by now
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err.strip()) == (130, b"")
    assert have_ended(str(tmp_path))
    assert not list((tmp_path / "temporary").iterdir())
    graded_at = times(tmp_path)
    assert set(graded_at) == {"ada.json", "bob.json"}
    write(tmp_path / "class" / "eve", {"3": stub("3") + EXIT})  # which is sooner over
    assert grade(tmp_path, *SMALL).code == 1
    assert times(tmp_path).keys() - graded_at.keys() == {"eve.json"}
    assert {name: times(tmp_path)[name] for name in graded_at} == graded_at
