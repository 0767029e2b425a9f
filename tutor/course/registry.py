"""The registry of the steps: their titles, checks, hints and known mistakes.

It reads `tutor/exercises/`, and nothing else knows what is in there.
"""

import functools
import re
import tomllib
from typing import Any, Literal

import msgspec

from tutor import ROOT
from tutor.course import sources
from tutor.course.names import NAMES, Name, find_name
from tutor.course.tracks import Track

EXERCISES = ROOT / "tutor" / "exercises"

# What the engine asks a step for: sizes, a model of these, weights for it, and a loop, with more
# ways to draw, many rows, a cache, and guesses; and of a Llama, its sizes, its positions, its
# attention, the model, weights for it, a cache, and experts.
Role = Literal[
    "sizes",
    "masks",
    "model",
    "loads",
    "generates",
    "samples",
    "batches",
    "caches",
    "speculates",
    "llama_sizes",
    "rotates",
    "groups",
    "llama_model",
    "llama_loads",
    "llama_caches",
    "mixes",
]


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One test of a step's suite; `name` is the test's, without its `test_`."""

    name: str
    title: str
    points: int
    hints: tuple[str, str, str]  # what it is about, what to look at, nearly the code


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wrong solution that people write: the reference with `old` replaced by `new`."""

    name: str
    says: str
    old: str
    new: str

    @property
    def anchor(self) -> str:
        """Where its chapter speaks of it."""
        return re.sub(r"\W+", "-", self.name).strip("-").lower()

    def is_in(self, chapter: str) -> bool:
        """Whether a chapter says more about it than the tutor does."""
        return f' id="{self.anchor}"' in chapter

    def apply(self, source: str) -> str:
        """The source of the solution with this mistake in it."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: the text to replace is there {source.count(self.old)}×")
        return source.replace(self.old, self.new)


class Step(Name, frozen=True, eq=False, kw_only=True, forbid_unknown_fields=True):
    """An exercise of the course."""

    title: str
    minutes: int  # that it takes, more or less
    difficulty: Literal["easy", "medium", "hard"]
    example: str  # the mistake whose check its chapter shows
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...]
    shapes: str = ""  # on the way through the step, at the sizes of the checks
    roles: tuple[Role, ...] = ()

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def needs(self) -> tuple["Step", ...]:
        """The other steps that its solution or its suite uses, all the way down."""
        return tuple(map(load_step, sources.needs(self)))

    @property
    def following(self) -> "Step | None":
        """The step after it in the course."""
        later = NAMES[NAMES.index(self) + 1 :]
        return load_step(later[0]) if later else None


@functools.cache
def load_step(name: Name) -> Step:
    """The registered step of this name."""
    entries: dict[str, Any] = tomllib.loads((ROOT / name.registry).read_text(encoding="utf-8"))
    for kind in ("checks", "mistakes"):
        entries[kind] = [{"name": each, **fields} for each, fields in entries[kind].items()]
    return msgspec.convert({"track": name.track, "number": name.number} | entries, Step)


def find_step(text: str) -> Step:
    """The step of this name, in any spelling. Raises KeyError if there is none."""
    name = find_name(text)
    if name is None:
        raise KeyError(text)
    return load_step(name)


def all_steps(track: Track | None = None) -> list[Step]:
    """The steps of a track, or of all of them, in their order."""
    return [load_step(name) for name in NAMES if track in (None, name.track)]


@functools.cache
def step_that(role: Role) -> Step:
    """The step that the engine asks for this."""
    (step,) = [step for step in all_steps() if role in step.roles]
    return step
