"""A terminal of 80×24, with a `tutor` command in it: what is typed, and what its screen shows."""

import contextlib
import os
import pty
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyte

from tests.project.commands import HEAR, SECONDS

# The command takes the terminal as its own, as a shell's commands have it, so that keys can end it.
TUTOR = (
    f"{HEAR}; import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "from tutor.__main__ import main; main()"
)


class Terminal:
    """A pseudo-terminal, its screen kept up to date as long as something is written to it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.keyboard, self.device = pty.openpty()
        self.screen = pyte.Screen(columns, rows)
        self.written = b""
        self.resize(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.keyboard, 65536):
                with self._lock:
                    self.written += data
                    self._stream.feed(data)

    def resize(self, columns: int, rows: int) -> None:
        termios.tcsetwinsize(self.device, (rows, columns))
        self.screen.resize(rows, columns)

    @property
    def settings(self) -> list[Any]:
        return termios.tcgetattr(self.device)

    @property
    def text(self) -> str:
        """What the screen shows now."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def type(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    def wait_for(self, *texts: str) -> str:
        """The screen once it shows all of these, the last one at its end, however it wraps them."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            words = " ".join(self.text.split())
            if words.endswith(texts[-1]) and all(text in words for text in texts):
                return self.text
            time.sleep(0.05)
        raise AssertionError(f"{texts} did not come; the screen shows:\n{self.text}")

    def close(self) -> None:
        os.close(self.device)
        os.close(self.keyboard)


@contextlib.contextmanager
def in_terminal(
    *arguments: str, course: Path, **environment: str
) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    """A `tutor` command in a terminal of its own, ended afterwards if it has not ended yet."""
    terminal = Terminal()
    child = subprocess.Popen(
        [sys.executable, "-c", TUTOR, *arguments],
        cwd=course,
        env={**os.environ, "TERM": "xterm-256color", **environment},
        stdin=terminal.device,
        stdout=terminal.device,
        stderr=terminal.device,
        start_new_session=True,
    )
    try:
        yield terminal, child
    finally:
        child.kill()
        child.wait()
        terminal.close()
