"""Single keys, as they are pressed, for what waits for other things at the same time."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator

END_OF_INPUT = "\x04"  # what Ctrl-D sends
SEQUENCE = r"\x1b(\[[0-?]*[ -/]*[@-~]|O.)"  # what an arrow sends, say, or F1


class Keyboard:
    """Keys as they are pressed, where there is a terminal."""

    def __init__(self, press: Callable[[str], None]) -> None:
        self._press = press
        self.is_there = sys.stdin is not None and sys.stdin.isatty()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear each key; afterwards the terminal is as it was before."""
        if not self.is_there:
            yield
            return
        loop, file = asyncio.get_running_loop(), sys.stdin.fileno()
        before = termios.tcgetattr(file)
        try:
            tty.setcbreak(file, termios.TCSANOW)
            # A shell that stops this with Ctrl-Z takes its own settings.
            loop.add_signal_handler(signal.SIGCONT, tty.setcbreak, file, termios.TCSANOW)
            loop.add_reader(file, self._read, file)
            yield
        finally:
            loop.remove_reader(file)
            loop.remove_signal_handler(signal.SIGCONT)
            with contextlib.suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(file, termios.TCSANOW, before)

    def _read(self, file: int) -> None:
        try:
            text = os.read(file, 1024).decode(errors="replace")
        except OSError:
            text = ""
        for key in re.sub(SEQUENCE, "\x1b", text) or END_OF_INPUT:
            self._press("q" if key == END_OF_INPUT else key.lower())
