"""Derive what the chapters of the book include beside code: facts, maps, equations, checks ….

python -m tools.book.make_fragments            write them
python -m tools.book.make_fragments --check    only tell which have changed; exit with 1 if any has
"""

import contextlib
import io
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from unittest import mock

from latex2mathml.converter import convert
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tools import derived
from tutor import ROOT
from tutor.check import diagnosis
from tutor.check.running import run_suites
from tutor.check.sandbox.workbench import Workbench
from tutor.course import pages, sources
from tutor.course.names import find_name
from tutor.course.parts import OUTERMOST, PARTS, SHORT
from tutor.course.registry import Mistake, Step, all_steps
from tutor.course.tracks import STEPS

BOOK = ROOT / "book"
FOLDERS = ("equations", "facts", "maps", "mistakes", "transcripts")
DOORWAY = "step_07"  # whose check the first page shows

COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")  # of a terminal

UNREAD = re.compile(r"<details.*?</details>|```.*?```|<!--.*?-->|\{\{.*?\}\}|<[^>]*>", re.DOTALL)
WORDS_A_MINUTE = 200
PATIENCE = 300.0  # seconds to find the name of a mistake in, however busy the machine is


def facts(step: Step) -> str:
    """What a learner asks before beginning, as a list."""
    where = "" if step.track == STEPS else f" in the {step.track.name} track"
    return f"""\
- **You write** `{step.file("steps")}`.
- **Checks:** {len(step.checks)}, for {step.points} points{where}.
- **Time:** about {reading(ROOT / step.chapter)} minutes to read, and {step.minutes} to write.
- **Difficulty:** {step.difficulty}.
- **Notebook:** `uv run tutor notebook {step.short}` has the examples, to run and to change.
"""


def reading(chapter: Path) -> int:
    """The minutes that a chapter takes to read, in fives; what is folded and code don't count."""
    words = len(UNREAD.sub(" ", chapter.read_text()).split())
    return 5 * max(1, round(words / WORDS_A_MINUTE / 5))


def model_map(here: int) -> str:
    """The twelve steps as boxes in boxes, each a link, with the one where the reader is."""

    def boxes(numbers: tuple[int, ...]) -> str:
        return "<ul>\n" + "".join(map(box, numbers)) + "</ul>\n"

    def box(number: int) -> str:
        mark = ' aria-current="page"' if number == here else ""
        link = f'<a href="step_{number:02}.html"{mark}>{number:02} {SHORT[number - 1]}</a>'
        inside = boxes(PARTS[number]) if number in PARTS else ""
        return f"<li>{link}\n{inside}</li>\n"

    return f'<nav class="map" aria-label="Map of the model">\n{boxes(OUTERMOST)}</nav>\n'


def mistakes(step: Step) -> str:
    """All mistakes that the tutor knows by name, as a list; a link where the chapter says more."""
    written = (ROOT / step.chapter).read_text()

    def item(mistake: Mistake) -> str:
        if mistake.is_in(written):
            return f"**[{mistake.name}](#{mistake.anchor})**: {mistake.says}"
        return f'<b id="{mistake.anchor}">{mistake.name}</b>: {mistake.says}'

    return "".join(f"- {item(mistake)}\n" for mistake in step.mistakes)


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
            with (
                mock.patch.object(diagnosis, "SECONDS", PATIENCE),
                mock.patch.object(pages, "SITE", folder),  # where no book was built
            ):
                yield bench
        finally:
            bench.close()


def write(folder: Path, step: Step, text: str) -> None:
    (folder / step.file("steps")).write_text(text)


def check(step: Step, bench: Workbench) -> list[Text]:
    """The lines of `tutor check`, at 80 columns, for a learner who made the example's mistake."""
    [mistake] = [mistake for mistake in step.mistakes if mistake.name == step.example]
    right = sources.reference(step, "steps")
    console = Console(file=io.StringIO(), record=True, width=80, highlight=False)
    write(bench.root, step, mistake.apply(right))
    run_suites([step], bench, console)
    write(bench.root, step, right)
    lines = Text.from_ansi(console.export_text(styles=True)).split()
    for line in lines:
        line.rstrip()
    return list(lines)


def plain(lines: list[Text]) -> str:
    return "".join(f"{line.plain}\n" for line in lines)


def coloured(lines: list[Text]) -> str:
    """The same lines as HTML, in the colours of a terminal; book/look.css has them."""
    console = Console(file=io.StringIO())
    html = "\n".join(
        "".join(marked(part.text, part.style) for part in line.render(console)) for line in lines
    )
    return f'<pre class="transcript"><code class="nohighlight">{html}\n</code></pre>\n'


def marked(text: str, style: Style | None) -> str:
    if not style or not text.strip():
        return text
    names = [name for name in ("bold", "dim") if getattr(style, name)]
    if style.color and style.color.number is not None:
        names.append(COLOURS[style.color.number])
    html = escape(text, quote=False)
    return f'<span class="{" ".join(names)}">{html}</span>' if names else html


def naming(lines: list[Text]) -> list[Text]:
    """Of a check's lines, those that say what was wrong, up to the name of the mistake."""
    said = [line.plain for line in lines]
    start = said.index("", 2) + 1  # after the heading and the checks
    end = next(place for place, line in enumerate(said) if line.startswith("  Mistake:"))
    return lines[start : said.index("", end) - 1]  # without the line on the chapter


def fragments() -> Iterator[tuple[Path, str]]:
    """Every derived file and its text."""
    for name, rows in tomllib.loads((BOOK / "equations.toml").read_text()).items():
        yield BOOK / f"equations/{name}.html", equation(rows)
    with learner() as bench:
        for step in all_steps():
            yield BOOK / f"facts/{step.name}.md", facts(step)
            yield BOOK / f"mistakes/{step.name}.md", mistakes(step)
            lines = check(step, bench)
            yield BOOK / f"transcripts/{step.name}.txt", plain(lines)
            yield BOOK / f"transcripts/{step.name}.html", coloured(lines)
            if step.name == DOORWAY:
                yield BOOK / "transcripts/doorway.html", coloured(naming(lines))
    for step in all_steps(STEPS):
        yield BOOK / f"maps/{step.name}.html", model_map(step.number)
    for chapter in (BOOK / "src").glob("*.md"):
        if f"facts/{chapter.stem}.md" in chapter.read_text() and not find_name(chapter.stem):
            yield (
                BOOK / f"facts/{chapter.stem}.md",
                f"*About {reading(chapter)} minutes to read.*\n",
            )


def main() -> None:
    found = (file for folder in FOLDERS for file in (BOOK / folder).glob("*"))
    derived.update("Derive what the chapters of the book include.", fragments(), found=found)


if __name__ == "__main__":
    main()
