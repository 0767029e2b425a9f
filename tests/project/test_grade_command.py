"""`tutor grade`: what it refuses, what it prints, and that grades from elsewhere are joined."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.project import grades as made
from tests.project.commands import assert_refused, run_child, run_here
from tutor.check.sandbox.isolation import Isolation, Limits
from tutor.course import sources
from tutor.course.registry import find_step
from tutor.course.verdicts import Verdict
from tutor.errors import InputError
from tutor.grade import grades, run
from tutor.grade.here import Here
from tutor.grade.marking import Order
from tutor.grade.submissions.find import find
from tutor.runtime.own import CACHE_VARIABLE


@pytest.fixture
def learner(tmp_path: Path) -> Path:
    """A folder with one step."""
    (tmp_path / "ada" / "steps").mkdir(parents=True)
    (tmp_path / "ada" / "steps" / "step_01.py").touch()
    return tmp_path / "ada"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "name the submissions"),
        (["nowhere"], "nowhere"),
        (["https://example.org/ada.git"], "is not on this machine"),
        (["file:///nowhere/ada.git"], "nowhere/ada.git"),
        (["{ada}", "--steps", "0"], "'0' names no steps"),
        (["{ada}", "--steps", "9-7"], "'9-7' names no steps"),
        (["{ada}", "--steps", "3,,4"], "'' names no steps"),
        (["{ada}", "--steps", "1-99"], "'1-99' names no steps"),
        (["{ada}", "--deps", "none"], "--deps"),
        (["{ada}", "--jobs", "0"], "--jobs"),
        (["{ada}", "--timeout", "0"], "--timeout"),
        (["{ada}", "--memory", "1"], "--memory"),
        (["{ada}", "--seed", "0"], "--seed"),
        (["{ada}", "--output", "{ada}/steps/step_01.py"], "--output"),
        (["--merge", "{ada}/steps/step_01.py"], "is no grade of this course"),
        (["--merge", "{ada}"], "{ada}"),
        (["{ada}", "--bundle", "gradescope"], "name the submissions"),
        (["--bundle", "abacus"], "--bundle"),
    ],
)
def test_bad_input_is_refused_in_one_line(learner: Path, arguments: list[str], named: str) -> None:
    given = [each.format(ada=learner) for each in arguments]
    assert_refused(run_here("grade", *given), named.format(ada=learner))


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert_refused(run_here("grade", str(tmp_path)), str(tmp_path), "a folder with steps")


def test_names_stand_for_submissions(learner: Path, tmp_path: Path) -> None:
    (tmp_path / "bob").mkdir()  # who has handed in nothing
    (tmp_path / ".cache").mkdir()
    (tmp_path / "notes.txt").touch()
    shutil.make_archive(str(tmp_path / "eve"), "zip", learner)
    shutil.make_archive(str(tmp_path / "mal.v2"), "gztar", learner)
    for name in ("objects", "refs"):
        (tmp_path / "sue.git" / name).mkdir(parents=True)
    (tmp_path / "sue.git" / "HEAD").write_text("ref: refs/heads/main\n")
    kinds = {source.learner: source.kind for source in find([str(tmp_path)])}
    assert kinds == {
        "ada": "folder",
        "bob": "folder",
        "eve": "archive",
        "mal.v2": "archive",
        "notes.txt": "none",
        "sue": "repository",
    }
    again = find([str(learner), str(learner / "steps" / "..")])
    assert [each.learner for each in again] == ["ada"]
    assert [each.learner for each in find([str(learner / "steps")])] == ["ada"]


def test_learners_of_one_name_are_told_apart(learner: Path, tmp_path: Path) -> None:
    shutil.copytree(learner, tmp_path / "monday" / "ada")
    names = [each.learner for each in find([str(learner), str(tmp_path / "monday" / "ada")])]
    assert names == [str(learner), str(tmp_path / "monday" / "ada")]


def test_a_url_is_read_as_git(learner: Path) -> None:
    (source,) = find([f"file://{learner}"])
    assert (source.kind, source.path) == ("repository", learner / ".git")
    with pytest.raises(InputError):
        find(["ssh://host/ada.git"])


@pytest.mark.full("ways to grade")
def test_kernels_go_elsewhere_if_their_folder_cannot_be_written(
    learner: Path, tmp_path: Path
) -> None:
    (learner / "steps" / "step_01.py").write_text(sources.reference(find_step("1"), "steps"))
    (tmp_path / "temporary").mkdir()
    places = {
        CACHE_VARIABLE: str(learner / "steps" / "step_01.py" / "cache"),
        "TMPDIR": str(tmp_path / "temporary"),
    }
    given = str(learner), "--steps", "1", "--output", str(tmp_path / "grades")
    finished = run_child("grade", *given, environment=places)
    assert finished.code == 0
    assert f"{find_step('1').points}.0 points on average" in finished.out


def test_grades_from_elsewhere_are_joined(tmp_path: Path) -> None:
    for name in ("ada", "bob"):
        grade = made.grade(name, [made.step("1"), made.step("7")])
        (tmp_path / f"from {name}").mkdir()
        grades.save(grade, tmp_path / f"from {name}" / "result.json")
    files = [str(file) for file in tmp_path.glob("from */result.json")]
    finished = run_here("grade", "--merge", *files, "--output", str(tmp_path / "all"))
    assert (finished.code, finished.err) == (0, "")
    assert "2 graded, 22.0 points on average." in finished.out
    joined = json.loads((tmp_path / "all" / "results.json").read_text())
    assert [each["learner"] for each in joined["grades"]] == ["ada", "bob"]
    assert {file.name for file in (tmp_path / "all" / "results").iterdir()} == {
        "ada.json",
        "bob.json",
    }
    assert "ada" in (tmp_path / "all" / "report.html").read_text()


def test_grades_of_nobody_are_joined(tmp_path: Path) -> None:
    for name, steps in (("eve", []), ("sue", [made.step("1", [Verdict.NOT_STARTED] * 5)])):
        grade = made.grade(name, steps, problem="It was not graded: it is empty.", seconds=0)
        checks = [msgspec.structs.replace(each, seconds=0.0) for s in steps for each in s.checks]
        steps = [msgspec.structs.replace(each, checks=checks) for each in steps]
        grades.save(msgspec.structs.replace(grade, steps=steps), tmp_path / f"{name}.json")
    files = [str(file) for file in tmp_path.glob("*.json")]
    output = "--output", str(tmp_path / "all")
    finished = run_here("grade", "--merge", *files, *output, "--format", "moodle")
    assert (finished.code, finished.err) == (1, "")
    assert "0 graded, 2 not to be graded." in finished.out
    assert "Not graded: eve, sue." in finished.out
    assert "no submission was graded" in (tmp_path / "all" / "report.html").read_text()


@pytest.mark.parametrize(("seed", "is_told"), [(20260101, True), (7, False)])
def test_a_seed_that_learners_have_seen_is_told(
    seed: int, is_told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grades.save(made.grade(), tmp_path / run.RESULTS / "ada.json")
    assert run.seed_of(tmp_path / run.RESULTS) == 20260101
    isolation = Isolation(Limits(), "bwrap")
    order = Order([], "own", seed, 9, isolation, tmp_path / run.RESULTS, "")
    run.grade_class(order, [], Here(isolation, 1))
    said = capsys.readouterr().err
    assert ("whoever has seen them knows these inputs" in said) is is_told


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "x/y", "1/0"])
def test_a_part_is_one_of_several(learner: Path, part: str) -> None:
    assert_refused(run_here("grade", str(learner), "--part", part), "is not a part; 2/3 is")


def test_two_grades_of_one_learner_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        grades.save(made.grade("ada", [made.step("1")]), tmp_path / folder / "ada.json")
    files = [str(file) for file in tmp_path.glob("*/ada.json")]
    assert_refused(run_here("grade", "--merge", *files, "--output", str(tmp_path / "all")), "ada")
    assert not (tmp_path / "all").exists()


def test_the_table_fits_into_80_columns(tmp_path: Path) -> None:
    grades.save(made.grade("a name that is longer than there is room for"), tmp_path / "long.json")
    finished = run_here("grade", "--merge", str(tmp_path / "long.json"), "--output", str(tmp_path))
    rows = [line for line in finished.out.splitlines() if "/100" in line]
    assert len(rows) == 1
    assert len(rows[0]) <= 80
    assert rows[0].startswith("a name that is long…")


def test_the_table_has_all_steps_and_its_legend_all_their_verdicts(tmp_path: Path) -> None:
    """Also those of a learner who was graded when the course had fewer tracks."""
    verdicts = [verdict for verdict in Verdict if verdict is not Verdict.NOT_REACHED]
    ends = [made.step(str(place), [verdict]) for place, verdict in enumerate(verdicts, 1)]
    for grade in (made.grade("ada", [*ends, made.step("e2")]), made.grade("bob", ends)):
        grades.save(grade, tmp_path / f"{grade.learner}.json")
    files = [str(tmp_path / f"{name}.json") for name in ("ada", "bob")]
    finished = run_here("grade", "--merge", *files, "--output", str(tmp_path))
    legend, heading, ada, bob, *_, last = finished.out.splitlines()
    assert max(map(len, (legend, heading, ada, bob))) <= 80
    signs = [verdict.sign for verdict in verdicts]
    assert [entry[0] for entry in legend.split("  ")] == signs
    assert heading.split() == ["learner", "points", "1", "2", "3", "4", "5", "6", "e2"]
    assert ada.split()[2:] == [*signs, "✓"]
    assert bob.split() == ["bob", ada.split()[1], *signs]
    assert f"{find_step('e2').points}.0 points on average in the engine track" in last


def test_the_points_of_a_track_alone_are_shown(tmp_path: Path) -> None:
    grades.save(made.grade("ada", [made.step("e2")]), tmp_path / "ada.json")
    finished = run_here("grade", "--merge", str(tmp_path / "ada.json"), "--output", str(tmp_path))
    points = find_step("e2").points
    assert finished.out.splitlines()[2].split() == ["ada", f"{points}/{points}", "✓"]
    assert f"1 graded, {points}.0 points on average in the engine track." in finished.out
