"""What others read of grades: each file in its documented form, and equal scores in all."""

import base64
import csv
import io
import json
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.project.grades import (
    HOSTILE,
    LONG,
    WRONG,
    check,
    grade,
    hostile,
    step,
    unreadable,
)
from tests.project.schemas import SCHEMAS
from tutor import ROOT
from tutor.course.registry import all_steps
from tutor.course.tracks import ENGINE, TRACKS
from tutor.course.verdicts import Verdict
from tutor.errors import InputError
from tutor.grade import grades
from tutor.grade.formats import files as formats
from tutor.grade.formats import gradebooks, services, texts
from tutor.grade.formats.junit import junit
from tutor.grade.grades import Grade

MIXED = grade(
    "bob",
    [
        step(
            "2",
            [Verdict.PASSED, Verdict.WRONG, Verdict.WRONG],
            mistake="The triangle is flipped.",
        ),
        step(
            "7",
            [Verdict.CRASHED, Verdict.PASSED, Verdict.TIMED_OUT, *[Verdict.NOT_REACHED] * 4],
            culprits=["step_02"],
        ),
        step("9", [Verdict.NOT_STARTED] * 5),
        step("e1", [Verdict.WRONG]),
        step("e3"),
    ],
    problem="notes.txt was left out",
)
BROKEN = grade("cem", [step("1"), step("2", [Verdict.BROKEN] * 5)])
CLASS = [grade(), MIXED, BROKEN, unreadable(), hostile()]
EACH = pytest.mark.parametrize(
    "made", CLASS, ids=["all", "mixed", "broken", "unreadable", "hostile"]
)
SUMS = [*(f"{most}{track.name}" for track in TRACKS for most in ("", "max_")), "problem"]
VARIABLE = 128 * 1024  # bytes of a variable of the environment, with its name, in Linux
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(service: str, made: Grade) -> Any:
    """What a service finds in the file that is written for it."""
    content = formats.files_of([made])[f"{service}/{texts.file_name(made.learner)}.json"]
    return json.loads(content.decode())


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline="")))


def parsed(document: bytes) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 (it is our own)


def cases(*made: Grade) -> list[ET.Element]:
    """The cases of steps in the XML; the stand-ins for what could not be read have no points."""
    return [case for case in parsed(junit(made)).iter("testcase") if points_of(case)]


def points_of(element: ET.Element) -> tuple[int, ...]:
    found = {each.get("name"): each.get("value") for each in element.findall("properties/property")}
    return tuple(int(found[name] or "") for name in ("points", "max_points") if name in found)


def outcome(case: ET.Element) -> str:
    (tag,) = [child.tag for child in case if child.tag != "properties"] or ["passed"]
    return tag


