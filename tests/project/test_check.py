"""`tutor check`: a verdict for whatever a learner's code does, and what it says about it."""

import io
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rich.console import Console

from tests.project.commands import SECONDS as SECONDS_OF_A_CHILD
from tests.project.commands import assert_refused, run_child, run_here, start_child
from tests.project.tiers import partly
from tutor import ROOT
from tutor.check.results import Result, judge
from tutor.check.running import run_suites
from tutor.check.sandbox import channel, process
from tutor.check.sandbox.errors import CodeError, DiedError, TimedOutError
from tutor.check.sandbox.process import Clock, CodeProcess
from tutor.check.sandbox.workbench import SECONDS, Workbench
from tutor.course import sources, stubs
from tutor.course.names import prose
from tutor.course.registry import all_steps, find_step
from tutor.course.tracks import ENGINE
from tutor.course.verdicts import Verdict

ODD = "commands in odd situations"  # which a quick run leaves out


class Lasting(Workbench):
    """A bench whose process goes on from check to check, which is quick, until it is ended."""

    def close(self) -> None:
        """Not now."""

    def end(self) -> None:
        super().close()


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lasting]:
    """The bench of a learner."""
    root = tmp_path_factory.mktemp("learner") / "mein Kurs – ü"
    (root / "steps").mkdir(parents=True)
    shutil.copy(ROOT / "steps" / "__init__.py", root / "steps")
    bench = Lasting("steps", root=root)
    yield bench
    bench.end()


@pytest.fixture
def course(learner: Lasting) -> Lasting:
    """The bench of a learner who has solved all steps."""
    for step in all_steps():
        write(learner, step.short, sources.reference(step, "steps"))
    return learner


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner's output is buffered, whatever it is where the tests run."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def path(course: Workbench, name: str) -> Path:
    return course.root / find_step(name).file("steps")


def write(course: Workbench, name: str, text: str) -> None:
    path(course, name).write_text(text)


def change(course: Workbench, name: str, old: str, new: str) -> None:
    text = sources.reference(find_step(name), "steps")
    assert old in text
    write(course, name, text.replace(old, new))


def check(
    course: Workbench, name: str, *, width: int = 80, seconds: float = SECONDS
) -> tuple[Result, str]:
    """The result of a check and what a learner reads."""
    out, course.seconds = io.StringIO(), seconds
    with Console(file=out, width=width, highlight=False) as console:
        (result,) = run_suites([find_step(name)], course, console)
    return result, out.getvalue()


START = "        batch, length, width = x.shape\n"
ABOVE = sources.reference(find_step("7")).partition(START)[0]
LINE = ABOVE.count("\n") + 2  # of the one that is put in


def check_with(course: Workbench, line: str) -> tuple[Result, str]:
    """Step 07 with a line more in its forward pass."""
    change(course, "7", START, f"{START}        {line}\n")
    return check(course, "7")


def test_solved_steps_pass(course: Lasting) -> None:
    result, text = check(course, "7")
    assert (result.verdict, result.points) == (Verdict.PASSED, 16)
    assert text.startswith("Checked steps/step_07.py: step 07, Multi-head attention.\n")
    assert "Passed: 7 of 7 checks, 16 of 16 points." in text
    assert "steps/step_08.py" in text
    assert "reference" not in text


IN_FORWARD = [
    ("import os; os._exit(0)", Verdict.CRASHED, "It ended its process, with exit code 0."),
    ("raise SystemExit", Verdict.CRASHED, "SystemExit"),
    ("import ctypes; ctypes.string_at(0)", Verdict.CRASHED, "killed by SIGSEGV"),
    ("f = lambda: f(); f()", Verdict.CRASHED, "RecursionError"),
    ("huge = bytearray(10**11)", Verdict.CRASHED, "MemoryError"),
    (
        "import numpy; huge = [numpy.empty(10**9, 'b') for _ in range(99)]",
        Verdict.CRASHED,
        "MemoryError",
    ),
    ("while True: print('x' * 10**6)", Verdict.CRASHED, "File too large"),
    ("x = x + y", Verdict.CRASHED, "NameError"),
    ("x = x @ x", Verdict.CRASHED, "MAX cannot build this MatmulOp"),
    ("return None", Verdict.WRONG, "forward returned None; does it end in a return?"),
    ("raise NotImplementedError('later')", Verdict.CRASHED, "NotImplementedError: later"),
    ("import solutions.solution_07", Verdict.CRASHED, "cannot be imported by a step"),
    ("input('name? ')", Verdict.CRASHED, "EOFError"),
    ("x = x + 1", Verdict.WRONG, "expected"),
]


