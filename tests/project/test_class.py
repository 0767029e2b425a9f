"""`tutor grade` on a whole class: honest learners beside those who attack, and what each gets."""

import csv
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from tests.project.hostile import FIRST, HONEST, RIGHT, THIRD, repository
from tests.project.suites import variants_of
from tutor import stubs
from tutor.classroom import grades
from tutor.classroom.entries import spelled
from tutor.classroom.grades import Grade
from tutor.classroom.services import PRINTED
from tutor.classroom.submissions import find
from tutor.classroom.texts import file_name as result_name
from tutor.course import CORE, file_name, load_step, solution_source
from tutor.grading.isolation import find_bubblewrap

pytestmark = pytest.mark.skipif(not find_bubblewrap()[0], reason="no user namespaces here")

SECONDS = 900  # that a class may take on a busy machine; on two idle cores it takes 240
LIMITS = ("--timeout", "15", "--memory", "1024", "--seed", "2026")
# Eve takes all of the time; with less memory, MAX's allocator says so now and then.
SMALL = ("--timeout", "8", "--memory", "3072")

Row = tuple[str, int, str]  # what is expected of a step: verdict, points, known mistake
BLANK: Row = ("not started", 0, "")
PASSED = {number: ("passed", load_step(number).points, "") for number in CORE}
ONE_AND_THREE = {1: PASSED[1], 3: PASSED[3]}

# Learners by name, and what their steps come to; the steps that are not named are not started.

HONEST_ONES: dict[str, dict[int, Row]] = {
    "all-right": PASSED,
    "zip": ONE_AND_THREE,
    "tar": ONE_AND_THREE,
    "repository": ONE_AND_THREE,
    "work-tree": ONE_AND_THREE,
    "steps-on-top": ONE_AND_THREE,
    "crashes-in-03": PASSED | {3: ("crashed", 2, "")},
    "never-ends-in-03": PASSED | {3: ("timed out", 2, "")},
    "half-of-12": {12: ("not started", 3, "")},
    "stubs": {},
    "empty": {},
}
MISTAKES: dict[int, Row] = {
    1: ("wrong", 2, "epsilon too small"),
    2: ("wrong", 2, "triangle flipped"),
    3: ("wrong", 3, "unbiased variance"),
    4: ("wrong", 4, "GELU by the error function"),
    5: ("wrong", 0, "sizes swapped"),
    6: ("wrong", 0, "sizes swapped"),
    7: ("wrong", 12, "scaled by the width"),
    8: ("wrong", 3, "norms after the sums"),
    9: ("wrong", 6, "the same block repeated"),
    10: ("wrong", 2, "head with a bias"),
    11: ("wrong", 4, "square c_proj forgotten"),
    12: ("wrong", 7, "greedy still samples"),
}
VARIANTS = (3, 7, 12)
NAMES = (  # of folders
    *("=1+1", "-rf", "<script>alert(1)<", "a\nb", "a\\nb", " ", "\x1b[2J", "x" * 200, "..x"),
    *(os.fsdecode(b"caf\xe9"), "con", "Ada", "ada"),
)
# Step 03 of those who attack; where an attack goes on, what it does then decides.
CRASHED: Row = ("crashed", 0, "")
TIMED_OUT: Row = ("timed out", 0, "")
ATTACKERS = (
    dict.fromkeys([*READS, *HOLDS], BLANK)
    | {"patches-max": ("wrong", 0, "")}
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
    | dict.fromkeys(["goes-on-about-compiling", "loops", "outlives", "sleeps"], TIMED_OUT)
    | dict.fromkeys(["exits-in-forward", "raises-systemexit-in-forward"], ("crashed", 2, ""))
    | {"loops-in-forward": ("timed out", 2, "")}
)
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

EXPECTED = (
    HONEST_ONES
    | {f"mistake-{number:02}": {number: row} for number, row in MISTAKES.items()}
    | {f"variant-{number:02}": {number: PASSED[number]} for number in VARIANTS}
    | {name: {3: row} for name, row in ATTACKERS.items()}
    | {name: {1: PASSED[1]} for name in (*NAMES, *READABLE)}
    | {name: {} for name in UNREADABLE}
)


