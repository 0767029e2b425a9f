"""Every number in the book is computed: those of the examples, and those in the prose."""

from pathlib import Path

import numpy as np
import pytest

from tests.book.chapters import (
    CHAPTERS,
    EXAMPLES,
    TRIES,
    names_in,
    run_example,
    run_session,
    sections,
    wrong_numbers,
)

pytestmark = pytest.mark.full("numbers in the book")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_prints_what_it_shows(file: Path) -> None:
    assert run_example(file), "it computes nothing"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        pytest.param(file, name, id=f"{file.stem}-{name}")
        for file in TRIES
        for name in sections(file)
    ],
)
def test_what_is_to_be_tried_runs_by_itself(file: Path, name: str) -> None:
    assert run_session(file, name), "it computes nothing"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_numbers_in_prose_are_those_of_their_sources(chapter: Path) -> None:
    assert not list(wrong_numbers(chapter.read_text(), names_in(chapter)))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("It is 2.83<!--= x -->, or 2.8<!--= x -->, or 3<!--= x -->.", []),
        ("It is 2.84<!--= x -->.", ["2.84, where x gives 2.82843"]),
        ("It is 2.9<!--= x -->.", ["2.9, where x gives 2.82843"]),
        ("50,257<!--= 50257 --> and −1.5<!--= -1.5 --> and 1e-5<!--= 1e-5 -->", []),
        ("50,258<!--= 50257 -->", ["50,258, where 50257 gives 50257"]),
        ("| 1 | 2 |\n| 3 | 4 |\n<!--= y -->", []),
        ("| 1 | 2 |\n| 4 | 3 |\n<!--= y -->", ["4, where y gives 3", "3, where y gives 4"]),
        ("1, 2 and 3 <!--= y -->", ["4 numbers from y, where 3 stand"]),
        ("See step 12, `step_11`, GPT-2, two of 3, 07, 2017, [text](a_11.html).", []),
        ("There are 12 of them, 0.5 each.", ["12, without a source", "0.5, without a source"]),
        ("```sh\ntutor check 11\n```", []),
        (
            "It is 12.\n\nHere <!--= 12 -->",
            ["12, without a source", "1 numbers from 12, where 0 stand"],
        ),
    ],
)
def test_a_wrong_number_would_be_found(text: str, wrong: list[str]) -> None:
    names = {"x": np.sqrt(8), "y": np.array([[1, 2], [3, 4]])}
    assert list(wrong_numbers(text, names)) == wrong
