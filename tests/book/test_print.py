"""The book on paper: contents, numbers of pages, nothing folded, no line of code cut or broken."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader

from tests.book.chapters import BOOK, CHAPTERS
from tools.book import print_book
from tutor import ROOT

pytestmark = pytest.mark.full("the printed book")

SOLUTIONS = sorted((ROOT / "solutions").glob("*_0*.py"))


@pytest.fixture(scope="module")
def printed(browser: Browser, site: Path, tmp_path_factory: pytest.TempPathFactory) -> PdfReader:
    file = tmp_path_factory.mktemp("printed") / "book.pdf"
    print_book.print_book(site, file, browser)
    return PdfReader(file)


@pytest.fixture(scope="module")
def texts(printed: PdfReader) -> list[str]:
    """What is on each page."""
    return [page.extract_text() for page in printed.pages]


def squeezed(text: str) -> str:
    """A text without spaces, ligatures and curls, in which a PDF differs from its source."""
    plain = unicodedata.normalize("NFKC", text).translate(str.maketrans("‘’“”", "''\"\""))
    return re.sub(r"\s", "", plain)


def test_the_contents_have_every_chapter_with_its_page(
    printed: PdfReader, texts: list[str]
) -> None:
    chapters = print_book.chapters(printed)
    titles = [re.sub("`", "", path.read_text().split("\n")[0][2:]) for path in CHAPTERS]
    assert sorted(squeezed(title) for title, _ in chapters) == sorted(map(squeezed, titles))
    first = chapters[0][1]
    contents = {squeezed(line) for text in texts[: first - 1] for line in text.split("\n")}
    assert squeezed(texts[0]).startswith("Contents")
    for title, number in chapters:
        assert squeezed(title) in squeezed(texts[number - 1])[:200], title
        assert f"{squeezed(title)}{number}" in contents, title


def test_every_page_has_its_number(texts: list[str]) -> None:
    for number, text in enumerate(texts, start=1):
        assert re.search(rf"(^|\n){number}\s*($|\n)", text), number


def test_nothing_is_folded(texts: list[str]) -> None:
    whole = squeezed("".join(texts))
    for path in CHAPTERS:
        for folded in re.findall(r"</summary>\n\n(\w[^`*<{\[]{20,60}) ", path.read_text()):
            assert squeezed(folded) in whole, (path.stem, folded)


def lines_of(printed: PdfReader) -> Iterator[str]:
    for page in printed.pages:
        yield from map(squeezed, page.extract_text().split("\n"))


def test_no_line_of_code_is_broken(printed: PdfReader) -> None:
    found = "\n".join(lines_of(printed))
    for file in SOLUTIONS:
        for line in file.read_text().splitlines():
            assert squeezed(line) in found, (file.name, line)


def test_nothing_begins_outside_of_its_page(printed: PdfReader) -> None:
    for number, page in enumerate(printed.pages, start=1):
        starts: list[float] = []

        def visit(text: str, cm: Any, tm: Any, *_: Any, starts: list[float] = starts) -> None:
            if text.strip():
                starts.append(cm[0] * tm[4] + cm[4])

        page.extract_text(visitor_text=visit)
        assert all(0 < start < float(page.mediabox.width) for start in starts), number


def test_without_chromium_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(BOOK))
    with pytest.raises(SystemExit) as ended:
        print_book.find_browser()
    assert ended.value.code == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "chromium" in line
