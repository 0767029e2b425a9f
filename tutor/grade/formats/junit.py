"""Grades as JUnit XML, which servers for continuous integration read.

No standard defines it; this keeps to what https://github.com/testmoapp/junitxml found in common.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from tutor.course.verdicts import Verdict
from tutor.grade.formats.texts import feedback, printable, shortened
from tutor.grade.grades import CheckGrade, Grade, StepGrade

MOST_IN_MESSAGE = 200  # characters of an attribute; the whole text is in the element


def junit(grades: Sequence[Grade]) -> bytes:
    """A suite for each learner and step, and a case for each check."""
    root = ET.Element("testsuites", name="GPT-2 from scratch")
    for grade in grades:
        root.extend([step_suite(grade, step) for step in grade.steps] or [unread(grade)])
    for element in (root, *root):
        count(element)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def step_suite(grade: Grade, step: StepGrade) -> ET.Element:
    """The checks of one step of a learner's."""
    learner = name_of(grade)
    suite = ET.Element("testsuite", name=f"{learner}: {step.step}, {printable(step.title)}")
    add_properties(
        suite,
        learner=learner,
        step=step.step,
        points=step.points,
        max_points=step.max_points,
        mistake=printable(step.mistake),
        problem=printable(grade.problem),
        seed=grade.seed,
        started=printable(grade.started),
    )
    suite.extend(check_case(learner, step, check) for check in step.checks)
    return suite


def check_case(learner: str, step: StepGrade, check: CheckGrade) -> ET.Element:
    """One check, with what it says if it did not pass."""
    case = make_case(f"{learner}.{step.step}", check.title, check.seconds)
    add_properties(case, check=check.check, points=check.points, max_points=check.max_points)
    if check.verdict != Verdict.PASSED:
        element = "failure" if check.verdict.status == "fail" else "error"
        if check.verdict == Verdict.NOT_REACHED:
            element = "skipped"
        add_outcome(case, element, check.verdict, feedback(step, check))
    return case


def unread(grade: Grade) -> ET.Element:
    """A suite that stands for a submission none of whose steps was graded."""
    learner = name_of(grade)
    suite = ET.Element("testsuite", name=learner)
    case = make_case(learner, "The submission can be read", grade.seconds)
    add_outcome(case, "error", "not read", printable(grade.problem))
    suite.append(case)
    return suite


def name_of(grade: Grade) -> str:
    """The learner's name, short enough to be repeated in each case."""
    return shortened(printable(grade.learner), MOST_IN_MESSAGE)


def make_case(group: str, title: str, seconds: float) -> ET.Element:
    """A case that has passed so far."""
    return ET.Element("testcase", classname=group, name=printable(title), time=f"{seconds:.3f}")


def add_outcome(case: ET.Element, tag: str, verdict: str, text: str) -> None:
    """Say how a case ended that did not pass."""
    message = shortened(" ".join(text.split()), MOST_IN_MESSAGE)
    ET.SubElement(case, tag, type=verdict, message=message).text = text


def add_properties(element: ET.Element, **values: str | int) -> None:
    """Add what has a value."""
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        if value != "":
            ET.SubElement(properties, "property", name=name, value=str(value))


def count(element: ET.Element) -> None:
    """Say how many cases there are inside, how they ended, and how long they took."""
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(len(list(element.iter(tag)))))
    element.set("time", f"{sum(float(case.attrib['time']) for case in cases):.3f}")
