"""A grade as Gradescope, GitHub Classroom and Exercism want to read it, from one submission.

Gradescope        https://gradescope-autograders.readthedocs.io/en/latest/specs/
GitHub Classroom  https://github.com/classroom-resources/autograding-grading-reporter
Exercism          https://exercism.org/docs/building/tooling/test-runners/interface
"""

import ast
import base64
import functools
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from tutor import ROOT
from tutor.course.names import NAMES
from tutor.course.verdicts import Verdict
from tutor.grade.formats.texts import feedback, fitted, printable, shortened
from tutor.grade.grades import CheckGrade, Grade, StepGrade, as_json

MOST_IN_MESSAGE = 65_535  # bytes, in Exercism
MOST_IN_OUTPUT = 500  # characters, in Exercism
MOST_IN_VARIABLE = 90_000  # bytes: a variable of the environment holds 128 KiB, here in Base64
KEPT = ("learner", "submission", "course", "dependencies", "started")  # in Gradescope
COMMAND = re.compile(r"(?<!\S)::|##\[")  # GitHub obeys a line of a log that begins so, or holds ##[
PRINTED = "Your code printed:\n"  # in an explanation, before what the code printed


def gradescope(grade: Grade) -> dict[str, Any]:
    """The `results.json` of Gradescope: a test for each check."""
    tests = [
        {
            "name": name_of(step, check),
            "number": f"{step.name.short if step.name else step.step}.{position}",
            "score": check.points,
            "max_score": check.max_points,
            "status": "passed" if check.verdict == Verdict.PASSED else "failed",
            "output": feedback(step, check),
            "output_format": "text",
            "visibility": "visible",
            "tags": [step.step],
            "extra_data": {"check": check.check, "verdict": check.verdict},
        }
        for step, position, check in checks(grade)
    ]
    return {
        "score": sum(check.points for _, _, check in checks(grade)),
        "execution_time": round(grade.seconds),
        "output": about(grade),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {name: printable(getattr(grade, name)) for name in KEPT}
        | {"seed": grade.seed},
        "tests": tests,
    }


def classroom(grade: Grade) -> dict[str, Any]:
    """The result of a GitHub Classroom grader; its messages are as long as there is room for."""
    most = MOST_IN_MESSAGE
    while len(as_json(result := classroom_result(grade, most))) > MOST_IN_VARIABLE and most > 64:
        most //= 2
    return result


def classroom_result(grade: Grade, most: int) -> dict[str, Any]:
    """The result of a GitHub Classroom grader, with messages of so many bytes."""
    broken = any(check.verdict == Verdict.BROKEN for _, _, check in checks(grade))
    return {
        "version": 1,
        "status": "error" if broken else status(grade),
        "max_score": sum(check.max_points for _, _, check in checks(grade)),
        "tests": [
            {
                "name": quiet(name_of(step, check)),
                "status": check.verdict.status,
                "score": check.points,
                "message": fitted(quiet(feedback(step, check)), most),
                "test_code": f"tutor check {step.step}",
                "filename": suite(step),
                "line_no": tests_of(suite(step)).get(check.check, (0, ""))[0],
                "duration": round(1000 * check.seconds),
            }
            for step, _, check in checks(grade)
        ]
        or [unread(grade, most)],
    }


def unread(grade: Grade, most: int) -> dict[str, Any]:
    """A test that stands for a submission none of whose steps was graded."""
    return {
        "name": "The submission can be read",
        "status": "error",
        "score": 0,
        "message": fitted(quiet(about(grade)), most),
        "test_code": "",
        "filename": "",
        "line_no": 0,
        "duration": round(1000 * grade.seconds),
    }


def classroom_text(grade: Grade) -> str:
    """The result of a GitHub Classroom grader, in Base64, as it is handed to the reporter."""
    return base64.b64encode(as_json(classroom(grade))).decode()


def exercism(grade: Grade) -> dict[str, Any]:
    """The `results.json` of an Exercism test runner, version 3; a task is a step."""
    result: dict[str, Any] = {"version": 3, "status": status(grade)}
    if result["status"] == "error":
        failures = dict.fromkeys(feedback(step, check) for step, _, check in checks(grade))
        said = "\n".join(filter(None, [printable(grade.problem), *failures]))
        result["message"] = fitted(said or "There was nothing to check.", MOST_IN_MESSAGE)
    return result | {"tests": [exercism_test(step, check) for step, _, check in checks(grade)]}


def exercism_test(step: StepGrade, check: CheckGrade) -> dict[str, Any]:
    """A check as a test of Exercism."""
    message, state = feedback(step, check), check.verdict.status
    return {
        "name": name_of(step, check),
        "status": state,
        "message": None if state == "pass" else fitted(message, MOST_IN_MESSAGE),
        "output": shortened(printed(check), MOST_IN_OUTPUT),
        "test_code": tests_of(suite(step)).get(check.check, (0, ""))[1],
        "task_id": NAMES.index(step.name) + 1 if step.name else 0,
    }


def checks(grade: Grade) -> Iterator[tuple[StepGrade, int, CheckGrade]]:
    """Each check with its step, and its place in it."""
    for step in grade.steps:
        for position, check in enumerate(step.checks, 1):
            yield step, position, check


def status(grade: Grade) -> str:
    """The status of all checks together: error if none could be run, as Exercism defines it."""
    verdicts = {check.verdict for _, _, check in checks(grade)}
    if verdicts <= {Verdict.NOT_REACHED, Verdict.BROKEN}:
        return "error"
    return "pass" if verdicts == {Verdict.PASSED} else "fail"


def about(grade: Grade) -> str:
    """What there is to say about a submission as a whole."""
    lines = [grade.problem, f"What kept the code apart: {grade.isolation}."]
    lines += [f"Limits: {grade.limits}.", f"Seed of the random inputs: {grade.seed}."]
    return printable("\n".join(filter(None, lines)))


def name_of(step: StepGrade, check: CheckGrade) -> str:
    """How a list of tests calls a check: first the step, as in 07 Multi-head attention."""
    label = step.step.removeprefix("step_").replace("_", " ")
    return printable(f"{label} {step.title}: {check.title}")


def quiet(text: str) -> str:
    """The text, with blanks in what GitHub would obey as a command, such as to report points."""
    return COMMAND.sub(lambda match: " ".join(match[0]), text)


def printed(check: CheckGrade) -> str:
    """What the code printed meanwhile."""
    return printable(textwrap.dedent(check.explanation.partition(PRINTED)[2])).strip("\n")


def suite(step: StepGrade) -> str:
    """The file of a step's checks, relative to the root of the course."""
    return f"tests/test_{step.step}.py"


@functools.cache
def tests_of(suite: str) -> dict[str, tuple[int, str]]:
    """Where each check of a suite begins, and its body; nothing if there is no such suite."""
    try:
        source = (ROOT / suite).read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = source.splitlines()
    return {
        node.name.removeprefix("test_"): (
            node.lineno,
            textwrap.dedent("\n".join(lines[node.body[0].lineno - 1 : node.end_lineno])),
        )
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }
