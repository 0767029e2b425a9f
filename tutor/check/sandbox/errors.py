"""What can become of the code under check, beside an answer."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A line of the code under check."""

    file: str
    line: int
    function: str
    text: str

    def __str__(self) -> str:
        inside = f", in {self.function}" if self.function.isidentifier() else ""
        return f"{self.file}, line {self.line}{inside}"


class CodeError(Exception):
    """The code under check raised an exception of this kind, or ended its process."""

    def __init__(
        self,
        kind: str,
        message: str = "",
        places: Collection[Place] = (),
        bases: Collection[str] = (),
    ) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind, self.message, self.places = kind, message, list(places)
        self.bases = {kind, *bases}  # the names of all types that the exception has


class NotStartedError(CodeError):
    """The code under check is still a stub there."""


class ContractError(CodeError):
    """The code under check lacks or returns something else than the contract says."""

    def __init__(self, message: str, places: Collection[Place] = ()) -> None:
        super().__init__(type(self).__name__, message, places)


class DiedError(CodeError):
    """The code under check ended its process."""


class TimedOutError(CodeError):
    """The code under check took longer than it may."""