@pytest.mark.parametrize(
    ("line", "verdict", "said"), partly(ODD, IN_FORWARD, IN_FORWARD[:1].__contains__)
)
def test_whatever_the_code_does_has_its_verdict(
    course: Lasting, line: str, verdict: Verdict, said: str
) -> None:
    result, text = check_with(course, line)
    assert result.verdict is verdict
    assert said in text
    assert "Traceback" not in text
    # The parameters do not need the forward pass: what was finished before, and is right, counts.
    assert result.outcomes["parameters"].points == 2
    if verdict is Verdict.CRASHED and "exit code" not in said and "returned" not in said:
        assert f"steps/step_07.py, line {LINE}" in text
        assert line[:40] in text
    if said == "File too large":
        course.end()  # nothing more can be printed there


@pytest.mark.parametrize("endless", ["while True: pass", "import time; time.sleep(3600)"])
@pytest.mark.parametrize(
    "before", partly(ODD, ["y = x", "(x + x).to_numpy()"], "y = x".__eq__)
)  # MAX takes some signals
def test_a_time_out_names_the_line_and_what_was_not_reached(
    course: Lasting, before: str, endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = course.root / "begun"

    def look(*_: object) -> None:
        """Let no time be left once the code goes on forever; on any machine, it gets so far."""
        if begun.exists():
            course._clock.left = 0.0

    monkeypatch.setattr(process, "PATIENCE", 0.1)
    monkeypatch.setattr(CodeProcess, "_report", look)
    begin = f"open({str(begun)!r}, 'w').close()"
    result, text = check_with(course, f"{before}\n        {begin}\n        {endless}")
    begun.unlink()
    assert result.verdict is Verdict.TIMED_OUT
    assert f"It took longer than {SECONDS:g} seconds." in text
    assert f"steps/step_07.py, line {LINE + 2}, in forward:" in text
    assert list(result.outcomes) == ["parameters", "one_token"]
    assert result.outcomes["parameters"].points == 2
    assert text.count("not reached 0/") == 5


TEXTS = [
    ("def forward(:\n", Verdict.CRASHED, "steps/step_07.py, line 1"),
    ("import does_not_exist\n", Verdict.CRASHED, "ModuleNotFoundError: No module named"),
    ("from steps.step_02 import no_such_name\n", Verdict.CRASHED, "ImportError"),
    ("", Verdict.WRONG, "The step defines no GPT2MultiHeadAttention."),
    ("GPT2MultiHeadAttention = 7\n", Verdict.CRASHED, "TypeError"),
    ("while True: pass\n", Verdict.TIMED_OUT, "steps/step_07.py, line 1"),
    ("\0", Verdict.CRASHED, "null bytes"),
]


@pytest.mark.parametrize(("text", "verdict", "said"), partly(ODD, TEXTS, TEXTS[:1].__contains__))
def test_a_step_that_cannot_be_loaded_has_its_verdict(
    course: Lasting, text: str, verdict: Verdict, said: str
) -> None:
    write(course, "7", text)
    result, report = check(course, "7", seconds=2 if verdict is Verdict.TIMED_OUT else SECONDS)
    assert (result.verdict, result.points) == (verdict, 0)
    assert said in report


@pytest.mark.parametrize("name", ["ContractError", "NotStartedError", "TimedOutError"])
def test_an_error_that_only_has_a_name_of_ours_is_a_crash(name: str, bench: Workbench) -> None:
    own = f"class {name}(ValueError):\n    message = 'ours'\n\n\nraise {name}('mine')\n"
    bench.select(find_step("1"), source=own)
    with pytest.raises(CodeError, match=f"{name}: mine") as caught:
        bench.config()
    assert type(caught.value) is CodeError
    assert judge(caught.value) is Verdict.CRASHED
    assert [(place.file, place.line) for place in caught.value.places] == [("solution_01.py", 5)]


@pytest.mark.full("commands in odd situations")
def test_what_the_code_prints_is_shown_with_the_check_that_failed(course: Lasting) -> None:
    _, text = check_with(course, "print('hello', x.shape); x = x + 1")
    assert "Your code printed:\n    hello [Dim(2), Dim(1), Dim(24)]\n" in text


def test_what_a_passing_code_prints_is_not_shown(course: Lasting) -> None:
    result, text = check_with(course, "print('hello')")
    assert result.verdict is Verdict.PASSED
    assert "hello" not in text


def test_the_first_failure_is_explained_and_its_mistake_named(course: Lasting) -> None:
    change(course, "7", "math.sqrt(self.head_dim)", "math.sqrt(int(width))")
    result, text = check(course, "7")
    assert result.verdict is Verdict.WRONG
    assert "Scores are divided by √n_embd (4.9) where √head_dim (2.8) belongs." in text
    assert "More on it: " in text
    assert re.search(r"expected +0\.\d+", text)
    assert re.search(r"got +0\.\d+ +\(192 of 240 numbers differ\)", text)
    assert "at [0, 1, 0]" in text


def test_the_reference_stands_in_for_steps_that_are_needed_and_not_finished(
    course: Lasting,
) -> None:
    write(course, "2", stubs.derive(find_step("2")))
    path(course, "1").unlink()
    write(course, "6", "def (:\n")
    result, text = check(course, "9")
    assert result.verdict is Verdict.PASSED
    assert result.replaced.keys() == {find_step("1"), find_step("2"), find_step("6")}
    lines = text.splitlines()
    assert lines[0] == "Checked steps/step_09.py: step 09, Stacked model."
    assert "The reference stands in for step 01 (not there)." in lines
    assert "The reference stands in for step 02 (not finished)." in lines
    assert (
        "The reference stands in for step 06 (not to be parsed, line 1: invalid syntax)." in lines
    )


@pytest.mark.full("commands in odd situations")
def test_a_private_helper_that_is_still_a_stub_does_not_make_a_step_unfinished(
    course: Lasting,
) -> None:
    change(
        course,
        "7",
        "        batch, length, _ = x.shape\n",
        '        raise NotImplementedError("step 07: GPT2MultiHeadAttention._split_heads")\n',
    )
    result, _ = check(course, "8")
    assert not result.replaced


def test_a_failure_that_comes_from_an_earlier_step_says_so(course: Lasting) -> None:
    change(course, "2", "keys > queries", "keys >= queries")
    result, text = check(course, "7")
    assert result.culprits == [find_step("2")]
    assert "reference's step 02 in place of yours" in text
    assert "Next: tutor check 2\n" in text


@pytest.mark.full("commands in odd situations")
def test_a_failure_that_comes_from_two_earlier_steps_names_both(course: Lasting) -> None:
    change(course, "2", "keys > queries", "keys < queries")
    change(course, "4", 'approximate="tanh"', 'approximate="none"')
    result, text = check(course, "9")
    assert result.culprits == [find_step("2"), find_step("4")]
    assert "reference's steps 02 and 04 in place of yours" in " ".join(text.split())


def test_a_step_that_is_half_done_is_not_called_wrong(course: Lasting) -> None:
    stub = (ROOT / "steps" / "step_12.py").read_text()
    solution = sources.reference(find_step("12"), "steps")
    done = solution[: solution.index("def generate_tokens")]
    write(course, "12", done + stub[stub.index("def generate_tokens") :])
    result, text = check(course, "12")
    assert result.verdict is Verdict.NOT_STARTED
    assert result.points > 0
    assert "Next: continue with the TODOs of steps/step_12.py, above line " in text


def test_a_step_that_is_not_there_says_how_to_get_it(course: Lasting) -> None:
    path(course, "7").unlink()
    result, text = check(course, "7")
    assert result.verdict is Verdict.NOT_STARTED
    assert "steps/step_07.py is not there: tutor reset 7 writes it anew" in text


def test_advice_is_given_on_what_is_right_and_could_be_better(course: Lasting) -> None:
    change(course, "9", "Sequential(*(GPT2Block", "list((GPT2Block")
    change_again = (
        path(course, "9")
        .read_text()
        .replace(
            "self.ln_f(self.h(x))",
            "self.ln_f(functools.reduce(lambda x, block: block(x), self.h, x))",
        )
    )
    write(course, "9", f"import functools\n{change_again}")
    result, text = check(course, "9")
    assert result.verdict is Verdict.PASSED
    assert "Advice: h is a plain list" in text


def test_steps_that_are_not_needed_are_of_no_concern(course: Lasting) -> None:
    for name in ("3", "4", "5", "6"):
        path(course, name).unlink()
    write(course, "e1", "def (:\n")
    result, text = check(course, "7")
    assert (result.verdict, result.replaced) == (Verdict.PASSED, {})
    assert result.files.keys() == {"suite", "step_01", "step_02", "step_07"}
    assert "reference" not in text


@pytest.mark.full("commands in odd situations")
def test_a_step_that_only_the_learners_file_imports_is_needed_too(course: Lasting) -> None:
    change(course, "7", START, f"{START}        assert LayerNorm\n")
    own = "from steps.step_03 import LayerNorm\n"
    text = path(course, "7").read_text()
    write(course, "7", text.replace("from steps.step_02", f"{own}from steps.step_02", 1))
    result, _ = check(course, "7")
    assert (result.verdict, result.replaced) == (Verdict.PASSED, {})
    assert result.files.keys() == {"suite", "step_01", "step_02", "step_03", "step_07"}
    write(course, "3", stubs.derive(find_step("3")))
    result, text = check(course, "7")
    assert result.verdict is Verdict.PASSED
    assert result.replaced == {find_step("3"): "not finished"}
    assert "The reference stands in for step 03 (not finished)." in text.splitlines()


@pytest.mark.full("commands in odd situations")
def test_a_step_that_only_the_suite_runs_is_needed_too(course: Lasting) -> None:
    write(course, "10", stubs.derive(find_step("10")))
    result, text = check(course, "12")
    assert result.verdict is Verdict.PASSED
    assert "The reference stands in for step 10 (not finished)." in text.splitlines()


@pytest.mark.full("commands in odd situations")
def test_a_step_of_another_track_is_checked_as_the_twelve(course: Lasting) -> None:
    result, text = check(course, "e1")
    assert (result.verdict, result.replaced) == (Verdict.PASSED, {})
    title = find_step("e1").title
    assert text.startswith(f"Checked steps/engine_01.py: engine 01, {title}.\n")
    write(course, "2", stubs.derive(find_step("2")))
    change(course, "9", "self.ln_f(self.h(x))", "self.h(x)")
    result, text = check(course, "e1")
    assert result.replaced == {find_step("2"): "not finished"}
    assert result.culprits == [find_step("9")]
    assert "The reference stands in for step 02 (not finished)." in text.splitlines()
    path(course, "e1").unlink()
    _, text = check(course, "e1")
    assert "steps/engine_01.py is not there: tutor reset e1 writes it anew" in text


@pytest.mark.full("commands in odd situations")
def test_a_step_runs_on_those_of_its_track_that_it_needs(course: Lasting) -> None:
    needed = find_step("e4").needs
    assert find_step("e3") in needed
    for step in needed:
        write(course, step.short, stubs.derive(step))
    result, text = check(course, "e4")
    assert result.verdict is Verdict.PASSED
    assert result.replaced == dict.fromkeys(needed, "not finished")
    assert f"The reference stands in for {prose(needed)} (not finished)." in " ".join(text.split())


@pytest.mark.full("commands in odd situations")
def test_each_track_has_points_of_its_own() -> None:
    finished = run_child("check", "e2", "engine_02", "12", "--tree", "solutions")
    assert (finished.code, finished.err) == (0, "")
    points = [find_step(name).points for name in ("12", "e2")]
    expected = "In all: {0} of {0} points and {1} of {1} points in the engine track.\n"
    assert finished.out.endswith(expected.format(*points))


@pytest.mark.full("commands in odd situations")
def test_a_whole_track_is_checked() -> None:
    finished = run_child("check", "--track", "engine", "--tree", "solutions")
    assert (finished.code, finished.err) == (0, "")
    checked = re.findall(r"^Checked solutions/(\w+)\.py: ", finished.out, re.MULTILINE)
    assert checked == [step.name for step in all_steps(ENGINE)]
    points = sum(step.points for step in all_steps(ENGINE))
    assert finished.out.endswith(f"In all: {points} of {points} points in the engine track.\n")


def test_settings_of_pytest_do_not_matter(course: Lasting) -> None:
    with mock.patch.dict("os.environ", PYTEST_ADDOPTS="-k nothing --nonsense"):
        result, _ = check(course, "3")
    assert result.verdict is Verdict.PASSED


@pytest.mark.full("commands in odd situations")
def test_a_reader_that_goes_away_ends_the_check_quietly() -> None:
    with start_child("check", "3", "--tree", "solutions") as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.read(1) == b"C"
        child.stdout.close()
        assert child.wait(timeout=SECONDS_OF_A_CHILD) == 0
        assert child.stderr.read() == b""


@pytest.mark.full("commands in odd situations")
def test_nothing_is_lost_in_narrow_and_wide_terminals(course: Lasting) -> None:
    change(course, "7", "math.sqrt(self.head_dim)", "24")
    reports = {width: check(course, "7", width=width)[1] for width in (50, 80, 160)}
    words = {width: re.findall(r"\w+", text) for width, text in reports.items()}
    assert sorted(words[50]) == sorted(words[80]) == sorted(words[160])
    for width, text in reports.items():
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.full("commands in odd situations")
def test_a_broken_environment_is_no_fault_of_the_learner(course: Lasting, tmp_path: Path) -> None:
    fake = tmp_path / "fake" / "max"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('libc is too old')")
    course.end()
    with mock.patch.dict("os.environ", PYTHONPATH=str(fake.parent)):
        result, text = check(course, "7")
        finished = run_child("check", "7")
    course.end()
    assert result.verdict is Verdict.BROKEN
    assert "libc is too old" in text
    assert finished.code == 3
    assert "tutor doctor" in finished.out
    assert "Traceback" not in finished.out + finished.err


def test_a_step_that_is_not_the_expected_file_is_refused(course: Lasting) -> None:
    with mock.patch.object(CodeProcess, "ask", return_value="/elsewhere.py"):
        result, text = check(course, "7")
    assert result.verdict is Verdict.BROKEN
    assert "/elsewhere.py was loaded in place of" in text


class Scripted(CodeProcess):
    """A process whose worker is a thread of the test's, which says what it is told to."""

    def __init__(self, script: list[dict[str, Any] | float]) -> None:
        self.said: list[str] = []
        self._announce, self._is_ready, self._isolation = self.said.append, True, None
        self._compiling, self._pid = Clock(60), os.getpid()
        self._connection, self._other = multiprocessing.Pipe()
        self._script = script
        threading.Thread(target=self._play).start()

    def _play(self) -> None:
        token = channel.receive(self._other)["token"]
        for entry in self._script:
            if isinstance(entry, float):
                time.sleep(entry)
            else:
                channel.send(self._other, {"token": token} | entry)


def test_time_spent_compiling_does_not_count() -> None:
    clock = Clock(0.5)
    begun = {"event": "Compiling …", "compiling": True}
    ended = {"event": "Compiled it.", "compiling": False}
    process = Scripted([begun, 1.0, ended, {"result": 7}])
    assert process.ask({}, clock) == 7
    assert process.said == ["Compiling …", "Compiled it."]
    assert 0 < clock.left < 0.5


def test_time_spent_otherwise_counts() -> None:
    process = Scripted([0.7, {"result": 7}])
    with (
        mock.patch.object(Scripted, "_timed_out", return_value=TimedOutError("late")),
        pytest.raises(TimedOutError),
    ):
        process.ask({}, Clock(0.5))


def test_a_busy_machine_gets_more_time_but_not_without_end() -> None:
    with (
        mock.patch.object(Scripted, "_cpu_seconds", return_value=0.0),
        mock.patch.object(Scripted, "_timed_out", return_value=TimedOutError("late")),
    ):
        assert Scripted([0.7, {"result": 7}]).ask({}, Clock(0.5, patience=4)) == 7
        with pytest.raises(TimedOutError):
            Scripted([0.7, {"result": 7}]).ask({}, Clock(0.1, patience=4))
    with (
        mock.patch.object(Scripted, "_cpu_seconds", time.monotonic),
        mock.patch.object(Scripted, "_timed_out", return_value=TimedOutError("late")),
        pytest.raises(TimedOutError),
    ):
        Scripted([0.7, {"result": 7}]).ask({}, Clock(0.5, patience=4))


def test_compiling_has_an_end_of_its_own() -> None:
    process = Scripted([{"event": "Compiling …", "compiling": True}, 0.7, {"result": 7}])
    process._compiling = Clock(0.3)
    with (
        mock.patch.object(Scripted, "_timed_out", return_value=TimedOutError("late")),
        pytest.raises(TimedOutError),
    ):
        process.ask({}, Clock(5))


def test_an_answer_that_was_made_up_before_the_question_is_none() -> None:
    process = Scripted([{"result": 7, "token": "made up"}])
    with (
        mock.patch.object(Scripted, "_died", return_value=DiedError("no answer")),
        pytest.raises(DiedError),
    ):
        process.ask({}, Clock(5))


def test_a_worker_ends_with_the_one_that_asks(course: Lasting) -> None:
    change(course, "7", "import math\n", "import math\nwhile True: pass\n")
    started = CodeProcess(course.root, "steps", print, Clock(60))
    request: dict[str, Any] = {"do": "load", "step": "step_07", "references": {}, "source": None}
    channel.send(started._connection, request | {"token": "1"})
    assert channel.receive(started._connection) == {"ready": True}
    time.sleep(0.5)  # for the endless loop to begin
    started._connection.close()  # as it is when the parent dies
    assert started._child.wait(timeout=SECONDS) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "13"],
        ["check", "0"],
        ["check", "e0"],
        ["check", "e77"],
        ["check", "engine"],
        ["check", "extra_01"],
        ["check", "seven"],
        ["check", "7", "--all"],
        ["check", "7", "--track", "engine"],
        ["check", "--all", "--track", "steps"],
        ["check", "--track", "extra"],
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: list[str]) -> None:
    assert_refused(run_here(*arguments), "tutor:")


