"""No wrong solution passes that is made by rule: a name, attribute or number for another."""

from collections.abc import Iterator

import pytest

from tests.project import suites
from tests.project.mutants import mutants
from tutor.check.results import Result
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.registry import Step, all_steps

# What is right, though it looks otherwise: parts of a mutant's name, and why.
RIGHT = {
    "step_01": {
        'f"n_embd must be a multiple of n_head ({self.n_head})': "a message needs one value only",
    },
    "step_12": {
        "max_new_tokens: int = 50": "any number will do where none is given",
        "0 → -1 in: return tokenizer.decode": "there is one row",
    },
    "engine_01": {
        "0 → -1 in: return tokenizer.decode": "there is one row",
    },
    "engine_03": {
        "in: mixed = F.softmax(scores + mask).cast(value.dtype)": "all have this dtype",
        "max_new_tokens: int = 50": "any number will do where none is given",
        "0 → 1 in: rows = [[0] * first": "nobody sees what is in the padding",
    },
    "engine_04": {
        "1 → 0 in: if not batch == new == 1:": "only slower",
        "→ width in: if not batch == new == 1:": "only slower",
        "in: batch, new, width = x.shape": "only slower",
        "0 → -1 in: return self.score(input_ids, start, 1)[:, 0]": "one column is scored",
        "0 → 1 in: self.seen, self.start = np.zeros": "there are no rows in it",
    },
    "engine_05": {
        "max_new_tokens: int = 50": "any number will do where none is given",
        "seed: int = 0": "the same",
        "0 → -1 in: ids = slide(": "there is one row",
        "0 → -1 in: logits = model.score(": "the same",
        "0 → -1 in: tokens.append(": "the same",
    },
    "engine_06": {
        "ids → positions in: slots, keys =": "both have this shape",
        "ids → positions in: arrays = ids,": "both have this shape",
        "ids → positions in: visible =": "both have this shape",
        "max_new_tokens: int = 50": "any number will do where none is given",
        "in: cached: int = 0": "set when the row joins",
        "in: self.model, self.length, self.waiting": "set when the first row joins",
        "0 → -1 in: return self._run(slot": "there is one row",
        "1 → 2 in: ids, _ = slide": "there is one row",
        "in: self.length = max(": "a row has a token or more",
        "0 → -1 in: count = row.cached": "nothing is moved there, and nobody sees it",
        "0 → -1 in: return self.model.head": "one column is scored",
        "0 → -1 in: self.logits, token": "there is one row",
        "in: mask = np.where(": "the same for all columns that are seen changes no softmax",
    },
    "engine_07": {
        "in: seed = secrets.randbits(32)": "any number of bits will do",
        "0 → -1 in: kept = max(": "without stop texts nothing is held back either way",
        "secrets.token_hex(12)": "any length will do",
        "0 → -1 in: prompt, new = len(": "all rows have the same prompt",
    },
    "modern_01": {
        "1 → 2 in: if self.head_dim < 1": "1 is odd",
    },
    "modern_05": {
        "1 → 2 in: weights = F.softmax(scores + mask": "the new axes are the same either way",
        "key → value in: groups, seen = key.shape": "both have these sizes",
    },
    "modern_07": {
        "8 → 7 in: start = 8 + int.from_bytes": "the eighth byte is always 0",
    },
    "text_01": {
        '1 → 2 in: plain += range(ord("®"), ord("ÿ") + 1)': "256 is no byte",
        "256 → 257 in: others = [": "256 is no byte",
        "256 → 255 in: others = [": "255 is plain",
    },
    "text_02": {
        "0 → 1 in: while len(merges) < count": "less than two, like 0",
        "0 → -1 in: while len(merges) < count": "less than two, like 0",
    },
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    bench = Workbench("solutions", announce=lambda _: None)
    yield bench
    bench.close()


@pytest.mark.full("wrong solutions made by rule")
@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_what_differs_is_refused(step: Step, bench: Workbench) -> None:
    tests, passed = suites.tests_of(step), []
    for mutant in mutants(sources.reference(step)):
        result = Result(step, "solutions", {})
        suites.run_tests(result, bench, mutant.source, tests, stop=True)
        if not result.failures:
            passed.append(mutant.name)
    right = RIGHT.get(step.name, {})
    assert [name for name in passed if not any(part in name for part in right)] == []
    assert [part for part in right if not any(part in name for name in passed)] == []


def test_mutants_are_made_of_names_attributes_and_numbers() -> None:
    source = "def f(a: int, b: int, c: str) -> int:\n    return a + config.n_head * 2\n"
    changed = {mutant.source.splitlines()[1].strip() for mutant in mutants(source)}
    assert changed == {
        "return b + config.n_head * 2",
        *(f"return a + config.{name} * 2" for name in OTHERS),
        "return a + config.n_head * 3",
        "return a + config.n_head * 1",
    }


OTHERS = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_inner", "head_dim")
