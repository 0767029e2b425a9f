"""What steps are called, in every spelling, and which of them belong together."""

from collections.abc import Collection

import pytest

from tutor.course import names, registry
from tutor.course.names import NAMES, Name, find_name, find_names, in_order, named, prose
from tutor.course.registry import all_steps, find_step, step_that
from tutor.course.tracks import ENGINE, MODERN, STEPS, TEXT, TRACKS, find_track
from tutor.errors import InputError


def shorts(found: Collection[Name]) -> list[str]:
    return [each.short for each in found]


# Names


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_every_spelling_of_a_step_leads_to_it(name: Name) -> None:
    number = name.number
    words = [name.track.short, name.track.letter, f"{name.track.word}_"]
    for spelling in {f"{word}{digits}" for word in words for digits in (number, f"{number:02}")}:
        assert find_name(spelling) == find_name(spelling.upper()) == name
    assert named(name.name) == name


@pytest.mark.parametrize(
    "text",
    ["", "0", "00", "13", "s0", "s13", "e0", "e8", "e", "s", "-1", "+7", "7.0", "7 ", "٧", "²",
     "step", "step_", "step_13", "step07", "step 07", "steps_07", "engine", "engine_8", "engine2",
     "solution_07", "extra_01", "b1", "1_0", "1e", "s7e1", "step_07.py"],
)  # fmt: skip
def test_what_is_no_spelling_leads_nowhere(text: str) -> None:
    assert find_name(text) is None
    with pytest.raises(KeyError):
        find_step(text)


def test_only_the_name_of_its_files_is_a_name_among_files() -> None:
    assert named("engine_02") == find_name("e2")
    for text in ("7", "step_7", "STEP_07", "extra_01"):
        with pytest.raises(KeyError):
            named(text)


def test_names_follow_from_track_and_number() -> None:
    seven, second = named("step_07"), named("engine_02")
    assert (seven.label, seven.short, seven.task) == ("step 07", "7", "s07")
    assert (second.label, second.short, second.task) == ("engine 02", "e2", "e02")
    assert [seven.file(tree) for tree in names.TREES] == [
        "steps/step_07.py",
        "solutions/solution_07.py",
    ]
    assert [second.module(tree) for tree in names.TREES] == [
        "steps.engine_02",
        "solutions.engine_02",
    ]
    assert (second.suite, second.registry, second.chapter) == (
        "tests/test_engine_02.py",
        "tutor/exercises/engine_02.toml",
        "book/src/engine_02.md",
    )


def test_a_step_is_its_name() -> None:
    step, name = find_step("e1"), named("engine_01")
    assert step == name
    assert name == step
    assert hash(step) == hash(name)
    assert {name: 1}[step] == 1
    assert step != named("step_01")
    assert step != "engine_01"
    assert str(step) == str(name) == "engine_01"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7", ["7"]),
        ("3,7-9", ["3", "7", "8", "9"]),
        ("9, 3 ,s07", ["3", "7", "9"]),
        ("7,7,6-8", ["6", "7", "8"]),
        ("5-5", ["5"]),
        ("11-e2", ["11", "12", "e1", "e2"]),
        ("e1-e03,2", ["2", "e1", "e2", "e3"]),
        ("step_03-step_04,engine_01", ["3", "4", "e1"]),
        ("1-12,e1", [*map(str, range(1, 13)), "e1"]),
    ],
)
def test_steps_in_a_list_are_found_in_their_order(text: str, found: list[str]) -> None:
    assert shorts(find_names(text)) == found


@pytest.mark.parametrize(
    "text", ["", ",", "7,", "0", "99", "9-7", "e1-1", "7-", "-7", "7-99", "0-3", "1--3", "1-2-3",
             "all", "b1", "1-12;e1"],
)  # fmt: skip
def test_a_list_that_names_no_steps_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="names no steps; 3,7-9 and 1-12,e1-e3 do"):
        find_names(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2", "step 02"),
        ("2,3,5", "steps 02, 03 and 05"),
        ("12,e1", "step 12 and engine 01"),
        ("1,2,12,e1", "steps 01, 02, 12 and engine 01"),
        ("11,12,e1,e2", "steps 11, 12, engine 01 and 02"),
        ("e1,e3", "engine 01 and 03"),
        ("e4,m1", "engine 04 and modern 01"),
    ],
)
def test_prose_names_steps_as_a_sentence_does(text: str, said: str) -> None:
    assert prose(find_names(text)) == said


def test_the_order_of_the_course_goes_by_tracks_and_numbers() -> None:
    assert [name.name for name in NAMES[::5]] == [
        "step_01",
        "step_06",
        "step_11",
        "engine_04",
        "modern_02",
        "modern_07",
    ]
    mixed = [find_step("e1"), find_step("10"), find_step("9")]
    assert shorts(in_order(mixed)) == ["9", "10", "e1"]


# Tracks and roles


def test_a_track_is_found_by_its_name() -> None:
    assert [find_track(track.name) for track in TRACKS] == [STEPS, ENGINE, MODERN, TEXT]
    with pytest.raises(KeyError):
        find_track("extra")


def test_the_steps_of_the_tracks_are_all_steps() -> None:
    assert [step for track in TRACKS for step in all_steps(track)] == all_steps() == list(NAMES)
    assert shorts(all_steps(ENGINE)) == ["e1", "e2", "e3", "e4", "e5", "e6", "e7"]
    following = [step.following for step in all_steps()]
    assert following == [*all_steps()[1:], None]


def test_each_role_is_that_of_one_step() -> None:
    roles = {role: step_that(role).short for step in all_steps() for role in step.roles}
    assert roles == {
        "sizes": "1",
        "masks": "2",
        "model": "10",
        "loads": "11",
        "generates": "12",
        "samples": "e2",
        "batches": "e3",
        "caches": "e4",
        "speculates": "e5",
        "batches_continuously": "e6",
        "answers": "e7",
        "llama_sizes": "m1",
        "rotates": "m4",
        "groups": "m5",
        "llama_model": "m6",
        "llama_loads": "m7",
        "llama_caches": "m8",
        "mixes": "m9",
        "tokenizes": "t1",
    }
    assert roles.keys() == set(registry.Role.__args__)  # type: ignore[attr-defined]
