"""Autograders to be uploaded: what grades submissions, as an archive."""

import io
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tutor import ROOT, files
from tutor.course.names import find_names
from tutor.grade.grades import Dependencies
from tutor.grade.marking import RULES

SCRIPTS = ("setup.sh", "run_autograder")
INSTALLED = ("tutor/**/*", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
DATE = (1980, 1, 1, 0, 0, 0)  # of every entry: equal files make an equal archive

NEXT = """\
{file} is written, {size:.1f} MB.
In Gradescope, make a programming assignment, and upload this as its autograder, for an image with
Ubuntu 22.04 or newer, with one processor or more, and 1.5 GB of memory."""


def gradescope(
    folder: Path,
    steps: str,
    dependencies: Dependencies,
    seed: int | None,
    seconds: int,
    megabytes: int,
) -> str:
    """Write the autograder for Gradescope, to grade in this way; in words, what comes next."""
    find_names(steps)
    options = [f"--steps={steps}", f"--deps={dependencies}", f"--timeout={seconds}"]
    options += [f"--memory={megabytes}", *([f"--seed={seed}"] if seed else [])]
    scripts = ROOT / "examples" / "gradescope"
    packed = {name: (scripts / name).read_bytes() for name in SCRIPTS}
    packed |= {f"course/{name}": content for name, content in course_files().items()}
    packed |= {"course/options.txt": "".join(f"{option}\n" for option in options).encode()}
    content, file = archive(packed, executable=SCRIPTS), folder / "gradescope.zip"
    files.write(file, content)
    return NEXT.format(file=file, size=len(content) / 1e6)


def course_files() -> dict[str, bytes]:
    """What grading needs of the course, by names relative to its root."""
    found = (file for pattern in (*RULES, *INSTALLED) for file in ROOT.glob(pattern))
    return {
        file.relative_to(ROOT).as_posix(): file.read_bytes()
        for file in found
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }


def archive(packed: dict[str, bytes], executable: Sequence[str]) -> bytes:
    """A zip archive of these files; the same whenever and wherever it is made."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in sorted(packed):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = 3  # Unix, so that the rights count
            rights = 0o755 if name in executable else 0o644
            entry.external_attr = (stat.S_IFREG | rights) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(entry, packed[name])
    return content.getvalue()
