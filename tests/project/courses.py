"""Courses of a learner's own, as copies in some folder, and what was found there."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tutor import ROOT
from tutor.course import stubs
from tutor.course.registry import NUMBERS, file_name, load_step, solution_source, step_name
from tutor.learn import records


def make_course(folder: Path) -> Path:
    """A course whose steps are stubs, in a folder with spaces and letters of all kinds."""
    root = folder / "mein Kurs – ü"
    left_out = shutil.ignore_patterns("__pycache__", "project", "book", "golden")
    for name in ("tutor", "solutions", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    (root / "steps").mkdir()
    shutil.copy(ROOT / "steps" / "__init__.py", root / "steps")
    for number in NUMBERS:
        step_file(root, number).write_text(stubs.derive(number))
    return root


def step_file(root: Path, number: int) -> Path:
    return root / file_name("steps", number)


def record_file(root: Path, number: int) -> Path:
    return root / ".tutor" / f"{step_name(number)}.json"


def solve(root: Path, *numbers: int) -> None:
    """Put the references in place of these steps."""
    for number in numbers:
        source = stubs.with_header(solution_source(number, "steps"), number)
        step_file(root, number).write_text(source)


def edit(root: Path, number: int) -> None:
    """Change a step, though not what it does."""
    with step_file(root, number).open("a") as file:
        file.write("# edited\n")


def keep_check(root: Path, number: int, failed: Collection[str] = (), **entries: Any) -> None:
    """Leave what a check leaves behind in which these checks of the step failed."""
    names = [check.name for check in load_step(number).checks]
    assert set(failed) <= set(names)
    record: dict[str, Any] = {
        "checks": {name: "wrong" if name in failed else "passed" for name in names},
        "mistake": None,
        "culprits": [],
        "verdict": "wrong" if failed else "passed",
        "files": records.digests(number, root),
    }
    record_file(root, number).parent.mkdir(exist_ok=True)
    record_file(root, number).write_text(json.dumps(record | entries))
