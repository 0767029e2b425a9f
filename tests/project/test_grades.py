"""The file of a grade: its schema, and what is refused."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from tests.project.grades import grade, hostile, step, unreadable
from tutor.errors import InputError
from tutor.grade import grades
from tutor.grade.formats import files as formats
from tutor.grade.formats import texts
from tutor.grade.grades import Grade


def test_a_name_can_be_read_back_and_keeps_its_file(tmp_path: Path) -> None:
    made = grade("caf\udce9")
    grades.save(made, tmp_path / "one.json")
    back = grades.load(tmp_path / "one.json")
    assert back == msgspec.structs.replace(made, learner=r"caf\udce9")
    assert texts.file_name(back.learner) == texts.file_name(made.learner)
    assert formats.points_csv([back]) == formats.points_csv([made])


@pytest.mark.parametrize(
    "made", [grade(), unreadable(), hostile()], ids=["all", "unreadable", "hostile"]
)
def test_the_schema_takes_what_is_saved(made: Grade, tmp_path: Path) -> None:
    grades.save(made, tmp_path / "one.json")
    jsonschema.validate(json.loads((tmp_path / "one.json").read_bytes()), grades.schema())
    again = grades.load(tmp_path / "one.json")
    grades.save(again, tmp_path / "two.json")
    assert grades.load(tmp_path / "two.json") == again


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": "gpt2-from-scratch/grade/1"', '"format": "gpt2-from-scratch/grade/2"'),
        ('"learner": "ada"', '"learner": ""'),
        ('"learner": "ada",', ""),
        ('"seed": 20260101', '"seed": "20260101"'),
        ('"seed"', '"sed": 1, "seed"'),
        ('"step": "step_01"', '"step": "step_1"'),
        ('"verdict": "passed"', '"verdict": "failed"'),
        ('"points": 1', '"points": -1'),
        ('"max_points": 1', '"max_points": 1.5'),
        ('"dependencies": "reference"', '"dependencies": "mine"'),
        ('"steps": [', '"steps": [1, '),
    ],
)
def test_the_schema_and_load_refuse_the_same(old: str, new: str, tmp_path: Path) -> None:
    text = grades.as_json(msgspec.to_builtins(grade(steps=[step("1")]))).decode()
    assert old in text
    broken = text.replace(old, new, 1)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(broken), grades.schema())
    assert_refused(broken.encode(), tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b'"\\udcff"'])
def test_what_is_no_grade_is_refused(content: bytes, tmp_path: Path) -> None:
    assert_refused(content, tmp_path)


def assert_refused(content: bytes, folder: Path) -> None:
    (folder / "one.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        grades.load(folder / "one.json")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{folder / 'one.json'} is no grade of this course: ")
