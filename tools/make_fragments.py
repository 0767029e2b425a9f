"""Derive what the chapters of the book include beside code: facts, mistakes, equations, checks.

python tools/make_fragments.py            write them
python tools/make_fragments.py --check    only tell which have changed; exit with 1 if any has
"""

import contextlib
import io
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import derived
from latex2mathml.converter import convert

from tutor import ROOT
from tutor.course import CORE, Step, all_steps, solution_source
from tutor.grading.check import check_steps

BOOK = ROOT / "book"
FOLDERS = ("equations", "facts", "mistakes", "transcripts")


def facts(step: Step) -> str:
    """What a learner asks before beginning, as a list."""
    points = "points" if step.number in CORE else "bonus points"
    return f"""\
- **You write** `{step.file("steps")}`.
- **Checks:** {len(step.checks)}, for {step.points} {points}.
- **Time:** about {step.minutes} minutes. **Difficulty:** {step.difficulty}.
"""


def mistakes(step: Step) -> str:
    """All mistakes that the tutor knows by name, as a list."""
    return "".join(f"- **{mistake.name}**: {mistake.says}\n" for mistake in step.mistakes)


def equation(rows: list[str]) -> str:
    """MathML for rows of LaTeX."""
    maths = "\n".join(convert(row, display="block") for row in rows)
    if "\\" in maths:
        raise ValueError(f"latex2mathml does not know a command in {rows}")
    return f'<div class="equation">\n{maths}\n</div>\n'


def transcript(step: Step) -> str:
    """What `tutor check` prints, at 80 columns, for a learner who made the example's mistake."""
    [mistake] = [mistake for mistake in step.mistakes if mistake.name == step.example]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "steps", Path(folder) / "steps")
        for each in all_steps():
            right = solution_source(each.number, "steps")
            text = mistake.apply(right) if each is step else right
            (Path(folder) / each.file("steps")).write_text(text)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), mock.patch.dict(os.environ, COLUMNS="80"):
            check_steps([step.number], "steps", 60, root=Path(folder))
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def fragments() -> Iterator[tuple[Path, str]]:
    """Every derived file and its text."""
    for name, rows in tomllib.loads((BOOK / "equations.toml").read_text()).items():
        yield BOOK / f"equations/{name}.html", equation(rows)
    for step in all_steps():
        yield BOOK / f"facts/{step.name}.md", facts(step)
        yield BOOK / f"mistakes/{step.name}.md", mistakes(step)
        yield BOOK / f"transcripts/{step.name}.txt", transcript(step)


def main() -> None:
    found = (file for folder in FOLDERS for file in (BOOK / folder).glob("*"))
    derived.update("Derive what the chapters of the book include.", fragments(), found=found)


if __name__ == "__main__":
    main()
