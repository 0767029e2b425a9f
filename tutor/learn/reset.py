"""Puts stubs in place of a learner's files, and never loses one: what was there is saved first."""

from datetime import datetime
from pathlib import Path

from tutor import ROOT, files
from tutor.course import stubs
from tutor.course.registry import Step
from tutor.errors import InputError

SAVED = ROOT / ".tutor" / "saved"


def reset(step: Step) -> str:
    """Derive the stub anew; in words, what became of the file that was there."""
    name, file = step.file("steps"), ROOT / step.file("steps")
    if file.is_file() and stubs.is_untouched(file, step):
        return f"{name} is still the original exercise; there is nothing to reset."
    saved = put(step, stubs.derive(step).encode())
    if not saved:
        return f"{name} was missing; the original exercise is there again."
    return (
        f"{name} has been reset. Your version was saved to:\n{shown(saved)}\n"
        f"To bring it back: tutor reset {step.short} --undo"
    )


def undo(step: Step) -> str:
    """Bring back what was saved last; in words, from where."""
    name, file = step.file("steps"), ROOT / step.file("steps")
    found = sorted(SAVED.glob(f"{step.name}_*.py"), key=lambda file: (file.stat().st_mtime, file))
    if not found:
        raise InputError(
            f"no version of {step.label} has been saved; tutor reset {step.short} saves one"
        )
    last = found[-1]
    if file.is_file() and file.read_bytes() == last.read_bytes():
        raise InputError(
            f"{name} already is the version that was saved last; see {shown(last.parent)}"
        )
    saved = put(step, last.read_bytes())
    words = f"{name} is again the version saved last:\n{shown(last)}"
    return f"{words}\nThe version it replaced was saved to:\n{shown(saved)}" if saved else words


def put(step: Step, text: bytes) -> Path | None:
    """Write a text to a learner's file, once what is there is saved; to where.

    An untouched stub is not saved: it can be derived again.
    """
    file, saved, place = ROOT / step.file("steps"), None, SAVED
    try:
        if file.is_file() and not stubs.is_untouched(file, step):
            saved = save(step, file.read_bytes())
        place = file
        files.write(file, text)
    except OSError as error:
        raise InputError(
            f"{step.file('steps')} has not changed, since {shown(place)} cannot be written: "
            f"{error.strerror}; check its permissions and the disk"
        ) from error
    return saved


def save(step: Step, text: bytes) -> Path:
    """Keep a text under a name with the time."""
    SAVED.mkdir(parents=True, exist_ok=True)
    now = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S-%f")
    file = SAVED / f"{step.name}_{now}.py"
    files.write(file, text)
    return file


def shown(file: Path) -> str:
    """How a message calls a file of the course."""
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)