def texts_in(value: Any) -> Iterator[str]:
    """All texts in what was read, also the names of properties."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_in([*value, *value.values()])
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


@EACH
@pytest.mark.parametrize("service", SCHEMAS)
def test_the_documented_form(service: str, made: Grade) -> None:
    jsonschema.validate(read(service, made), SCHEMAS[service])


@EACH
def test_equal_scores(made: Grade) -> None:
    checks = [each for part in made.steps for each in part.checks]
    points = [(each.points, each.max_points) for each in checks]
    total, most = (sum(map(each, TRACKS)) for each in (made.points, made.max_points))

    table = rows(formats.results_csv([made]))
    assert [(int(row["points"]), int(row["max_points"])) for row in table] == points
    (row,) = rows(formats.points_csv([made]))
    assert sum(int(row[track.name]) for track in TRACKS) == total
    assert sum(int(row[f"max_{track.name}"]) for track in TRACKS) == most
    assert sum(int(row[part.step]) for part in made.steps) == total

    scope, room = read("gradescope", made), read("classroom", made)
    assert [(test["score"], test["max_score"]) for test in scope["tests"]] == points
    assert scope["score"] == total
    assert [test["score"] for test in room["tests"]] == ([each.points for each in checks] or [0])
    assert room["max_score"] == most

    assert [points_of(case) for case in cases(made)] == points
    states = [test["status"] == "pass" for test in read("exercism", made)["tests"]]
    assert states == [each.verdict is Verdict.PASSED for each in checks]


@pytest.mark.parametrize(
    ("verdict", "status", "tag"),
    [
        (Verdict.PASSED, "pass", "passed"),
        (Verdict.WRONG, "fail", "failure"),
        (Verdict.NOT_STARTED, "fail", "failure"),
        (Verdict.CRASHED, "error", "error"),
        (Verdict.TIMED_OUT, "error", "error"),
        (Verdict.BROKEN, "error", "error"),
        (Verdict.NOT_REACHED, "error", "skipped"),
    ],
)
def test_each_verdict(verdict: Verdict, status: str, tag: str) -> None:
    made = grade(steps=[step("7", [Verdict.PASSED, verdict])])
    assert rows(formats.results_csv([made]))[1]["verdict"] == verdict
    scope = read("gradescope", made)["tests"][1]
    assert scope["status"] == ("passed" if status == "pass" else "failed")
    assert read("classroom", made)["tests"][1]["status"] == status
    test = read("exercism", made)["tests"][1]
    assert (test["status"], test["message"] is None) == (status, status == "pass")
    assert outcome(cases(made)[1]) == tag
    assert bool(scope["output"]) == (verdict is not Verdict.PASSED)


@pytest.mark.parametrize(
    ("verdicts", "classroom", "exercism"),
    [
        ([Verdict.PASSED] * 7, "pass", "pass"),
        ([Verdict.WRONG], "fail", "fail"),
        ([Verdict.NOT_STARTED] * 7, "fail", "fail"),
        ([Verdict.CRASHED] * 7, "fail", "fail"),
        ([Verdict.BROKEN], "error", "fail"),
        ([Verdict.BROKEN, *[Verdict.NOT_REACHED] * 6], "error", "error"),
        ([Verdict.NOT_REACHED] * 7, "error", "error"),
    ],
)
def test_the_status_of_all(verdicts: list[Verdict], classroom: str, exercism: str) -> None:
    made = grade(steps=[step("7", verdicts)])
    assert read("classroom", made)["status"] == classroom
    result = read("exercism", made)
    assert (result["status"], bool(result.get("message"))) == (exercism, exercism == "error")


def test_what_could_not_be_read_is_said_everywhere() -> None:
    made = unreadable()
    assert rows(formats.points_csv([made]))[0]["problem"] == made.problem
    assert made.problem in read("gradescope", made)["output"]
    (test,) = read("classroom", made)["tests"]
    assert made.problem in test["message"]
    assert read("exercism", made)["message"] == made.problem
    assert made.problem in junit([made]).decode()
    assert read("exercism", grade(steps=[]))["message"] == "There was nothing to check."


def test_the_row_of_a_check() -> None:
    made = grade(
        "ada", [step("7", [Verdict.PASSED, Verdict.WRONG, Verdict.WRONG], mistake="One, two")]
    )
    lines = formats.results_csv([made]).decode("utf-8-sig").splitlines()
    assert lines[0] == "learner,step,check,verdict,points,max_points,mistake,seconds"
    assert lines[2:4] == [
        'ada,step_07,one_token,wrong,0,2,"One, two",0.25',
        "ada,step_07,causality,wrong,0,3,,0.25",
    ]


def test_a_mistake_counts_once() -> None:
    table = rows(formats.results_csv([MIXED, hostile(), MIXED]))
    said = [row["check"] for row in table if row["mistake"] == "The triangle is flipped."]
    assert said == [MIXED.steps[0].checks[1].check] * 2


def test_points_are_ready_for_a_grade_book() -> None:
    table = rows(formats.points_csv([unreadable(), MIXED]))
    names = ["step_02", "step_07", "step_09", "engine_01", "engine_03"]
    assert [*table[0]] == ["learner", *names, *SUMS]
    assert [table[0][name] for name in names] == [""] * 5
    assert [int(table[1][name]) for name in names] == [each.points for each in MIXED.steps]
    assert int(table[1]["engine"]) == MIXED.points(ENGINE) > 0
    assert int(table[1]["max_steps"]) == 34
    assert table[1]["problem"] == "notes.txt was left out"


def test_a_learner_reads_why() -> None:
    first, second, third = read("gradescope", MIXED)["tests"][:3]
    assert first["name"].startswith("02 Causal mask: ")
    assert (first["number"], second["number"], first["tags"]) == ("2.1", "2.2", ["step_02"])
    assert first["output"] == ""
    assert second["output"] == f"{WRONG}Mistake: The triangle is flipped."
    assert third["output"] == WRONG.rstrip()
    tests = read("exercism", MIXED)["tests"]
    assert tests[5]["message"] == f"{WRONG}It comes from step_02."
    assert (tests[5]["task_id"], tests[-1]["task_id"]) == (7, 15)
    last = read("gradescope", MIXED)["tests"][-1]
    assert last["name"].startswith("engine 03 Batches of prompts: ")
    assert (last["number"], last["tags"]) == ("e3.5", ["engine_03"])


def test_what_the_code_printed_is_apart_and_short() -> None:
    said = "It is wrong.\nYour code printed:\n    one\n    two"
    failed = [
        check(verdict=Verdict.WRONG, explanation=said),
        check("b", Verdict.WRONG, explanation=said + LONG),
    ]
    made = grade(steps=[msgspec.structs.replace(step("7"), checks=failed)])
    one, other = read("exercism", made)["tests"]
    assert (one["message"].splitlines()[0], one["output"]) == ("It is wrong.", "one\ntwo")
    assert (len(other["output"]), other["output"][-3:]) == (500, "[…]")


def test_each_check_has_its_code_and_its_line() -> None:
    made = grade(steps=[step(each.short) for each in all_steps()])
    tests = read("classroom", made)["tests"]
    checks = [each for part in made.steps for each in part.checks]
    for each, test in zip(checks, tests, strict=True):
        line = (ROOT / test["filename"]).read_text().splitlines()[test["line_no"] - 1]
        assert line.startswith(f"def test_{each.check}(")
    for test in read("exercism", made)["tests"]:
        compile(f"def body():\n{test['test_code']}".replace("\n", "\n    "), "test", "exec")
        assert test["test_code"].strip()
        assert not test["test_code"].startswith("def test_")


def test_a_step_that_the_course_lacks_is_no_obstacle() -> None:
    later = msgspec.structs.replace(step("7"), step="step_99")
    made = grade(steps=[later, step("1")])
    assert read("classroom", made)["tests"][0]["line_no"] == 0
    (row,) = rows(formats.points_csv([made]))
    assert [*row][:3] == ["learner", "step_01", "step_99"]
    assert (int(row["step_99"]), int(row["steps"])) == (later.points, step("1").points)


def test_xml_counts_what_is_in_it() -> None:
    root = parsed(junit([MIXED, unreadable()]))
    names = ("tests", "failures", "errors", "skipped", "time")
    counts = [[suite.get(name) for name in names] for suite in root]
    assert counts == [
        ["5", "2", "0", "0", "1.250"],
        ["7", "0", "2", "4", "1.750"],
        ["5", "5", "0", "0", "1.250"],
        ["8", "1", "0", "0", "2.000"],
        ["5", "0", "0", "0", "1.250"],
        ["1", "0", "1", "0", "0.000"],
    ]
    assert [root.get(name) for name in names] == ["31", "8", "3", "4", "7.500"]
    assert [points_of(suite) for suite in root][:2] == [(5, 8), (2, 16)]
    failed = root[0][2]
    assert (failed.get("classname"), failed[1].get("type")) == ("bob.step_02", "wrong")
    assert failed[1].text == f"{WRONG}Mistake: The triangle is flipped."


def test_hostile_texts_stay_inside_their_places() -> None:
    files = formats.files_of([hostile()])
    for name, content in files.items():
        text = content.decode()  # strictly UTF-8
        if name.endswith(".json"):
            seen = list(texts_in(json.loads(text)))
        elif name.endswith(".xml"):
            elements = list(parsed(content).iter())
            seen = [
                value for each in elements for value in [each.text or "", *each.attrib.values()]
            ]
        else:
            table = list(csv.reader(io.StringIO(text, newline="")))
            assert len({len(row) for row in table}) == 1
            seen = [cell for row in table for cell in row]
            assert not [cell for cell in seen if re.match(r"[=+\-@\t\r]", cell)]
        assert any("<script>alert(1)</script>]]>&\"'" in each for each in seen)
        if name != "results.json":  # which keeps all as it is
            assert not [each for each in seen if FORBIDDEN.search(each)]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\r\n@", "＝"])
def test_no_cell_becomes_a_formula(begin: str) -> None:
    (row,) = rows(formats.points_csv([grade(f"{begin}1+1", problem=f"{begin}2")]))
    assert (row["learner"], row["problem"]) == (f"'{begin}1+1", f"'{begin}2")


@pytest.mark.parametrize(
    ("text", "kept"),
    {
        "ada;=1+1;": "ada;'=1+1;",
        "ada; =1;-2": "ada; '=1;'-2",
        ";=1": ";'=1",
        "ada|@x": "ada|'@x",
        "ada\n=1": "ada\n'=1",
        "ada\t+1": "ada\t'+1",
        "ada,=1": "ada,=1",
        "a = b": "a = b",
        "x;y": "x;y",
        "ada" + "\t" * 9 + "x": "ada" + "\t" * 9 + "x",
    }.items(),
)
def test_no_cell_becomes_a_formula_where_semicolons_separate(text: str, kept: str) -> None:
    (row,) = rows(formats.points_csv([grade(text, problem=text)]))
    assert (row["learner"], row["problem"]) == (kept, kept)


def test_cells_with_much_space_take_no_time() -> None:
    begin = time.monotonic()
    formats.points_csv([grade(text * 30_000) for text in ("\t", " \t", ";", "x\t", ";\n ")])
    assert time.monotonic() - begin < 1


def test_a_spreadsheet_sees_that_a_table_is_utf_8() -> None:
    for name, content in formats.files_of([grade("Zoë")]).items():
        assert content.startswith("\ufefflearner".encode()) == name.endswith(".csv")


BOOKS = ("canvas.csv", "moodle-steps.csv")
CANVAS = [
    "Student,ID,SIS User ID,SIS Login ID,Section,GPT-2 from scratch: steps 01 and 07",
    "    Points Possible,,,,,22",
    "ada,12,,,,22",
    "Zoë,,,,,16",
]
MOODLE = [
    "Identifier,Full name,Grade,Maximum grade,Last modified (grade),Feedback comments",
    "Participant 12,ada,22,22,,All has passed.",
    ",Zoë,16,22,,step 01: crashed",
]


def test_grade_books(tmp_path: Path) -> None:
    crashed = step("1", [Verdict.CRASHED] * len(step("1").checks))
    made = [
        grade("ada", [step("1"), step("7")], number="12"),
        grade("Zoë", [crashed, step("7")]),
        unreadable(),  # and so without a row, which would overwrite what is there
    ]
    for name in ("canvas", "moodle"):
        formats.write(made, tmp_path, name)
    lines = {name: (tmp_path / name).read_text("utf-8-sig").splitlines() for name in BOOKS}
    assert lines == {"canvas.csv": CANVAS, "moodle-steps.csv": MOODLE}
    formats.write([unreadable()], tmp_path / "nobody", "canvas")


def test_tracks_are_apart_in_grade_books() -> None:
    made = [grade("ada", [step("1"), step("e1")], number="1"), grade("bob", [step("1")])]
    table = rows(gradebooks.canvas(made)["canvas.csv"])
    assert [row["GPT-2 from scratch: step 01"] for row in table] == ["6", "6", "6"]
    assert [row["Make it fast: engine 01"] for row in table][2] == ""
    assert gradebooks.moodle(made).keys() == {"moodle-steps.csv", "moodle-engine.csv"}
    assert len(rows(gradebooks.moodle(made)["moodle-engine.csv"])) == 1


def test_cells_are_otherwise_kept() -> None:
    kept = 'Zoë, "the 1st"\nx=1;y-2@z'
    (row,) = rows(formats.points_csv([grade(kept)]))
    assert row["learner"] == kept


def test_a_log_of_github_obeys_no_learner() -> None:
    forged = '::notice title=Autograding report::{"totalPoints":100}'
    said = f"x[::2] is wrong\n  {forged}\r{forged} ##[error]no"
    (test,) = read("classroom", grade(steps=[step_with(said)]))["tests"]
    for line in re.split(r"[\r\n]", test["message"]):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    assert test["message"].startswith("x[::2] is wrong\n")


def step_with(said: str) -> grades.StepGrade:
    failed = check(verdict=Verdict.WRONG, explanation=said)
    return msgspec.structs.replace(step("7"), checks=[failed])


@pytest.mark.full("ways to grade")
@pytest.mark.parametrize("letter", ["x", "中", '"', "\x1b", "😀"])
def test_a_classroom_result_fits_a_variable(letter: str) -> None:
    full = [step(each.short, [Verdict.WRONG] * len(each.checks)) for each in all_steps()]
    for part in full:
        for index, each in enumerate(part.checks):
            said = f"It is wrong. {letter * 9999}"
            part.checks[index] = msgspec.structs.replace(each, explanation=said)
    text = services.classroom_text(grade(steps=full))
    assert len(text) < VARIABLE - 1000
    tests = json.loads(base64.b64decode(text, validate=True))["tests"]
    assert len(tests) == sum(len(each.checks) for each in all_steps())
    assert all(test["message"].startswith("It is wrong. ") for test in tests)
    assert all(test["message"].endswith(texts.MARK) for test in tests)


def test_the_classroom_text_is_the_file() -> None:
    decoded = json.loads(base64.b64decode(services.classroom_text(MIXED)))
    assert decoded == read("classroom", MIXED)


def test_messages_keep_to_their_bytes() -> None:
    made = grade(steps=[], problem="中" * 50_000)
    message = read("exercism", made)["message"]
    assert 65_000 < len(message.encode()) <= 65_535
    assert message.endswith("中 […]")


def test_a_class_holds_the_grades_themselves(tmp_path: Path) -> None:
    whole = json.loads(formats.files_of(CLASS)["results.json"])
    assert whole["format"] == "gpt2-from-scratch/grades/1"
    for made, found in zip(CLASS, whole["grades"], strict=True):
        grades.save(made, tmp_path / "one.json")
        assert found == json.loads((tmp_path / "one.json").read_bytes())


def test_a_class_of_nobody() -> None:
    files = formats.files_of([])
    assert files["results.csv"].decode("utf-8-sig").splitlines() == [",".join(formats.RESULTS)]
    assert files["points.csv"].decode("utf-8-sig").splitlines() == [",".join(["learner", *SUMS])]
    assert json.loads(files["results.json"])["grades"] == []
    assert parsed(files["junit.xml"]).get("tests") == "0"
    assert len(files) == 4


def test_write_makes_every_file(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    formats.write(CLASS, folder)
    formats.write([grade(), unreadable()], folder)  # replaces what is there
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    names = {texts.file_name(made.learner) for made in CLASS}
    common = {"results.csv", "points.csv", "results.json", "junit.xml"}
    assert found == common | {f"{each}/{name}.json" for each in SCHEMAS for name in names}
    assert len(rows((folder / "points.csv").read_bytes())) == 2


def test_two_submissions_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two submissions are called ada; rename one of them"):
        formats.write([grade(), unreadable(), grade()], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_names() -> None:
    kept = ["ada", "repo-1.2_x", "ab"]
    changed = ["Ada", "ADA", "a/b", "a\\b", "a b", "a\x00b", "", "..", ".", "-", "\n"]
    changed += [HOSTILE, LONG, LONG + "y", ".hidden", "ada.", "con", "NUL.txt", "中", "ünder"]
    changed += [
        "\udcff",
        "\udcfe",
        f"ada-{'01234567' * 4}",
    ]  # the last could be that of another
    made = [texts.file_name(name) for name in [*kept, *changed]]
    assert made[:3] == kept
    assert all(re.fullmatch(r".*-[0-9a-f]{32}", name) for name in made[3:])
    assert f"ada-{'01234567' * 4}" not in made
    assert len({name.casefold() for name in made}) == len(made)
    for name in made:
        assert re.fullmatch(r"\w[\w.-]*", name)
        assert len(f".{name}.json.12345678".encode()) <= 255
        assert not re.match(r"(con|nul)\b", name, re.IGNORECASE)
    assert texts.file_name("Ada Lovelace").startswith("Ada-Lovelace-")
