"""How tests run the real command: within this process, which is quick, or as a child of it."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unittest import mock

from tutor import ROOT, cli

# A background job of a script is born deaf to Ctrl-C, and so would be what the tests start there.
# What a shell, or nohup, may have made this process and so its children ignore.
HEAR = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL)"
)
TUTOR = [sys.executable, "-c", f"{HEAR}; from tutor.__main__ import main; main()"]
SECONDS = 60  # that a child may take, on a slow machine; it needs 3 for a short story


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run_here(*arguments: str, stdin: bytes | None = b"", encoding: str = "utf-8") -> Finished:
    given = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
    out, err = io.TextIOWrapper(io.BytesIO(), encoding), io.StringIO()
    code: object = None
    with (
        mock.patch.object(sys, "argv", ["tutor", *arguments]),
        mock.patch.object(sys, "stdin", given),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as exited:
            code = exited.code
    assert isinstance(code, int)
    out.seek(0)
    return Finished(code, out.read(), err.getvalue())


def run_child(
    *arguments: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    course: Path = ROOT,
) -> Finished:
    with start_child(*arguments, environment=environment, course=course) as child:
        try:
            out, err = child.communicate(stdin, timeout=SECONDS)
        finally:
            child.kill()
    return Finished(child.returncode, out.decode(), err.decode())


def start_child(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    course: Path = ROOT,
) -> "subprocess.Popen[bytes]":
    # A user's output is buffered, whatever it is where the tests run.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [*TUTOR, *arguments],
        cwd=course,
        env={**inherited, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
    )


def assert_refused(finished: Finished, *named: str) -> None:
    """Exit code 2, nothing on standard output, and one line on standard error with these words."""
    assert (finished.code, finished.out) == (2, ""), finished.err
    (line,) = finished.err.splitlines()
    for name in named:
        assert name in line
