"""Draw what stands for the book elsewhere: its icon, and the picture shown beside a link to it.

python -m tools.book.draw_preview            write them; the pictures of pixels take Chromium
python -m tools.book.draw_preview --check    only tell what has changed; exit with 1 if anything has
"""

import shutil
import sys
import tomllib
from html import escape

from playwright.sync_api import sync_playwright

from tools import derived
from tutor import ROOT

BOOK = ROOT / "book"
ICON = BOOK / "theme" / "favicon.svg"
PAGE = BOOK / "preview.html"
SIZES = {BOOK / "theme" / "favicon.png": (64, 64), BOOK / "src" / "preview.png": (1200, 630)}
SIDE = 4  # of the mask, in cells


def icon() -> str:
    """The causal mask of step 02: what a token sees, and itself."""
    cells = []
    for row in range(SIDE):
        for column in range(row + 1):
            colour = "#e0922f" if column == row else "#2f7fcf"
            place = f'x="{1 + 8 * column}" y="{1 + 8 * row}"'
            cells.append(f'<rect {place} width="7" height="7" rx="1.5" fill="{colour}"/>')
    lines = "\n".join(cells)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 33 33">\n{lines}\n</svg>\n'


def page() -> str:
    """What the preview is a picture of: the promise, and a mistake by its name."""
    book = tomllib.loads((BOOK / "book.toml").read_text())["book"]
    check = (BOOK / "transcripts" / "doorway.html").read_text()
    return f"""\
<!doctype html>
<html class="light" lang="en">
<meta charset="utf-8">
<title>{escape(book["title"])}</title>
<link rel="stylesheet" href="figures.css">
<link rel="stylesheet" href="look.css">
<style>
    html {{ color-scheme: light; background: var(--bg); color: var(--fg); }}
    body {{ box-sizing: border-box; width: 1200px; height: 630px; margin: 0; padding: 64px 72px; }}
    body::before {{ height: 12px !important; }}
    header {{ display: flex; gap: 32px; align-items: center; }}
    header svg {{ width: 112px; }}
    h1 {{ margin: 0; font: 600 56px var(--serif); }}
    p {{ margin: 36px 0; font: 32px/1.35 "Open Sans", "Liberation Sans", sans-serif; }}
    pre {{ margin: 0; padding: 24px 28px; border-radius: 12px; background: var(--sidebar-bg); }}
    code {{ font: 21px/1.4 "Source Code Pro", "DejaVu Sans Mono", monospace; }}
</style>
<body>
<header>
{icon()}<h1>{escape(book["title"])}</h1>
</header>
<main>
<p>{escape(book["description"])}</p>
{check}</main>
"""


def shoot() -> None:
    """The same as pixels."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        for source, (file, (width, height)) in zip((ICON, PAGE), SIZES.items(), strict=True):
            tab = browser.new_page(viewport={"width": width, "height": height})
            tab.goto(source.as_uri())
            tab.screenshot(path=file, omit_background=source == ICON)
        browser.close()


def main() -> None:
    what = "Draw the icon of the book, and the picture beside a link to it."
    derived.update(what, [(ICON, icon()), (PAGE, page())])
    if "--check" not in sys.argv:
        shoot()


if __name__ == "__main__":
    main()
