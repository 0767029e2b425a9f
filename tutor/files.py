"""Files that are written whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path


def write(file: Path, content: bytes) -> None:
    """Write all of a file or nothing: until it is on the disk, the old one stays."""
    if file.exists():
        file = file.resolve()  # what a link leads to; one that leads nowhere gives way
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode if file.exists() else 0o644
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).chmod(mode)
            Path(new.name).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(new.name).unlink()
            raise


def free_space(folder: Path) -> int:
    """The bytes that are free where a folder is, or will be."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free