@dataclass(frozen=True)
class Class:
    """A class that has been graded: what was printed, and what came of each learner."""

    folder: Path
    aim: Target
    finished: Finished

    @property
    def output(self) -> Path:
        return self.folder / "grades"

    def grade(self, learner: str) -> Grade:
        return grades.load(self.output / "results" / f"{result_name(learner)}.json")


def write(folder: Path, texts: dict[int, str]) -> None:
    for number, text in texts.items():
        file = folder / file_name("steps", number)
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
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    folder = tmp_path_factory.mktemp("school")
    (folder / "class").mkdir()
    with target(folder / "target") as aim:
        write_attackers(folder / "class", aim)
        write_honest_ones(folder / "class")
        yield Class(folder, aim, grade(folder, "--jobs", "3"))


def write_attackers(folder: Path, aim: Target) -> None:
    for name, text in attacks(aim).items():
        write(folder / name, {3: text})
    for name, write_it in hostile.submissions(aim.folder).items():
        write_it(folder / name)
    for name in NAMES:
        write(folder / name, {1: HONEST})


def write_honest_ones(folder: Path) -> None:
    solutions = {number: solution_source(number, "steps") for number in CORE}
    write(folder / "all-right", solutions)
    write(folder / "stubs", {number: stubs.derive(number) for number in CORE})
    body = "        return F.layer_norm("
    for name, line in {"crashes-in-03": "1 / 0", "never-ends-in-03": "while True: pass"}.items():
        write(folder / name, solutions | {3: RIGHT.replace(body, f"        {line}\n{body}")})
    done, todo = (text.split("def generate_tokens") for text in (solutions[12], stubs.derive(12)))
    write(folder / "half-of-12", {12: f"{done[0]}def generate_tokens{todo[1]}"})
    for number in MISTAKES:
        write(folder / f"mistake-{number:02}", {number: with_mistake(number)})
    for number in VARIANTS:
        source, (edits, *_) = solutions[number], variants_of(load_step(number)).values()
        for old, new in edits:
            source = source.replace(old, new)
        write(folder / f"variant-{number:02}", {number: source})
    write_packed(folder, {FIRST: HONEST, THIRD: RIGHT})


def with_mistake(number: int) -> str:
    """A step with the mistake that is expected of it."""
    _, _, name = MISTAKES[number]
    mistake = next(each for each in load_step(number).mistakes if each.name == name)
    return mistake.apply(solution_source(number, "steps"))


def write_packed(folder: Path, files: dict[str, str]) -> None:
    """The same steps in each way in which they can be handed in."""
    write(folder / "work-tree", {1: HONEST, 3: RIGHT})
    repository(folder / "work-tree" / ".git", files)
    repository(folder / "repository.git", files)
    for name, text in files.items():
        (folder / "steps-on-top").mkdir(exist_ok=True)
        (folder / "steps-on-top" / Path(name).name).write_text(text)
    shutil.make_archive(str(folder / "zip"), "zip", folder / "work-tree")
    with tarfile.open(folder / "tar.tar.xz", "w:xz") as archive:
        archive.add(folder / "work-tree", "homework/tar")
    (folder / "empty").mkdir()


def test_everybody_is_expected(graded: Class) -> None:
    names = {source.learner for source in find([str(graded.folder / "class")])}
    assert names | {"..x"} == set(map(spelled, EXPECTED))
    assert len(list((graded.output / "results").iterdir())) == len(EXPECTED)


@pytest.mark.parametrize("learner", EXPECTED)
def test_each_gets_what_is_expected(learner: str, graded: Class) -> None:
    found = graded.grade(spelled(learner))
    rows = {step.number: (step.verdict, step.points, step.mistake) for step in found.steps}
    assert rows == {number: row_of(learner, number) for number in CORE}, found.problem
    assert UNREADABLE.get(learner, "") in found.problem


def row_of(learner: str, number: int) -> Row:
    """What is expected of a step, with what the registry says of the mistake."""
    verdict, points, name = EXPECTED[learner].get(number, BLANK)
    mistakes = {each.name: each.says for each in load_step(number).mistakes}
    return verdict, points, mistakes[name] if name else ""


