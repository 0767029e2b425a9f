"""Puts stubs in place of a learner's files, and never loses one: what was there is saved first."""

import contextlib
import os
import tempfile
from datetime import datetime
from pathlib import Path

from tutor import ROOT, stubs
from tutor.course import Step
from tutor.errors import InputError

SAVED = ROOT / ".tutor" / "saved"


def reset(step: Step) -> Path | None:
    """Derive the stub anew; where the file that was there is now, if there was another one."""
    stub = stubs.derive(step.number).encode()
    file = ROOT / step.file("steps")
    if file.is_file() and file.read_bytes() == stub:
        raise InputError(f"{step.file('steps')} is the untouched stub; there is nothing to reset")
    return replace(step, stub)


def undo(step: Step) -> tuple[Path, Path | None]:
    """Bring back what was saved last; from where, and where the file that was there is now."""
    if not (saved := sorted(SAVED.glob(f"{step.name}_*.py"))):
        raise InputError(
            f"nothing is saved of {step.label}; tutor reset {step.short} would save it"
        )
    return saved[-1], replace(step, saved[-1].read_bytes())


def replace(step: Step, text: bytes) -> Path | None:
    """Write a text to a learner's file, once what is there is saved; to where."""
    file = (ROOT / step.file("steps")).resolve()
    saved = save(step, file.read_bytes()) if file.is_file() else None
    write(file, text)
    return saved


def save(step: Step, text: bytes) -> Path:
    """Keep a text under a name with the time."""
    SAVED.mkdir(parents=True, exist_ok=True)
    now = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S-%f")
    file = SAVED / f"{step.name}_{now}.py"
    write(file, text)
    return file


def write(file: Path, text: bytes) -> None:
    """Write all of a file or nothing: until it is on the disk, the old one stays."""
    file.parent.mkdir(exist_ok=True)
    mode = file.stat().st_mode if file.exists() else 0o644
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).chmod(mode)
            Path(new.name).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(new.name).unlink()
            raise
