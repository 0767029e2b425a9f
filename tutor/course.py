"""The registry of the steps: their titles, checks, hints and known mistakes.

It reads `tutor/exercises/step_NN.toml`, and nothing else knows what is in them.
"""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutor import ROOT

EXERCISES = Path(__file__).parent / "exercises"
NUMBERS = range(1, 13)
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
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...]
    shapes: str = ""  # on the way through the step, at the sizes of the checks

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def suite(self) -> str:
        return f"tests/test_step_{self.number:02}.py"

    @property
    def registry(self) -> str:
        return f"tutor/exercises/step_{self.number:02}.toml"

    @property
    def chapter(self) -> str:
        return f"book/src/step_{self.number:02}.md"

    def module(self, tree: str) -> str:
        """The name of its module in a tree."""
        return module_name(tree, self.number)

    def file(self, tree: str) -> str:
        """Its file in a tree, relative to the root of the course."""
        return f"{self.module(tree).replace('.', '/')}.py"


def module_name(tree: str, number: int) -> str:
    """The name of a step's module: steps.step_07, solutions.solution_07."""
    return f"{tree}.{tree.removesuffix('s')}_{number:02}"


def solution_source(number: int, tree: str = "solutions") -> str:
    """The reference of a step as text, importing from the tree that it is to be part of."""
    source = (ROOT / "solutions" / f"solution_{number:02}.py").read_text()
    return source if tree == "solutions" else source.replace("solutions.solution_", "steps.step_")


@functools.cache
def load_step(number: int) -> Step:
    """The registered step of this number."""
    entries: dict[str, Any] = tomllib.loads((EXERCISES / f"step_{number:02}.toml").read_text())
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
    """The twelve steps, in their order."""
    return [load_step(number) for number in NUMBERS]