def test_the_command_goes_on_to_its_end(graded: Class) -> None:
    assert graded.finished.code == 1, graded.finished.err
    unread = len(UNREADABLE) + 1  # and the empty folder
    assert f"\n{len(EXPECTED) - unread} graded, " in graded.finished.out
    assert f", {unread} not to be graded." in graded.finished.out
    assert "Traceback" not in graded.finished.out + graded.finished.err


def test_no_attack_succeeds(graded: Class) -> None:
    assert graded.aim.is_unharmed
    assert have_ended(str(graded.folder))
    assert not list((graded.folder / "temporary").iterdir())
    for file in graded.output.rglob("*"):
        assert file.is_dir() or SUCCESS not in file.read_text(), file


def test_all_files_have_the_same_scores(graded: Class) -> None:
    expected = {spelled(name): sum(points_of(name)) for name in EXPECTED}
    for name, found in scores(graded.output).items():
        assert found == expected, name


def points_of(learner: str) -> Iterator[int]:
    return (points for _, points, _ in EXPECTED[learner].values())


def scores(folder: Path) -> dict[str, dict[str, int]]:
    """The points of each learner, by the file that they are in."""
    kept = json.loads((folder / "results.json").read_text())["grades"]
    checks = {
        each["learner"]: [c for step in each["steps"] for c in step["checks"]] for each in kept
    }
    found = {
        "results.csv": total(table(folder / "results.csv", "points")),
        "points.csv": total(table(folder / "points.csv", "total")),
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
    for row in csv.DictReader(file.open(encoding="utf-8", newline="")):
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
    """One is right, one is wrong, and one does what it can to go on when all is over."""
    for name, third in {"ada": RIGHT, "bob": with_mistake(3)}.items():
        write(folder / "class" / name, {1: HONEST, 3: third})
    write(folder / "class" / "eve", {3: step(Target(folder, 0, 0), HOLDS["outlives"])})
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small class that has been graded."""
    folder = write_small(tmp_path_factory.mktemp("small"))
    grade(folder, *SMALL)
    return folder


def outcomes(folder: Path) -> dict[str, list[tuple[str, str, str]]]:
    """What each check of each learner came to; where it is wrong, with the numbers that came."""
    files = sorted((folder / "grades" / "results").glob("*.json"))
    return {
        made.learner: [
            (c.check, c.verdict, c.explanation if c.verdict == "wrong" else "")
            for s in made.steps
            for c in s.checks
        ]
        for made in map(grades.load, files)
    }


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("grades/results/*.json")}


def test_nothing_is_graded_twice(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    graded_at, found = times(tmp_path), outcomes(tmp_path)
    again = grade(tmp_path, *SMALL)
    assert (again.code, times(tmp_path), outcomes(tmp_path)) == (1, graded_at, found)
    write(tmp_path / "class" / "bob", {3: stubs.derive(3)})
    grade(tmp_path, *SMALL)
    changed = {name for name, when in times(tmp_path).items() if when != graded_at[name]}
    assert changed == {"bob.json"}


def test_the_same_seed_gives_the_same_grades(small: Path, tmp_path: Path) -> None:
    grade(write_small(tmp_path), *SMALL)
    assert outcomes(tmp_path) == outcomes(small)


def test_what_max_says_is_not_taken_for_the_output_of_the_code(small: Path) -> None:
    wrong = [said for _, verdict, said in outcomes(small)["bob"] if verdict == "wrong"]
    assert wrong
    assert not [said for said in wrong if PRINTED in said]


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with start(write_small(tmp_path), *SMALL, "--jobs", "1") as child:
        for _ in until(SECONDS):
            if len(times(tmp_path)) == 2:
                break
            time.sleep(0.1)
        time.sleep(2)  # eve is being graded by now
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err.strip()) == (130, b"")
    assert have_ended(str(tmp_path))
    assert not list((tmp_path / "temporary").iterdir())
    graded_at = times(tmp_path)
    assert set(graded_at) == {"ada.json", "bob.json"}
    assert grade(tmp_path, *SMALL).code == 1
    assert times(tmp_path).keys() - graded_at.keys() == {"eve.json"}
    assert {name: times(tmp_path)[name] for name in graded_at} == graded_at
