"""How a check ends, and how that is shown and told to others."""

from enum import StrEnum
from typing import Literal

Status = Literal["pass", "fail", "error"]


class Verdict(StrEnum):
    """How a check, or a whole step, ended; the later, the graver."""

    sign: str  # in a table
    style: str  # in a terminal
    status: Status  # as services want it

    PASSED = "passed", "✓", "green", "pass"
    NOT_STARTED = "not started", "–", "yellow", "fail"
    NOT_REACHED = "not reached", "…", "dim", "error"  # after a time-out, or two crashes
    WRONG = "wrong", "✗", "red", "fail"
    CRASHED = "crashed", "!", "bold red", "error"
    TIMED_OUT = "timed out", "∞", "bold red", "error"
    BROKEN = "environment broken", "?", "bold yellow", "error"

    def __new__(
        cls, word: str, sign: str = "", style: str = "", status: Status = "fail"
    ) -> "Verdict":
        self = str.__new__(cls, word)
        self._value_, self.sign, self.style, self.status = word, sign, style, status
        return self

    @property
    def is_failure(self) -> bool:
        """Whether code was written that does not pass."""
        return self in (Verdict.WRONG, Verdict.CRASHED, Verdict.TIMED_OUT)
