"""What a step is called: by its files, in a command, in a task and in prose."""

import itertools
import re
from collections.abc import Collection
from typing import TypeVar

import msgspec

from tutor.course.tracks import STEPS, TRACKS, Track
from tutor.errors import InputError

TREES = ("steps", "solutions")
AnyName = TypeVar("AnyName", bound="Name")


class Name(msgspec.Struct, frozen=True, eq=False):
    """A step's place in the course, and every spelling of it."""

    track: Track
    number: int  # in its track, from 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """How its files call it: step_07, engine_02."""
        return f"{self.track.word}_{self.number:02}"

    @property
    def label(self) -> str:
        """How a sentence calls it: step 07, engine 02."""
        return f"{self.track.word} {self.number:02}"

    @property
    def short(self) -> str:
        """How a command calls it: 7, e2."""
        return f"{self.track.short}{self.number}"

    @property
    def task(self) -> str:
        """The pixi task that checks it: s07, e02."""
        return f"{self.track.letter}{self.number:02}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """What people write for it, the shortest first; zeros in front of a number are optional."""
        words = dict.fromkeys((self.track.short, self.track.letter, f"{self.track.word}_"))
        return tuple(f"{word}{self.number}" for word in words)

    @property
    def suite(self) -> str:
        return f"tests/test_{self.name}.py"

    @property
    def registry(self) -> str:
        return f"tutor/exercises/{self.name}.toml"

    @property
    def chapter(self) -> str:
        return f"book/src/{self.name}.md"

    def module(self, tree: str) -> str:
        """Its module in a tree: steps.step_07, solutions.solution_07, solutions.engine_02."""
        is_solution = tree == "solutions" and self.track is STEPS
        return f"{tree}.{f'solution_{self.number:02}' if is_solution else self.name}"

    def file(self, tree: str) -> str:
        """Its file in a tree, relative to the root of the course."""
        return f"{self.module(tree).replace('.', '/')}.py"


# All steps, in the order of the course.
NAMES = tuple(Name(track, number) for track in TRACKS for number in range(1, track.length + 1))


def named(name: str) -> Name:
    """The step whose files have this name. Raises KeyError if there is none."""
    return {each.name: each for each in NAMES}[name]


def find_name(text: str) -> Name | None:
    """The step that people mean by 7, 07, s07, step_07; e2, e02, engine_02."""
    spelling = re.sub(r"(?<!\d)0+(?=\d)", "", text.lower())
    return next((name for name in NAMES if spelling in name.spellings), None)


def find_names(text: str) -> list[Name]:
    """Steps as people list them: 3,7-9 or 1-12,e1. Raises InputError for others."""
    found: set[Name] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = find_name(first), find_name(last if dash else first)
        places = [NAMES.index(name) for name in ends if name]
        if len(places) < len(ends) or places != sorted(places):
            raise InputError(f"{part.strip()!r} names no steps; 3,7-9 and 1-12,e1-e3 do")
        found |= {*NAMES[places[0] : places[1] + 1]}
    return in_order(found)


def in_order(names: Collection[AnyName]) -> list[AnyName]:
    """The same in the order of the course."""
    return sorted(names, key=NAMES.index)


def prose(names: Collection[Name]) -> str:
    """Steps in a row: step 02; steps 02, 03 and 05; step 12 and engine 01."""
    parts: list[str] = []
    for track, group in itertools.groupby(names, lambda name: name.track):
        numbers = [f"{name.number:02}" for name in group]
        word = f"{track.word}s" if len(numbers) > 1 and track is STEPS else track.word
        parts += [f"{word} {numbers[0]}", *numbers[1:]]
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last
