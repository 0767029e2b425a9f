"""The registry of the steps: their titles, checks, hints and known mistakes.

It reads `tutor/exercises/`, and nothing else knows what is in there, or how a step is called.
"""

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutor import ROOT
from tutor.errors import InputError

EXERCISES = Path(__file__).parent / "exercises"
CORE = range(1, 13)
BONUS = range(13, 17)  # what goes beyond the twelve, in files that count from engine_01
NUMBERS = range(CORE.start, BONUS.stop)
TREES = ("steps", "solutions")


@dataclass(frozen=True)
class Check:
    """One test of a step's suite; `name` is the test's, without its `test_`."""

    name: str
    title: str
    points: int
    hints: tuple[str, str, str]  # what it is about, what to look at, nearly the code


@dataclass(frozen=True)
class Mistake:
    """A wrong solution that people write: the reference with `old` replaced by `new`."""

    name: str
    says: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """The source of the solution with this mistake in it."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: the text to replace is there {source.count(self.old)}×")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Step:
    """An exercise of the course."""

    number: int
    title: str
    minutes: int  # that it takes, more or less
    difficulty: str  # easy, medium or hard
    example: str  # the mistake whose check its chapter shows
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...]
    shapes: str = ""  # on the way through the step, at the sizes of the checks

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def name(self) -> str:
        return step_name(self.number)

    @property
    def label(self) -> str:
        return label(self.number)

    @property
    def short(self) -> str:
        return short_name(self.number)

    @property
    def task(self) -> str:
        """The pixi task that checks it: s07, e01."""
        return f"{self.name[0]}{self.name[-2:]}"

    @property
    def suite(self) -> str:
        return f"tests/test_{self.name}.py"

    @property
    def registry(self) -> str:
        return f"tutor/exercises/{self.name}.toml"

    @property
    def chapter(self) -> str:
        return f"book/src/{self.name}.md"

    def file(self, tree: str) -> str:
        """Its file in a tree, relative to the root of the course."""
        return file_name(tree, self.number)


def step_name(number: int) -> str:
    """How its files call a step: step_07, engine_01."""
    return f"step_{number:02}" if number in CORE else f"engine_{number - CORE[-1]:02}"


def label(number: int) -> str:
    """How a sentence calls a step: step 07, engine 01."""
    return step_name(number).replace("_", " ")


def short_name(number: int) -> str:
    """How a command calls a step: 7, e1."""
    return str(number) if number in CORE else f"e{number - CORE[-1]}"


def named(numbers: list[int]) -> str:
    """Steps in a row, as prose has them: step 02; steps 02, 03 and 05; step 12 and engine 01."""
    *others, last = [label(number) for number in numbers]
    row = f"{', '.join(others)} and {last}" if others else last
    if sum(number in CORE for number in numbers) < 2:
        return row
    return f"steps {row.replace('step ', '')}"


def find_number(name: str) -> int:
    """The number of a step by any of its names: 7, 07, s07, step_07; e1, e01, engine_01; else 0."""
    match = re.fullmatch(r"(s|step_|e|engine_|)0*(\d+)", name.lower())
    short = match and f"{'e' * match[1].startswith('e')}{match[2]}"
    return next((number for number in NUMBERS if short_name(number) == short), 0)


def find_numbers(text: str) -> list[int]:
    """The numbers of steps as people list them: 3,7-9 or 1-12,e1. Raises InputError for others."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        numbers = find_number(first), find_number(last or first)
        if not 0 < numbers[0] <= numbers[1]:
            raise InputError(f"{part.strip()!r} names no steps; 3,7-9 and 1-12,e1-e4 do")
        found |= {*range(numbers[0], numbers[1] + 1)}
    return sorted(found)


def module_name(tree: str, number: int) -> str:
    """The name of a step's module: steps.step_07, solutions.solution_07, solutions.engine_01."""
    name = step_name(number)
    return f"{tree}.{name if tree == 'steps' else name.replace('step', 'solution')}"


def file_name(tree: str, number: int) -> str:
    """The file of a step in a tree, relative to the root of the course."""
    return f"{module_name(tree, number).replace('.', '/')}.py"


def solution_source(number: int, tree: str = "solutions") -> str:
    """The reference of a step as text, importing from the tree that it is to be part of."""
    source = (ROOT / file_name("solutions", number)).read_text(encoding="utf-8")
    if tree == "solutions":
        return source
    own = source.replace("solutions.solution_", "steps.step_")
    return own.replace("solutions.engine_", "steps.engine_")


@functools.cache
def load_step(number: int) -> Step:
    """The registered step of this number."""
    file = EXERCISES / f"{step_name(number)}.toml"
    entries: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    checks, mistakes = entries.pop("checks"), entries.pop("mistakes")
    return Step(
        number=number,
        checks=tuple(
            Check(name, fields["title"], fields["points"], tuple(fields["hints"]))
            for name, fields in checks.items()
        ),
        mistakes=tuple(Mistake(name, **fields) for name, fields in mistakes.items()),
        **entries,
    )


def all_steps() -> list[Step]:
    """The twelve steps and those that go beyond them, in their order."""
    return [load_step(number) for number in NUMBERS]
