"""Shell completion, in real shells: what Tab makes of a line of the `tutor` command."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.project.commands import SECONDS
from tutor import ROOT

FOLDER = Path(sys.executable).parent  # where the command is installed
ENGINE = ["e1", "e2", "e3", "e4", "e5", "e6", "e7"]
MODERN = [f"m{number}" for number in range(1, 10)]
TEXT = ["t1", "t2"]
STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "--no-rcs", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
# What switches it on in each shell; before it, what zsh lacks when it starts without its files.
SETTINGS = {
    "bash": 'eval "$(_TUTOR_COMPLETE=bash_source tutor)"',
    "zsh": 'autoload -U compinit; compinit -D; eval "$(_TUTOR_COMPLETE=zsh_source tutor)"',
    "fish": "_TUTOR_COMPLETE=fish_source tutor | source",
}


def complete(line: str, shell: str = "bash") -> list[str]:
    """What the command itself answers to a shell: the words, without kind and help."""
    words = line.split(" ")
    asked = {
        "_TUTOR_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    finished = subprocess.run(
        [FOLDER / "tutor"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert finished.stderr == ""
    return [answer.partition(",")[2] for answer in finished.stdout.split()]


class Terminal:
    """A shell in a pseudo-terminal, with the completion switched on."""

    def __init__(self, shell: str, folder: Path) -> None:
        path = f"{FOLDER}:{os.environ['PATH']}"
        kept = {"PATH": path, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            os.execvpe(STARTS[shell][0], STARTS[shell], kept)  # noqa: S606
        self.seen = ""
        # The word is put together by the shell, so that it is not the echo of what was typed.
        self.type(f"{SETTINGS[shell]}; echo rea''dy\r")
        self.expect("ready")

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def expect(self, pattern: str) -> None:
        """Read until this comes."""
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self.seen, re.DOTALL):
            ready, _, _ = select.select([self.descriptor], [], [], end - time.monotonic())
            assert ready, f"{pattern} did not come, but: {self.seen}"
            read = os.read(self.descriptor, 4096).decode(errors="replace")
            self.seen += read.replace("\a", "")  # a bell may ring in the middle of a word
        self.seen = ""


@contextmanager
def terminal(shell: str, folder: Path) -> Iterator[Terminal]:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    opened = Terminal(shell, folder)
    try:
        yield opened
    finally:
        os.kill(opened.child, signal.SIGKILL)
        os.waitpid(opened.child, 0)
        os.close(opened.descriptor)


@pytest.mark.parametrize("shell", STARTS)
def test_tab_completes_commands_options_steps_trees_and_files(shell: str, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").touch()
    with terminal(shell, tmp_path) as opened:
        for typed, comes in {
            "tutor ch": "tutor check ",
            "tutor check --tre": "tutor check --tree ",
            "tutor check --tree so": "--tree solutions ",
            "tutor hint en": "hint engine_0",
            "tutor generate --batch-file pro": "--batch-file prompts.txt ",
        }.items():
            opened.type(f"{typed}\t")
            opened.expect(comes)
            opened.type("\x15")  # Ctrl-U takes the line away
        opened.type("tutor hint e\t\t")
        # In a terminal as dumb as this one, fish takes one after the other.
        opened.expect("e1" if shell == "fish" else "e1.*e2.*e3")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tutor ch", ["check"]),
        ("tutor check --tr", ["--track", "--tree"]),
        ("tutor check --tre", ["--tree"]),
        ("tutor check --track ", ["steps", "engine", "modern", "text"]),
        ("tutor check --tree ", ["steps", "solutions"]),
        ("tutor generate --dt", ["--dtype"]),
        ("tutor hint ", [*map(str, range(1, 13)), *ENGINE, *MODERN, *TEXT]),
        ("tutor hint 1", ["1", "10", "11", "12"]),
        ("tutor hint e", ENGINE),
        ("tutor hint eng", [f"engine_0{short[1:]}" for short in ENGINE]),
        ("tutor hint m", MODERN),
        ("tutor hint s1", ["s10", "s11", "s12"]),
        ("tutor hint step_01", ["step_01"]),
        ("tutor hint x", []),
        ("tutor book --", ["--mistake", "--open", "--no-open", "--help"]),
        ("tutor read ke", ["keeping"]),
        ("tutor notebook 1", ["1", "10", "11", "12"]),
        ("tutor check 7 e", ENGINE),
        ("tutor check nonsense --ti", ["--timeout"]),
    ],
)
def test_a_line_can_go_on_with_these_words(line: str, words: list[str]) -> None:
    assert complete(line) == words


def test_titles_stand_beside_the_steps_where_the_shell_shows_them() -> None:
    asked = {"_TUTOR_COMPLETE": "fish_complete", "COMP_WORDS": "tutor hint 7", "COMP_CWORD": "7"}
    finished = subprocess.run(
        [FOLDER / "tutor"], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert "Multi-head attention" in finished.stdout


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tutor import cli\n"
        "try: cli.main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    asked = {
        "_TUTOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "tutor hint e",
        "COMP_CWORD": "2",
    }
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split() == [f"plain,{short}" for short in ENGINE]
    modules = {name.partition(".")[0] for name in finished.stderr.split()}
    assert modules.isdisjoint({"max", "numpy", "pytest", "rich", "transformers"})


def test_what_no_shell_asks_for_is_an_error_and_says_nothing() -> None:
    for wanted in ("nonsense_source", "bash_nonsense", "yes"):
        finished = subprocess.run(
            [FOLDER / "tutor", "check", "--all"],
            env={**os.environ, "_TUTOR_COMPLETE": wanted},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert (finished.returncode, finished.stdout) == (1, b"")
