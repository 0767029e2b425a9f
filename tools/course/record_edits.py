"""Record how wrong solutions fail that are made by rule, in tutor/exercises/recorded/edits/.

    python -m tools.course.record_edits [STEPS]        as in 3,7-9; a few minutes for all

What a check says of an unknown mistake is looked up there. They are edits of the reference, and of
the other right solutions in tests/variants. NumPy stands in for MAX, which would take an hour; a
check tries with MAX itself what it finds.
"""

import argparse
import contextlib
import itertools
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import msgspec
import numpy as np
from rich.console import Console

from tests.project.suites import tests_of, variants_of
from tools.course import numpy_max
from tools.course.edits import edits, inlined
from tutor.check import lookalikes
from tutor.check.diagnosis import Test, failure, is_plain
from tutor.check.expectations import MismatchError
from tutor.check.lookalikes import RECORDS, Lookalike, Print, Record, code_digest, imprint
from tutor.check.sandbox import channel
from tutor.check.sandbox.process import as_exception
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sandbox.worker import TreeFinder, Worker
from tutor.course import sources
from tutor.course.names import find_names
from tutor.course.registry import Step, load_step

SECONDS = 3.0  # of the processor that a check may take: some edits never end
MOST = 2500  # of a step, the likeliest first: it takes minutes
MOST_ALIKE = 5  # of those that fail in one way: more would not make a sentence


def main() -> None:
    parser = argparse.ArgumentParser(description="Record how edits of the references fail.")
    parser.add_argument("steps", type=find_names, nargs="?", default=find_names("1-12"))
    console, bench = Console(stderr=True), NumpyBench()
    signal.signal(signal.SIGPROF, end)
    np.seterr(all="ignore")
    for step in map(load_step, parser.parse_args().steps):
        start = time.monotonic()
        record, passed = recorded(step, bench)
        RECORDS.mkdir(exist_ok=True)
        (RECORDS / f"{step.name}.json").write_bytes(
            msgspec.json.encode(record).replace(b"],[", b"],\n[") + b"\n"
        )
        count = sum(map(len, record.edits.values()))
        seconds = time.monotonic() - start
        console.print(f"{step.label}: {count} fail, {passed} pass; {seconds:.0f} s")


def end(_: int, __: FrameType | None) -> None:
    """End what takes too long."""
    raise TimeoutError


class NumpyBench(Workbench):
    """Runs steps here and at once, with NumPy in place of MAX."""

    def __init__(self) -> None:
        from tutor import runtime

        numpy_max.install()
        runtime._announce = lambda *_: None  # there is nothing to make quick
        super().__init__("solutions")
        self.worker = object.__new__(Worker)
        self.worker.finder = TreeFinder(self.root, self.tree)
        self.finder = self.worker.finder

    def _ask(self, probe: str, /, *arguments: Any, **options: Any) -> Any:
        from tutor.check.probes.steps import StepProbes

        if probe.startswith("trace"):
            raise UntriedError
        try:
            if not self._is_loaded:
                sys.meta_path.insert(0, self.finder)
                self.worker.load(**self._step)
                self._is_loaded = True
            assert self.worker.step
            answer = getattr(StepProbes(self.worker.step), probe)
            return copied(answer(*copied(arguments), **copied(options)))
        except TimeoutError:
            raise
        except Exception as error:
            raise as_exception(**self.worker.describe(error)) from None
        finally:
            while self.finder in sys.meta_path:
                sys.meta_path.remove(self.finder)


class UntriedError(Exception):
    """NumPy cannot tell."""


def copied(message: Any) -> Any:
    """What comes of a message that goes to another process."""
    packed = channel.pack({"message": message})
    return json.loads(packed, object_hook=channel._unpack)["message"]


def recorded(step: Step, bench: Workbench) -> tuple[Record, int]:
    """Those that fail, by the check that they fail first; and how many pass."""
    reference, tests = sources.reference(step), tests_of(step)
    found, passed = Record(code_digest(reference), {}), 0
    for says, source in itertools.islice(wrong_solutions(step), MOST):
        failed = itertools.islice(failures(step, source, tests, bench), 2)
        name, error = next(failed, ("", None))
        passed += error is None
        if is_worth_it(error):
            others = {n: imprint(e) for n, e in failed if isinstance(e, MismatchError)}
            made = difference(reference, source, says, imprint(error), others)
            known = found.edits.setdefault(name, [])
            if sum(is_near(made, other) for other in known) < MOST_ALIKE:
                known.append(made)
    return found, passed


def is_near(one: Lookalike, other: Lookalike) -> bool:
    """Whether two fail in the same way, as far as is recorded."""
    return (
        one.others.keys() == other.others.keys()
        and one.seen.is_near(other.seen)
        and all(seen.is_near(other.others[name]) for name, seen in one.others.items())
    )


def is_worth_it(error: Exception | None) -> bool:
    """Whether a failure does not tell by itself what is wrong, as a crash does, or a name."""
    return isinstance(error, MismatchError) and not is_plain(error)


def wrong_solutions(step: Step) -> Iterator[tuple[str, str]]:
    """What is said of them, and their texts, the likeliest first."""
    reference = sources.reference(step)
    for edit in edits(reference):
        yield f"Your code behaves like a solution that {edit.words}.", edit.source
    others = [inlined(reference)]
    for pairs in variants_of(step).values():
        source = reference
        for old, new in pairs:
            source = source.replace(old, new)
        others.append(source)
    for source in others:
        for edit in edits(source, reference):
            yield f"Your code behaves like a solution that {edit.words}.", edit.source
    for one, other in itertools.combinations(step.mistakes, 2):
        with contextlib.suppress(ValueError):  # both change the same place
            yield lookalikes.two(one.says, other.says), other.apply(one.apply(reference))


def failures(
    step: Step, source: str, tests: Mapping[str, Test], bench: Workbench
) -> Iterator[tuple[str, Exception]]:
    """The checks that a text fails, and how."""
    bench.select(step, source=source)
    for name, test in tests.items():
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            error = failure(test, bench)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if error and not isinstance(error, UntriedError):
            yield name, error


def leading(one: list[str], other: list[str]) -> int:
    """How many lines two texts have in common, from the first one on."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


def difference(
    reference: str, source: str, says: str, seen: Print, others: dict[str, Print]
) -> Lookalike:
    """A wrong solution as lines of the reference that become others."""
    old, new = (text.splitlines(keepends=True) for text in (reference, source))
    first = leading(old, new)
    same = leading(old[first:][::-1], new[first:][::-1])
    text = "".join(new[first : len(new) - same])
    return Lookalike(says, first, len(old) - first - same, text, seen, others)


if __name__ == "__main__":
    main()
