"""Derive what the chapters of the book include beside code: facts, mistakes, equations, checks.

python -m tools.book.make_fragments            write them
python -m tools.book.make_fragments --check    only tell which have changed; exit with 1 if any has
"""

import contextlib
import io
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from latex2mathml.converter import convert
from rich.console import Console

from tools import derived
from tutor import ROOT
from tutor.check.running import run_suites
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.registry import Step, all_steps
from tutor.course.tracks import STEPS

BOOK = ROOT / "book"
FOLDERS = ("equations", "facts", "mistakes", "transcripts")


def facts(step: Step) -> str:
    """What a learner asks before beginning, as a list."""
    where = "" if step.track == STEPS else f" in the {step.track.name} track"
    return f"""\
- **You write** `{step.file("steps")}`.
- **Checks:** {len(step.checks)}, for {step.points} points{where}.
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


@contextlib.contextmanager
def learner() -> Iterator[Workbench]:
    """The bench of a learner who has solved all steps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "steps").mkdir()
        shutil.copy(ROOT / "steps" / "__init__.py", folder / "steps")
        for step in all_steps():
            write(folder, step, sources.reference(step, "steps"))
        bench = Workbench("steps", root=folder)
        try:
            yield bench
        finally:
            bench.close()


def write(folder: Path, step: Step, text: str) -> None:
    (folder / step.file("steps")).write_text(text)


def transcript(step: Step, bench: Workbench) -> str:
    """What `tutor check` prints, at 80 columns, for a learner who made the example's mistake."""
    [mistake] = [mistake for mistake in step.mistakes if mistake.name == step.example]
    right, printed = sources.reference(step, "steps"), io.StringIO()
    write(bench.root, step, mistake.apply(right))
    run_suites([step], bench, Console(file=printed, width=80, highlight=False))
    write(bench.root, step, right)
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def fragments() -> Iterator[tuple[Path, str]]:
    """Every derived file and its text."""
    for name, rows in tomllib.loads((BOOK / "equations.toml").read_text()).items():
        yield BOOK / f"equations/{name}.html", equation(rows)
    with learner() as bench:
        for step in all_steps():
            yield BOOK / f"facts/{step.name}.md", facts(step)
            yield BOOK / f"mistakes/{step.name}.md", mistakes(step)
            yield BOOK / f"transcripts/{step.name}.txt", transcript(step, bench)


def main() -> None:
    found = (file for folder in FOLDERS for file in (BOOK / folder).glob("*"))
    derived.update("Derive what the chapters of the book include.", fragments(), found=found)


if __name__ == "__main__":
    main()
