"""Print the whole book into one PDF, with a table of contents and numbers on its pages.

python -m tools.book.print_book [FILE]     build/book.pdf, unless another file is given
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader
from pypdf.generic import Destination

from tutor import ROOT
from tutor.book import site as book

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FILE = ROOT / "build" / "book.pdf"

# 100 columns of code fit between the margins; what is taller than a page is all that may break.
STYLE = """
@page { size: A4; }
@media print {
    html { font-size: 50%; }
    #mdbook-content main { max-width: none; padding: 0; font-size: 1.6rem; }
    main h1 { break-before: page; }
    .print-contents h1 { break-before: avoid; }
    .doorway > p:nth-child(2) { display: none !important; } /* its buttons */
    main :is(h1, h2, h3, summary, legend) { break-after: avoid; }
    main :is(pre, figure, table, tr, .equation, .quiz) { break-inside: avoid; }
    main p { orphans: 3; widows: 3; }
    main pre > code { padding: 0.6em; font-size: 7.6pt; white-space: pre-wrap; }
    main details, main details > pre { margin-inline: 0; padding-inline: 0; border: 0; }
    main .quiz details { padding-inline: 0.8em; border: 1px solid #ccc; }
    .print-contents ol { padding: 0; list-style: none; }
    .print-contents li { display: flex; gap: 0.5em; line-height: 1.7; }
    .print-contents li::before { content: ""; order: 1; flex: 1; border-bottom: 1px dotted #999; }
    .print-contents li > span { order: 2; }
    .print-contents li.part { margin-top: 0.8em; font-weight: 600; }
    .print-contents li.part::before { border: 0; }
    .print-contents a { color: inherit; text-decoration: none !important; }
}
"""
NUMBER = """
<div style="width: 100%; font: 8pt sans-serif; color: #555; text-align: center">
<span class="pageNumber"></span></div>
"""

# Opens what is folded, and puts the chapters at the beginning, below the parts of the summary.
PREPARE = """
(parts) => {
    document.querySelectorAll("details").forEach((folded) => { folded.open = true; });
    const contents = document.createElement("nav");
    contents.className = "print-contents";
    contents.innerHTML = "<h1>Contents</h1><ol></ol>";
    for (const chapter of document.querySelectorAll("main h1")) {
        const part = parts[chapter.textContent.trim()];
        const line = (name) => {
            const item = document.createElement("li");
            item.className = name;
            contents.lastChild.append(item);
            return item;
        };
        if (part) {
            line("part").textContent = part;
        }
        const link = document.createElement("a");
        link.href = `#${chapter.id}`;
        link.textContent = chapter.textContent;
        line("chapter").append(link, document.createElement("span"));
    }
    document.querySelector("main").prepend(contents);
}
"""
FILL_IN = """
(pages) => document.querySelectorAll(".print-contents .chapter").forEach((line, place) => {
    line.lastChild.textContent = pages[place];
})
"""


def find_browser() -> str:
    """The program that prints."""
    return find_program(BROWSERS, "a PDF is printed by Chromium")


def find_program(names: tuple[str, ...], why: str) -> str:
    """The first of these programs on the PATH; without one, a line says why it is wanted."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        print(f"{why}, but the PATH doesn't have {' or '.join(names)}", file=sys.stderr)
        raise SystemExit(3)
    return found


def parts(summary: str) -> dict[str, str]:
    """The parts of the book, by the first chapter of each."""
    found, part = {}, ""
    for line in summary.splitlines()[1:]:
        if line.startswith("# "):
            part = line.removeprefix("# ")
        elif part and "](" in line:
            found[line.partition("[")[2].partition("](")[0]] = part
            part = ""
    return found


def print_book(site: Path, file: Path, browser: Browser) -> None:
    """Print a built book. Twice, since only a printed book knows the pages of its chapters."""
    page = browser.new_page(reduced_motion="reduce")
    page.add_init_script("window.print = () => {}")  # which the page does by itself
    page.goto((site / "print.html").as_uri())
    page.add_style_tag(content=STYLE)
    page.evaluate(PREPARE, parts((ROOT / "book" / "src" / "SUMMARY.md").read_text()))
    write(page, file)
    page.evaluate(FILL_IN, [number for _, number in chapters(PdfReader(file))])
    write(page, file)
    page.close()


def write(page: Page, file: Path) -> None:
    page.pdf(
        path=file,
        prefer_css_page_size=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=NUMBER,
        margin={"top": "15mm", "bottom": "17mm", "left": "15mm", "right": "15mm"},
        outline=True,
        tagged=True,
    )


def chapters(reader: PdfReader) -> list[tuple[str, int]]:
    """The titles of the chapters, after the contents, and the numbers of their first pages."""
    found = [item for item in reader.outline if isinstance(item, Destination)]
    numbers = [reader.get_destination_page_number(item) for item in found]
    titles = [str(item.title).strip() for item in found]
    pairs = [
        (title, number + 1)
        for title, number in zip(titles, numbers, strict=True)
        if number is not None
    ]
    return pairs[1:]


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    program = find_browser()
    find_program(("mdbook",), "what is printed is built by mdbook")
    site = ROOT / "build" / "print"
    book.build(site)
    file.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        print_book(site, file, browser)
        browser.close()
    print(file)


if __name__ == "__main__":
    main()
