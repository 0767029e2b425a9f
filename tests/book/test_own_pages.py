"""The pages that the course builds itself: as whole as those of mdBook, and as easy to use."""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as BrowserPage

from tests.book.pages import Page, find_pages
from tests.book.test_build import dead_links, lines_of_solutions_in
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
from tutor.course.registry import all_steps

SAYS = attrgetter("says")


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


@pytest.mark.parametrize("scheme", partly(KIND, ["light", "dark"], "light".__eq__))
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


@pytest.mark.parametrize("name", partly(KIND, ["step_02.html", "step_07.html"], FEW.__contains__))
def test_widgets_work_on_own_pages(browser: Browser, own: Path, name: str) -> None:
    page = browser.new_page()
    page.goto((own / name).as_uri())
    figures = page.locator("figure.widget")
    expect(figures.locator("form")).to_have_count(figures.count())
    figures.locator(".wake").click()
    expect(figures.locator(".chip").first).to_be_visible(timeout=30_000)
    page.close()


@pytest.fixture
def page(browser: Browser, own: Path) -> Iterator[BrowserPage]:
    """A page with the box for a search."""
    page = browser.new_page()
    page.goto((own / "step_01.html").as_uri())
    yield page
    page.close()


def find_first(page: BrowserPage, words: str) -> str:
    """Where the first result for these words leads."""
    page.get_by_role("searchbox", name="Search").fill(words)
    expect(page.get_by_role("status")).to_contain_text("found")
    return str(page.get_by_role("search").get_by_role("link").first.get_attribute("href"))


@pytest.mark.parametrize(
    ("words", "place"),
    partly(
        KIND,
        [
            ("causal mask", "step_02.html#step-02-causal-mask"),
            ("CAUSAL  mask!", "step_02.html#step-02-causal-mask"),
            ("gumbel's distrib", "engine_01.html#the-idea"),
            ("scaled by the width", "step_07.html#check-it"),
            ("positions from 0", "engine_04.html#mistakes-that-people-make-here"),
        ],
        lambda each: each[0] == "scaled by the width",
    ),
)
def test_a_search_finds_the_place_first(quiet_page: BrowserPage, words: str, place: str) -> None:
    assert find_first(quiet_page, words) == place


@pytest.mark.full(KIND)
def test_the_words_of_a_mistake_find_its_chapter_first(quiet_page: BrowserPage) -> None:
    for step in all_steps():
        for mistake in step.mistakes[::8]:
            found = find_first(quiet_page, mistake.says)
            same = {each.name for each in all_steps() if mistake.says in map(SAYS, each.mistakes)}
            assert found.partition(".")[0] in same, mistake.says


@pytest.mark.full(KIND)
def test_a_search_takes_only_keys(quiet_page: BrowserPage) -> None:
    box = quiet_page.get_by_role("searchbox", name="Search")
    quiet_page.keyboard.press("s")
    expect(box).to_be_focused()
    quiet_page.keyboard.type("kv cache")
    results = quiet_page.get_by_role("search").get_by_role("link")
    expect(results.first).to_be_visible()
    quiet_page.keyboard.press("Tab")
    expect(results.first).to_be_focused()
    quiet_page.keyboard.press("Escape")
    expect(box).to_be_focused()
    expect(box).to_have_value("")
    expect(results).to_have_count(0)
    quiet_page.keyboard.type("xyzzy")
    expect(quiet_page.get_by_role("status")).to_have_text("0 sections found")
    box.fill("engine 04 kv cache")
    quiet_page.keyboard.press("Enter")
    quiet_page.wait_for_url("**/engine_04.html#*")


@pytest.mark.full(KIND)
def test_the_results_shut_nobody_out_and_fit_a_phone(quiet_page: BrowserPage, axe: str) -> None:
    quiet_page.set_viewport_size(PHONE)
    find_first(quiet_page, "attention")
    quiet_page.evaluate(axe)
    assert quiet_page.evaluate(FIND_BARRIERS, AXE_OPTIONS) == []
    assert quiet_page.evaluate(FIND_WIDE) == []


def test_the_index_has_every_chapter_and_no_solution(own: Path) -> None:
    text = (own / builder.INDEX).read_text().partition("=")[2].rstrip("; \n")
    index = json.loads(text)
    pages = [address.partition("#")[0] for address, *_ in index]
    assert [*dict.fromkeys(pages)] == [f"{chapter.stem}.html" for chapter in chapters.contents()]
    assert lines_of_solutions_in(" ".join(body for _, _, _, body, _ in index)) == []
