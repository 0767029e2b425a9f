"""The pages that the course builds itself: as whole as those of mdBook, and as easy to use."""

import html
import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.book.pages import Page, find_pages
from tests.book.test_build import dead_links
from tests.book.test_pages import (
    AXE_OPTIONS,
    CHAPTER_PAGES,
    DESKTOP,
    FEW,
    FIND_BARRIERS,
    FIND_WIDE,
    KIND,
    PHONE,
)
from tests.project.tiers import partly
from tutor.book import chapters
from tutor.book import pages as builder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of these pages."""
    folder = tmp_path_factory.mktemp("own")
    builder.build(folder)
    return folder


@pytest.fixture(scope="module")
def own_pages(own: Path) -> dict[str, Page]:
    return find_pages(own)


def test_every_chapter_has_its_page_and_every_link_leads_somewhere(
    own: Path, own_pages: dict[str, Page]
) -> None:
    assert sorted(own_pages) == sorted(CHAPTER_PAGES)
    assert dead_links(own, own_pages) == []
    for name, page in own_pages.items():
        assert "{{#" not in page.text
        assert [found for found, count in Counter(page.ids).items() if count > 1] == [], name
        for link in page.links:
            assert link.is_inside or (link.tag == "a" and link.target.startswith("https://"))


def test_a_place_has_the_same_address_as_in_mdbooks_pages(
    own_pages: dict[str, Page], pages: dict[str, Page]
) -> None:
    for name, page in own_pages.items():
        theirs = {
            each for each in pages[name].ids if not re.match("mdbook-|body-|fa-|print-", each)
        }
        assert theirs - {*page.ids} == set(), name


def test_a_chapter_says_the_same_as_in_mdbooks_pages(own: Path, site: Path) -> None:
    for name in FEW:
        mine, theirs = (main_text(folder / name) for folder in (own, site))
        assert mine == theirs


def main_text(file: Path) -> str:
    """The words of a page, without what is only markup."""
    main = file.read_text().partition("<main>")[2].partition("</main>")[0]
    text = html.unescape(re.sub(r"<script.*?</script>|<[^>]+>", "", main, flags=re.DOTALL))
    return "".join(text.split())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", partly(KIND, CHAPTER_PAGES, FEW.__contains__))
def test_an_own_page_shuts_nobody_out_and_fits(
    browser: Browser, own: Path, axe: str, name: str, scheme: str
) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.goto((own / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((it) => it.open = true)")
        page.evaluate(axe)
        assert page.evaluate(FIND_BARRIERS, AXE_OPTIONS) == []
        assert page.evaluate(FIND_WIDE) == []
    assert complaints == []
    page.close()


def test_the_contents_lead_to_all_chapters_and_say_where_the_reader_is(own: Path) -> None:
    text = (own / "step_07.html").read_text().partition('id="contents"')[2]
    links = re.findall(r'href="(\w+)\.html"( aria-current="page")?', text)
    assert [stem for stem, _ in links] == [chapter.stem for chapter in chapters.contents()]
    assert [stem for stem, here in links if here] == ["step_07"]


@pytest.mark.parametrize("name", ["step_02.html", "step_07.html"])
def test_widgets_work_on_own_pages(browser: Browser, own: Path, name: str) -> None:
    page = browser.new_page()
    page.goto((own / name).as_uri())
    assert page.locator("figure.widget form").count() == 1
    page.close()
