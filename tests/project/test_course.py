"""The registry, the suites, the stubs and the files agree; no behaviour goes unchecked."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.project import suites
from tests.project.suites import run_suite, run_tests
from tests.project.tiers import partly
from tutor import ROOT
from tutor.check.diagnosis import failure
from tutor.check.results import Result
from tutor.check.sandbox.errors import NotStartedError
from tutor.check.sandbox.process import Clock
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources, stubs
from tutor.course.registry import Step, all_steps
from tutor.course.sources import functions
from tutor.course.stubs import is_declaration
from tutor.course.tracks import STEPS as TWELVE
from tutor.course.verdicts import Verdict

STEPS = all_steps()

by_step = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])


def test_every_file_of_a_step_is_registered_and_the_other_way_round() -> None:
    for pattern, names in {
        "tutor/exercises/*.toml": [step.registry for step in STEPS],
        "steps/*_[0-9][0-9].py": [step.file("steps") for step in STEPS],
        "solutions/*_[0-9][0-9].py": [step.file("solutions") for step in STEPS],
        "tests/test_*_[0-9][0-9].py": [step.suite for step in STEPS],
        "tests/variants/*.toml": [f"tests/variants/{step.name}.toml" for step in STEPS],
        "book/src/*_[0-9][0-9].md": [step.chapter for step in STEPS if (ROOT / "book").exists()],
    }.items():
        found = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
        assert found == sorted(names)


def test_the_points_of_the_twelve_steps_are_a_hundred() -> None:
    assert sum(step.points for step in all_steps(TWELVE)) == 100
    assert all(check.points > 0 for step in STEPS for check in step.checks)


def test_there_are_mistakes_enough() -> None:
    assert sum(len(step.mistakes) for step in STEPS) >= 100


@by_step
def test_a_suite_has_the_registered_checks_in_their_order(step: Step) -> None:
    tree = ast.parse((ROOT / step.suite).read_text())
    found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    tests = [name for name in found if name.startswith("test_")]
    assert tests == [f"test_{check.name}" for check in step.checks]


@by_step
def test_every_check_has_a_title_and_three_hints_that_differ(step: Step) -> None:
    for check in step.checks:
        assert 10 < len(check.title) <= 80
        assert len(set(check.hints)) == len(check.hints) == 3


@by_step
def test_a_suite_keeps_to_its_budget_of_lines(step: Step) -> None:
    # Twenty of them for inputs that follow from the seed of a run.
    assert len((ROOT / step.suite).read_text().splitlines()) <= 220


@by_step
def test_a_stub_keeps_imports_signatures_and_docstrings(step: Step) -> None:
    solution, stub = (
        ast.parse(text) for text in (sources.reference(step, "steps"), stubs.derive(step))
    )

    def outline(tree: ast.Module) -> list[str]:
        imports = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        return imports + [
            f"{name}{ast.unparse(function.args)}{ast.get_docstring(function)}"
            for name, function in functions(tree)
        ]

    assert outline(stub) == outline(solution)


@by_step
def test_a_stub_does_not_contain_its_answer(step: Step) -> None:
    stub = ast.parse(stubs.derive(step))
    for name, function in functions(stub):
        if not is_declaration(function):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            assert [ast.unparse(node) for node in body] == [
                f"raise NotImplementedError('{step.label}: {name}')"
            ]
    answers = {
        ast.unparse(node)
        for name, function in functions(ast.parse(sources.reference(step, "steps")))
        if not is_declaration(function)
        for node in ast.walk(function)
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Expr)
    }
    assert not answers & {
        ast.unparse(node) for node in ast.walk(stub) if isinstance(node, ast.stmt)
    }


@by_step
def test_a_stub_says_what_belongs_to_it(step: Step) -> None:
    header = ast.get_docstring(ast.parse((ROOT / step.file("steps")).read_text())) or ""
    for words in (
        "TODO",
        f"tutor read {step.short} ",
        f"pixi run {step.task}",
        f"tutor check {step.short}",
    ):
        assert words in header


@by_step
def test_every_instruction_of_a_solution_is_a_todo(step: Step) -> None:
    comments = re.findall(r"^ *# (.*)$", sources.reference(step), re.MULTILINE)
    words = " ".join(re.sub(r"# +(TODO: )?", "", stubs.derive(step)).split())
    for comment in comments:
        assert comment in words
    assert stubs.derive(step).count("TODO: ") >= 1


@pytest.mark.parametrize(
    "step",
    partly("solutions of the other tracks", STEPS, all_steps(TWELVE).__contains__),
    ids=[step.name for step in STEPS],
)
def test_a_solution_passes_every_check(step: Step, bench: Workbench) -> None:
    result = run_suite(step, bench, sources.reference(step))
    assert result.outcomes.keys() == {check.name for check in step.checks}
    assert (result.verdict, result.points) == (Verdict.PASSED, step.points)


@by_step
def test_a_stub_imports_and_fails_every_check(step: Step, bench: Workbench) -> None:
    source = stubs.derive(step, "solutions")
    result = Result(step, "solutions", {})
    run_tests(result, bench, source)
    assert (result.verdict, result.points) == (Verdict.NOT_STARTED, 0)
    assert all(isinstance(outcome.error, NotStartedError) for outcome in result.outcomes.values())


# Statements that change nothing which a check could see, and why.
WITHOUT_EFFECT = {
    ("step_12", "rng = rng or np.random.default_rng()"): "each call would make one, as random",
    (
        "text_01",
        "tokens = list(tokens)",
    ): "what has no pair comes back as it was given, a list or not",
}


def without_each_statement(step: Step) -> Iterator[tuple[str, str]]:
    """What a solution is without one of its statements, for each of them in a function."""
    source = sources.reference(step)
    count = sum(1 for _ in statements(ast.parse(source)))
    for index in range(count):
        tree = ast.parse(source)
        body, place = list(statements(tree))[index]
        text = ast.unparse(body[place])
        body[place] = ast.Pass()
        yield text, ast.unparse(ast.fix_missing_locations(tree))


def statements(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], int]]:
    """Every statement of every function, by the list that it is in."""
    for _, function in functions(tree):
        for node in ast.walk(function):
            for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
                if isinstance(body, list) and not is_declaration(function):
                    for place, statement in enumerate(body):
                        if not isinstance(getattr(statement, "value", None), ast.Constant):
                            yield body, place


ENDLESS = 20.0  # seconds after which what a statement was left out of never ends: that is noticed


@pytest.mark.full("statements that no check may miss")
@by_step
def test_no_statement_can_be_left_out_of_a_solution(step: Step, bench: Workbench) -> None:
    survivors, tests = [], suites.tests_of(step)
    for text, source in without_each_statement(step):
        bench.select(step, source=source, clock=Clock(ENDLESS))
        missed = next((name for name, test in tests.items() if failure(test, bench)), None)
        if missed:  # what comes next is most likely missed there, too
            tests = {missed: tests.pop(missed)} | tests
        elif (step.name, text) not in WITHOUT_EFFECT:
            survivors.append(text)
    assert not survivors
