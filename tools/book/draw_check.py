"""Draw a check that names a mistake as a terminal shows it: check.svg, for the README.

python -m tools.book.draw_check            write it
python -m tools.book.draw_check --check    only tell whether it has changed; exit with 1 if it has
"""

import io

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from tools import derived
from tools.book.make_fragments import BOOK, DOORWAY
from tutor.book import reading

COLUMNS = 80
# The colours of book/look.css on a dark ground: the usual eight, dark and bright.
EIGHT = [
    *((40, 44, 58), (255, 143, 134), (143, 206, 124), (240, 180, 92)),
    *((108, 182, 255), (195, 161, 255), (79, 208, 184), (201, 203, 214)),
]
THEME = TerminalTheme((20, 23, 31), (201, 203, 214), EIGHT, EIGHT)
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>tutor check 7 names the mistake: scores are divided by the wrong root</title>
<style>
.{unique_id}-matrix {{
    font: {char_height}px/{line_height}px ui-monospace, "DejaVu Sans Mono", Menlo, monospace;
}}
.{unique_id}-title {{ font: 600 18px system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def picture() -> str:
    """The SVG."""
    html = (BOOK / "transcripts" / f"{DOORWAY}.html").read_text(encoding="utf-8")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(reading.terminal(html))
    console.print()  # or the last line is cut below
    svg = console.export_svg(
        title="tutor check 7", theme=THEME, code_format=FORMAT, unique_id="check"
    )
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


def main() -> None:
    derived.update("Draw the check of the README.", [(BOOK / "check.svg", picture())])


if __name__ == "__main__":
    main()
