"""`tutor watch` in a terminal: it checks what is saved, listens to keys, and ends as it began."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.project.commands import SECONDS, run_child, run_here, start_child
from tests.project.courses import make_course, record_file, solve, step_file
from tests.project.terminals import Terminal, in_terminal
from tests.project.tiers import partly
from tutor.course import sources, stubs
from tutor.course.registry import all_steps, find_step
from tutor.learn import progress, records, watch
from tutor.learn.records import Record
from tutor.terminal import console, interrupts

KEYS = "n next h hint l list r rerun s solution q quit"
AGAIN = "and again each time you save steps/step_01.py."
READY = (AGAIN, KEYS)
PASSED = ("Press n for step 02, Causal mask.", KEYS)
SOLVED = sources.reference(find_step("1"), "steps")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    return make_course(tmp_path)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def checks(terminal: Terminal) -> int:
    """How many checks were begun after the first."""
    return terminal.written.count(watch.CLEAR.encode())


def endless(root: Path) -> str:
    """A step that never ends, and writes the number of its process to the file `process`."""
    return (
        f"import os, pathlib\n"
        f"pathlib.Path({str(root / 'process')!r}).write_text(str(os.getpid()))\n"
        f"while True: pass\n"
    )


def process_of(root: Path) -> int:
    """The process in which the endless step runs."""
    file = root / "process"
    wait_until(lambda: file.is_file() and bool(file.read_text()))
    return int(file.read_text())


@pytest.mark.full("terminal sessions")
def test_the_current_step_is_checked_however_an_editor_saves_it(course: Path) -> None:
    file, steps = step_file(course, "1"), course / "steps"
    with in_terminal("watch", course=course) as (terminal, _):
        first = terminal.wait_for(*READY)
        plain = run_child("check", "1", course=course)
        assert " ".join(first.split()).startswith(" ".join(plain.out.split()))

        file.write_text(SOLVED)
        terminal.wait_for(*PASSED)

        new = steps / ".step_01.py.swp"
        new.write_text(stubs.derive(find_step("1")))
        new.replace(file)
        terminal.wait_for("Not started: 0 of 5 checks", *READY)

        file.unlink()
        terminal.wait_for("Waiting for steps/step_01.py", "tutor reset 1", KEYS)
        file.write_text(SOLVED)
        terminal.wait_for(*PASSED)

        file.write_text(SOLVED[: SOLVED.index("(")] + "(")  # half of it
        terminal.wait_for("Crashed", "steps/step_01.py, line", *READY)
        file.write_text(SOLVED)
        terminal.wait_for(*PASSED)

        steps.rename(course / "aside")
        terminal.wait_for("Waiting for steps/step_01.py", KEYS)
        terminal.type("n")
        terminal.wait_for(f"Step 01 has not passed yet. {KEYS}")
        (course / "aside").rename(steps)
        terminal.wait_for(*PASSED)
        file.write_text(stubs.derive(find_step("1")))
        terminal.wait_for(*READY)


@pytest.mark.full("terminal sessions")
def test_a_folder_that_tells_of_no_saves_can_be_polled(course: Path) -> None:
    with in_terminal("watch", course=course, WATCHFILES_FORCE_POLLING="1") as (terminal, _):
        terminal.wait_for(*READY)
        step_file(course, "1").write_text(SOLVED)
        terminal.wait_for(*PASSED)


@pytest.mark.full("terminal sessions")
def test_a_step_that_is_a_link_is_checked_when_its_target_is_saved(
    course: Path, tmp_path: Path
) -> None:
    target = tmp_path / "elsewhere" / "configuration.py"
    target.parent.mkdir()
    other = target.with_name("other.py")
    other.write_text(stubs.derive(find_step("1")))
    step_file(course, "1").rename(target)
    step_file(course, "1").symlink_to(target)
    with in_terminal("watch", course=course) as (terminal, _):
        terminal.wait_for(*READY)
        target.write_text(SOLVED)
        terminal.wait_for(*PASSED)

        link = course / "steps" / "link"
        link.symlink_to(other)
        link.replace(step_file(course, "1"))
        terminal.wait_for(*READY)


@pytest.mark.full("terminal sessions")
def test_a_step_is_checked_when_one_that_it_uses_is_saved_and_no_other(course: Path) -> None:
    solve(course, "7")
    with in_terminal("watch", "7", course=course) as (terminal, _):
        terminal.wait_for("The reference stands in for steps 01 and 02", KEYS)
        solve(course, "3")  # which step 07 does not use
        time.sleep(1)
        solve(course, "1")
        terminal.wait_for("The reference stands in for step 02", "Press n", KEYS)
        assert checks(terminal) == 1
        solve(course, "2")
        wait_until(lambda: checks(terminal) == 2)
        assert "reference" not in terminal.wait_for("Passed: ", "Press n", KEYS)


@pytest.mark.full("terminal sessions")
def test_many_saves_in_a_moment_are_one(course: Path) -> None:
    with in_terminal("watch", course=course) as (terminal, _):
        terminal.wait_for(*READY)
        for _ in range(50):
            step_file(course, "1").write_text(SOLVED)
        terminal.wait_for(*PASSED)
        assert checks(terminal) < 10


@pytest.mark.full("commands in odd situations")
def test_a_save_during_a_check_begins_it_again(course: Path) -> None:
    step_file(course, "1").write_text(endless(course))
    with in_terminal("watch", course=course) as (terminal, _):
        process = process_of(course)
        step_file(course, "1").write_text(SOLVED)
        terminal.wait_for(*PASSED)
        assert not is_alive(process)


@pytest.mark.full("terminal sessions")
def test_each_key_does_what_it_says(course: Path) -> None:
    hints = find_step("1").checks[0].hints
    with in_terminal("watch", course=course) as (terminal, child):
        before = terminal.settings
        terminal.wait_for(*READY)
        assert terminal.settings != before
        terminal.type("n")
        terminal.wait_for(f"Step 01 has not passed yet. {KEYS}")
        terminal.type("h")
        terminal.wait_for(f"Hint 1 of 3: {hints[0]} {KEYS}")
        terminal.type("H")
        terminal.wait_for(f"Hint 2 of 3: {hints[1]} {KEYS}")
        for unknown in ("x", "ü", "\x1b[D", "\x1bOq"):
            terminal.type("l")
            terminal.wait_for("In all: 0 of 12 steps, 0 of 100 points", f"tutor check 1 {KEYS}")
            terminal.type(unknown)
            terminal.wait_for(f"tutor check 1 {KEYS} {KEYS}")
        terminal.type("\x1b[Ar")
        terminal.wait_for("Checked steps/step_01.py", *READY)
        assert checks(terminal) == 1
        step_file(course, "1").write_text(SOLVED)
        terminal.wait_for(*PASSED)
        terminal.type("n")
        terminal.wait_for("Checked steps/step_02.py", "each time you save steps/step_02.py.", KEYS)
        terminal.type("q")
        assert child.wait(SECONDS) == 0
        assert terminal.settings == before


@pytest.mark.full("terminal sessions")
def test_keys_wait_for_the_check_to_end_but_to_quit_does_not(course: Path) -> None:
    with in_terminal("watch", course=course) as (terminal, child):
        before = terminal.settings
        wait_until(lambda: terminal.settings != before)
        terminal.type("h")
        first = find_step("1").checks[0]
        hint = f"Step 01: {first.title} Hint 1 of 3: {first.hints[0]}"
        terminal.wait_for(f"{AGAIN} {KEYS} {hint} {KEYS}")
        step_file(course, "1").write_text(endless(course))
        process = process_of(course)
        terminal.type("q")
        assert child.wait(SECONDS) == 0
        wait_until(lambda: not is_alive(process))


@pytest.mark.full("terminal sessions")
def test_before_a_step_has_passed_its_solution_is_shown_after_a_question(course: Path) -> None:
    question = "Step 01 has not passed yet. Show the solution anyway? [y/N]:"
    with in_terminal("watch", course=course, PAGER="cat") as (terminal, _):
        before = terminal.settings
        terminal.wait_for(*READY)
        during = terminal.settings
        terminal.type("s")
        terminal.wait_for(question)
        assert terminal.settings == before
        terminal.type("\x03")  # Ctrl-C ends the question only
        terminal.wait_for(question, KEYS)
        assert terminal.settings == during
        terminal.type("s")
        terminal.wait_for(question)
        terminal.type("y\n")
        terminal.wait_for("self.n_inner = 4 * self.n_embd", KEYS)
        assert "opened" in json.loads(record_file(course, "1").read_text())
        step_file(course, "1").write_text(SOLVED)
        terminal.wait_for(*PASSED)
        terminal.type("sl")
        terminal.wait_for("1 of 12 steps", KEYS)


@pytest.mark.full("terminal sessions")
@pytest.mark.skipif(not shutil.which("less"), reason="there is no less to show pages")
def test_ctrl_c_in_a_long_solution_is_for_the_pager(course: Path) -> None:
    page = "Space goes on, q leaves"
    with in_terminal("watch", course=course, PAGER="less", LESS=console.PROMPT) as (
        terminal,
        child,
    ):
        terminal.wait_for(*READY)
        terminal.type("s")
        terminal.wait_for("[y/N]:")
        terminal.type("y\n")
        terminal.wait_for(page)
        terminal.type("\x03")
        time.sleep(interrupts.PATIENCE + 1)
        terminal.wait_for(page)
        terminal.type("q")
        terminal.wait_for(KEYS)
        terminal.type("q")
        assert child.wait(SECONDS) == 0


@pytest.mark.full("terminal sessions")
def test_after_the_last_step_there_is_no_next_one(course: Path) -> None:
    solve(course, *(step.short for step in all_steps()))
    with in_terminal("watch", all_steps()[-1].short, course=course) as (terminal, _):
        terminal.wait_for("That was the last step.", KEYS)
        terminal.type("n")
        terminal.wait_for(f"tutor generate --tree steps {KEYS}")


def test_when_all_steps_have_passed_there_is_nothing_to_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "find_current", lambda _: None)
    monkeypatch.setattr(progress, "what_next", lambda _: "All is done.")
    finished = run_here("watch")
    assert (finished.code, finished.out, finished.err) == (0, "All is done.\n", "")


@pytest.mark.parametrize("is_checking", partly("terminal sessions", [True, False], bool))
@pytest.mark.parametrize(
    "how",
    partly(
        "terminal sessions", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], signal.SIGINT.__eq__
    ),
)
def test_whatever_ends_it_ends_its_check_and_leaves_the_terminal_as_it_was(
    course: Path, how: signal.Signals, is_checking: bool
) -> None:
    if is_checking:
        step_file(course, "1").write_text(endless(course))
    with in_terminal("watch", course=course) as (terminal, child):
        before = terminal.settings
        process = process_of(course) if is_checking else None
        if not is_checking:
            terminal.wait_for(*READY)
        if how is signal.SIGINT:
            terminal.type("\x03")  # Ctrl-C
        else:
            child.send_signal(how)
        assert child.wait(SECONDS) == 128 + how
        assert terminal.settings == before
        assert "Traceback" not in terminal.text
        wait_until(lambda: process is None or not is_alive(process))


@pytest.mark.full("terminal sessions")
def test_an_error_leaves_the_terminal_as_it_was(course: Path) -> None:
    with in_terminal("watch", "1", course=course) as (terminal, child):
        before = terminal.settings
        terminal.wait_for(*READY)
        (course / "tutor" / "exercises" / "step_12.toml").unlink()
        terminal.type("l")
        assert child.wait(SECONDS) == 2
        assert terminal.settings == before


def test_what_cannot_be_watched_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watch, "awatch", refuse)
    finished = run_here("watch", "1")
    assert finished.code == 3
    (line,) = finished.err.splitlines()
    assert "OS file watch limit reached" in line
    assert "WATCHFILES_FORCE_POLLING=1" in line


@pytest.mark.full("terminal sessions")
def test_it_goes_on_after_the_shell_has_stopped_it(course: Path) -> None:
    with in_terminal("watch", course=course) as (terminal, child):
        before = terminal.settings
        terminal.wait_for(*READY)
        during = terminal.settings
        child.send_signal(signal.SIGSTOP)
        termios.tcsetattr(terminal.device, termios.TCSANOW, before)
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: terminal.settings == during)
        terminal.type("n")
        terminal.wait_for(f"Step 01 has not passed yet. {KEYS}")


@pytest.mark.full("terminal sessions")
def test_a_terminal_of_another_size_is_no_problem(course: Path) -> None:
    with in_terminal("watch", course=course, NO_COLOR="1") as (terminal, _):
        terminal.wait_for(*READY)
        terminal.resize(60, 30)
        terminal.type("r")
        wait_until(lambda: checks(terminal) == 1)
        terminal.wait_for(*READY)
        line = terminal.text.splitlines()[2]
        assert (len(line), line[-15:]) == (60, "not started 0/2")
        assert b"\x1b[3" not in terminal.written  # a colour


@pytest.mark.full("terminal sessions")
def test_a_check_elsewhere_at_the_same_time_does_no_harm(course: Path) -> None:
    with in_terminal("watch", course=course) as (terminal, _):
        step_file(course, "1").write_text(SOLVED)
        others = [start_child("check", "1", course=course) for _ in range(3)]
        for other in others:
            out, err = other.communicate(timeout=SECONDS)
            assert (other.returncode, err) == (0, b""), out
        terminal.wait_for(*PASSED)
        record = json.loads(record_file(course, "1").read_text())
        assert record["verdict"] == "passed"
        assert [file.name for file in (course / ".tutor").iterdir()] == ["step_01.json"]


def test_a_record_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "FOLDER", tmp_path)
    step = find_step("7")
    records.update(step, hints={"shapes": 1})
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.update(step, hints={"shapes": 2})
    assert records.load(step) == Record(hints={"shapes": 1})
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.full("terminal sessions")
def test_where_keys_cannot_be_read_it_says_so_and_goes_on(course: Path) -> None:
    with start_child("watch", course=course) as child:
        try:
            follow_without_keys(child, step_file(course, "1"))
        finally:
            child.kill()


def follow_without_keys(child: "subprocess.Popen[bytes]", file: Path) -> None:
    assert child.stdout
    assert child.stderr
    lines = iter(child.stdout.readline, b"")

    def read_up_to(text: str) -> str:
        read = ""
        for line in lines:
            read += line.decode()
            if text in read:
                return read
        raise AssertionError(read)

    how = "No keyboard here. Press Ctrl-C to stop; for a hint, run tutor hint 1 elsewhere.\n"
    first = read_up_to(how)
    assert first.startswith("Checked steps/step_01.py")
    assert "\x1b" not in first
    file.write_text(SOLVED)
    second = read_up_to(how)
    assert second.startswith("\nChecked steps/step_01.py")
    assert "tutor watch 2 for step 02, Causal mask.\n" in second
    child.send_signal(signal.SIGINT)
    assert child.wait(SECONDS) == 130
    assert child.stderr.read() == b"\n"


def test_it_does_without_max(course: Path) -> None:
    code = (
        "import sys; from tutor.learn import progress, watch; progress.standings(); "
        "sys.exit(str({'max', 'numpy', 'pytest'} & sys.modules.keys() or ''))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=course, env=dict(os.environ), capture_output=True
    )
    assert ended.stderr == b"\n"


def test_a_process_that_does_not_end_when_asked_to_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "GRACE", 0.1)
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"

    async def start_and_end() -> int | None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", stubborn), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout
        await child.stdout.readline()
        await watch.end(child)
        return child.returncode

    assert asyncio.run(start_and_end()) == -signal.SIGKILL