@pytest.mark.full("commands in odd situations")
@pytest.mark.parametrize("tree", partly(ODD, ["steps", "solutions"], "steps".__eq__))
def test_plain_pytest_says_the_same(tree: str) -> None:
    finished = run_child("check", "3", "--tree", tree)
    command = [sys.executable, "-m", "pytest", "tests/test_step_03.py", "--tree", tree]
    plain = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert (finished.code, plain.returncode) == ((0, 0) if tree == "solutions" else (1, 1))
    assert f"Checked {tree}/" in finished.out
    lines = [line.strip() for line in finished.out.splitlines() if line[:1].isalpha()]
    for line in lines:
        assert line in plain.stdout
    assert "Traceback" not in plain.stdout


def test_all_stubs_are_checked_and_not_started(tmp_path: Path) -> None:
    for name in ("tutor", "solutions", "steps"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("project"))
    for step in all_steps():
        (tmp_path / step.file("steps")).write_text(stubs.derive(step))
    finished = run_child("check", "--all", course=tmp_path)
    assert (finished.code, finished.err) == (1, "")
    assert finished.out.count("Not started: 0 of") == 12
    assert "✓" not in finished.out
    assert finished.out.endswith("In all: 0 of 100 points.\n")


@pytest.mark.full("commands in odd situations")
def test_all_solutions_pass() -> None:
    finished = run_child("check", "--all", "--tree", "solutions")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.count("Passed: ") == 12
    assert "✗" not in finished.out
    assert "\x1b" not in finished.out
    assert finished.out.endswith("In all: 100 of 100 points.\n")


@pytest.mark.full("commands in odd situations")
def test_files_are_read_alike_in_every_locale() -> None:
    narrow = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    finished = run_child("check", "3", "--tree", "solutions", environment=narrow)
    assert finished.code == 0, finished.err
    assert "Passed: 6 of 6 checks" in finished.out
