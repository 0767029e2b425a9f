"""What is said of numbers that are wrong: only what is true of all of them, and of nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests import oracle
from tutor.check import likeness, stages
from tutor.check.expectations import MismatchError, expect_equal, side_by_side
from tutor.check.resizing import Array

RIGHT = np.random.default_rng(0).normal(size=(2, 5, 24)).astype(np.float32)
TOLERANCE = 1e-5


def like(got: Any, right: Any = RIGHT) -> str:
    return likeness.likeness(np.asarray(got), np.asarray(right), TOLERANCE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: 2 * x, "Every number is twice the right one."),
        (lambda x: -x, "Every number has the wrong sign."),
        (lambda x: x / 2, "Every number is half the right one."),
        (lambda x: x * 3**0.5, "Every number is √3 times the right one."),
        (lambda x: x / 8**0.5, "Every number is 1/√8 times the right one."),
        (lambda x: x * 0.7, "Every number is 0.7 times the right one."),
        (lambda x: x + 1, "Every number is 1 more than the right one."),
        (lambda x: x - 0.25, "Every number is 0.25 less than the right one."),
        (
            lambda x: x - x.max(-1, keepdims=True),
            "Along the last axis, all numbers are off by the same amount, which varies by row.",
        ),
        (lambda x: x - x[0, 1], "All vectors along the last axis are off by the same vector."),
        (lambda x: 0 * x, "Every number is 0."),
        (
            lambda x: np.concatenate(np.split(x, 2, axis=2), axis=1),
            "The numbers are right, but 2 parts are joined along axis 1 that belong side by side "
            "along axis 2.",
        ),
        (
            lambda x: np.stack(np.split(x, 3, axis=2), axis=-1),
            "The numbers are right, but 3 parts are stacked along a new axis 3; they belong side "
            "by side along axis 2.",
        ),
        (
            lambda x: np.concatenate([x, x], axis=1),
            "Along axis 1 everything is there 2 times, one after the other.",
        ),
        (lambda x: np.repeat(x, 3, axis=1), "Along axis 1 each place is there 3 times in a row."),
        (lambda x: x[..., ::2], "Along axis 2 only one place in 2 is there."),
        (lambda x: x * np.nan, "Every number is NaN."),
        (lambda x: np.exp(x), "Every number is the exponential of the right one."),
        (lambda x: x[:, ::-1], "Along axis 1 the order is reversed."),
        (lambda x: x[::-1], "Along axis 0 the order is reversed."),
        (
            lambda x: np.roll(x, 1, axis=1),
            "Along axis 1 each place has what belongs to the place before it.",
        ),
        (
            lambda x: np.roll(x, -1, axis=2),
            "Along axis 2 each place has what belongs to the place after it.",
        ),
        (
            lambda x: np.repeat(x[:, :1], 5, axis=1),
            "Along axis 1 every place has what belongs to the first.",
        ),
        (
            lambda x: np.repeat(x[1:], 2, axis=0),
            "Along axis 0 every place has what belongs to the last.",
        ),
        (
            lambda x: np.broadcast_to(x.mean(1, keepdims=True), x.shape),
            "Along axis 1 every place has the mean of all places.",
        ),
        (
            lambda x: np.cumsum(x, axis=1),
            "Along axis 1 each place has the sum of itself and all before it.",
        ),
        (lambda x: x.transpose(0, 2, 1), "The numbers are right, but transposed to [0, 2, 1]."),
        (lambda x: x.mean(1, keepdims=True), "Along axis 1 there is only the mean of all places."),
        (lambda x: x.sum(0), "Along axis 0 there is only the sum of all places."),
        (lambda x: x.max(2), "Along axis 2 there is only the largest of all places."),
        (lambda x: x[0], "Along axis 0 there is only the first place, and the axis is gone."),
        (lambda x: x[:, -1], "Along axis 1 there is only the last place, and the axis is gone."),
        (
            lambda x: np.where(np.arange(10).reshape(2, 5, 1) == 7, 0, x),
            "Only what is at [1, 2] is wrong.",
        ),
        (lambda x: x.reshape(10, 24), "The numbers are right, in another shape."),
        (lambda x: x.astype(np.float64), "The numbers are right; their type is not."),
        (
            lambda x: np.concatenate([x, x[:, :1]], axis=1),
            "Along axis 1, one is too many, at the end; the others are right.",
        ),
        (
            lambda x: x[:, 2:],
            "Along axis 1, 2 are missing, at the beginning; the others are right.",
        ),
        (
            lambda x: np.concatenate([x[:, :1], x[:, 1:] ** 2], axis=1),
            "Along axis 1 only the first is right.",
        ),
        (
            lambda x: np.concatenate([x[:, :3], x[:, 3:] ** 2], axis=1),
            "Along axis 1 only the first 3 are right.",
        ),
        (
            lambda x: np.concatenate([x[:, :1] ** 2, x[:, 1:]], axis=1),
            "Along axis 1 the first is wrong; the others are right.",
        ),
    ],
)
def test_a_plain_relation_is_said(change: Callable[[Array], Array], said: str) -> None:
    assert like(change(RIGHT)) == said


@pytest.mark.parametrize("width", [3, 5])
def test_a_matrix_is_transposed_also_a_square_one(width: int) -> None:
    right = RIGHT[0, :, :width]
    assert like(right.T, right) == "The numbers are right, but transposed."


@pytest.mark.parametrize(
    "got",
    [
        np.random.default_rng(1).normal(size=RIGHT.shape),
        RIGHT + np.random.default_rng(1).normal(size=RIGHT.shape),
        np.where(RIGHT > 0, RIGHT, np.nan),
        RIGHT[:, :0],
        RIGHT[0, 0],
        np.array([["a"]]),
        RIGHT > 0,
    ],
    ids=["others", "noise", "some NaN", "none", "a part", "words", "flags"],
)
def test_nothing_is_said_of_what_has_no_plain_relation(got: Array) -> None:
    assert not like(got)


@pytest.mark.parametrize(("hidden", "said"), [(np.nan, "nan"), (-65504.0, "-65504"), (1.0, "1")])
def test_what_stands_in_place_of_an_infinity_is_said(hidden: float, said: str) -> None:
    mask = np.triu(np.full((5, 5), -np.inf), 1)
    got = np.where(np.isinf(mask), hidden, mask)
    assert like(got, mask) == f"Where -inf belongs, there is {said}."
    assert not like(got + 1, mask)
    assert not like(got + np.arange(5), mask)


def test_a_mask_that_begins_elsewhere_is_said() -> None:
    right, early, late = (np.triu(np.full((5, 8), -np.inf), by) for by in (4, 1, 5))
    assert like(early, right) == "In each row 3 places are hidden that must not be."
    assert like(late[:3], right[:3]) == "In each row one place is seen that must not be."
    assert not like(early[::-1], right)
    assert not like(np.triu(np.full((5, 8), -np.inf), -1), right)  # cut off at the first key


def test_nothing_is_said_where_two_sentences_are_true() -> None:
    same_there_and_back = np.array([1.0, -1.0])  # reversed, and of the wrong sign
    assert not like(-same_there_and_back, same_there_and_back)


def test_two_numbers_in_a_row_are_too_few_to_be_off_by_the_same() -> None:
    assert not like(RIGHT[..., :1] ** 2 + 1, RIGHT[..., :1])


def test_nothing_is_said_of_numbers_that_are_all_alike() -> None:
    assert not like(2 * np.ones((3, 4)), np.ones((3, 4)))


def test_a_stage_of_the_computation_is_said() -> None:
    given = [("a layer norm gives", RIGHT**3), ("GELU gives", RIGHT[:, :2] ** 5)]
    said = likeness.likeness(RIGHT**3, RIGHT, TOLERANCE, given)
    assert said == "This is what a layer norm gives."
    assert not likeness.likeness(RIGHT**3, RIGHT, TOLERANCE, [*given, ("MLP gives", RIGHT**3)])


def test_an_oracle_remembers_its_stages() -> None:
    x = oracle.softmax(RIGHT.astype(np.float64))
    words = [name for name, array in stages.recent() if np.array_equal(array, x)]
    assert words[-1] == "softmax gives"


@pytest.mark.parametrize(
    ("got", "right", "said"),
    [
        ("Once", "Once more", "5 characters are missing, at the end."),
        ("8Once", "Once", "One character is too many, at the beginning."),
        ([1, 2, 3, 4], [1, 2], "2 entries are too many, at the end."),
        ([2, 3], [1, 2, 3], "One entry is missing, at the beginning."),
        ([3, 2, 1], [1, 2, 3], "The order is reversed."),
        ([["a"], ["b"]], [["b"], ["a"]], "The order is reversed."),
        ([], [1], "It is empty."),
        ([1, 1], [1, 2], ""),
        ("aaa", "aa", "One character is too many, at the beginning."),
        ("nce", " nce\n", "2 characters are missing, some at the beginning and some at the end."),
        ("more", "Once", ""),
    ],
)
def test_what_a_text_or_list_has_too_many_or_too_few_is_said(
    got: Any, right: Any, said: str
) -> None:
    assert likeness.likeness_of_sequences(got, right) == said


NUMBERS = list(range(100, 180))
TEXT = "Once upon a time there was a king whose daughter was more beautiful than the sun."


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        ([1, 2], [1, 3], ("[1, 2]", "[1, 3]", "")),  # short
        (1, NUMBERS, ("1", f"{NUMBERS}"[:200] + " …", "")),  # not two of a kind
        (
            [7] * 70,
            [*[7] * 66, 8, *[7] * 3],
            ("… [7, 7, 7, 7, 7, 7, 7]", "… [7, 7, 7, 8, 7, 7, 7]", 66),
        ),
        (
            [0, *NUMBERS[:19]],
            [1, *NUMBERS[:19]],
            (f"{[0, *NUMBERS[:19]]}", f"{[1, *NUMBERS[:19]]}", 0),
        ),
        (NUMBERS, NUMBERS[:-2], ("… [175, 176, 177, 178, 179]", "… [175, 176, 177]", 78)),
        (
            TEXT,
            TEXT[:-4] + "Sun.",
            ("… ' beautiful than the sun.'", "… ' beautiful than the Sun.'", 77),
        ),
    ],
)
def test_of_long_lists_and_texts_the_first_difference_is_shown(
    expected: object, got: object, said: tuple[str, str, int | str]
) -> None:
    *texts, first = said
    place = first if first == "" else f", first difference at index {first}"
    assert side_by_side(expected, got) == (*texts, place)
    with pytest.raises(MismatchError) as caught:
        expect_equal("ids", got, expected)
    assert [caught.value.expected, caught.value.got, caught.value.place] == [*texts, place]


LOGITS = np.array([[0.0, 3.0, 1.0], [2.5, 2.0, 0.0]])


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (oracle.softmax(LOGITS), "The draws fit a temperature of about 1."),
        (oracle.softmax(LOGITS * 4), "The draws fit a temperature of about 0.25."),
        (oracle.softmax(LOGITS / 3), "The draws fit a temperature of about 3."),
        (oracle.softmax(-LOGITS / 2), "The least likely tokens are drawn most, "),
        (np.full((2, 3), 1 / 3), "All tokens are drawn equally often."),
        (oracle.softmax(LOGITS / 2)[[0, 0]], "All rows draw as only the first row should."),
        (np.sort(oracle.softmax(LOGITS / 2)), "The shares are right but belong to other tokens: "),
        (np.array([[0.6, 0, 0.4], [0, 0.1, 0.5]]) / [[1], [0.6]], "The shares are in proportion"),
        (np.array([[0.1, 0.5, 0.4], [0.2, 0.2, 0.6]]), ""),
        (np.array([[0, 1, 0], [1, 0, 0]]), "Nothing is drawn: each row takes its likeliest token."),
        (np.array([[0, 1, 0], [0, 0, 1]]), ""),
    ],
)
def test_at_which_question_shares_would_be_right_is_said(got: Array, said: str) -> None:
    words = likeness.likeness_of_shares(got, LOGITS, 2.0, off=0.06)
    assert words.startswith(said)
    assert bool(words) == bool(said)
