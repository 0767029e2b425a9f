"""Courses of a learner's own, as copies in some folder, and what was found there."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tutor import ROOT
from tutor.course import sources, stubs
from tutor.course.registry import all_steps, find_step


def make_course(folder: Path) -> Path:
    """A course whose steps are stubs, in a folder with spaces and letters of all kinds."""
    root = folder / "mein Kurs – ü"
    left_out = shutil.ignore_patterns("__pycache__", "project", "book", "golden")
    for name in ("tutor", "solutions", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    (root / "steps").mkdir()
    shutil.copy(ROOT / "steps" / "__init__.py", root / "steps")
    for step in all_steps():
        (root / step.file("steps")).write_text(stubs.derive(step))
    return root


def step_file(root: Path, name: str) -> Path:
    """The file of a step, which is named as in a command: 7, e2."""
    return root / find_step(name).file("steps")


def record_file(root: Path, name: str) -> Path:
    return root / ".tutor" / f"{find_step(name).name}.json"


def solve(root: Path, *names: str) -> None:
    """Put the references in place of these steps."""
    for step in map(find_step, names):
        source = stubs.with_header(sources.reference(step, "steps"), step)
        (root / step.file("steps")).write_text(source)


def edit(root: Path, name: str) -> None:
    """Change a step, though not what it does."""
    with step_file(root, name).open("a") as file:
        file.write("# edited\n")


def keep_check(root: Path, name: str, failed: Collection[str] = (), **entries: Any) -> None:
    """Leave what a check leaves behind in which these checks of the step failed."""
    step = find_step(name)
    checks = [check.name for check in step.checks]
    assert set(failed) <= set(checks)
    record: dict[str, Any] = {
        "checks": {check: "wrong" if check in failed else "passed" for check in checks},
        "mistake": None,
        "culprits": [],
        "verdict": "wrong" if failed else "passed",
        "files": sources.digests(step, root),
    }
    record_file(root, name).parent.mkdir(exist_ok=True)
    record_file(root, name).write_text(json.dumps(record | entries))
