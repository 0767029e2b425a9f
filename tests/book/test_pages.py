"""Every page in a real browser: nothing fails, nobody is shut out, and it fits a phone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, expect

from tests.book.chapters import CHAPTERS
from tests.project.tiers import partly
from tutor.course.registry import all_steps

KIND = "pages in a browser"

THEMES = ("light", "rust", "coal", "navy", "ayu")
DESKTOP = ViewportSize(width=1200, height=900)
PHONE = ViewportSize(width=360, height=740)
CHAPTER_PAGES = [f"{chapter.stem}.html" for chapter in CHAPTERS]
FEW = ("step_07.html",)  # that a quick run looks at

AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "rules": {
        name: {"enabled": True}
        for name in ("empty-heading", "heading-order", "page-has-heading-one")
    },
    "resultTypes": ["violations"],
    "preload": False,  # it would fetch style sheets, which a browser refuses to do for files
}
COLOURS = {**AXE_OPTIONS, "runOnly": ["color-contrast", "link-in-text-block"], "rules": {}}
FIND_BARRIERS = """
async (options) => {
    // What has just been opened is looked at by access.js before the next frame.
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const { violations } = await axe.run(options);
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`));
}
"""

# What sticks out of the page, unless it is in something that can be scrolled.
FIND_WIDE = """
() => {
    const width = document.documentElement.clientWidth;
    const isWide = (element) => {
        const { left, right } = element.getBoundingClientRect();
        return left < 0 || right > width + 0.5;
    };
    const isScrolled = (element) =>
        element.tagName !== "MAIN" && (
            ["auto", "scroll"].includes(getComputedStyle(element).overflowX)
            || isScrolled(element.parentElement));
    const wide = [...document.querySelectorAll("main :not(svg *)")]
        .filter((element) => isWide(element) && !isScrolled(element.parentElement))
        .map((element) => element.outerHTML.slice(0, 200));
    return document.scrollingElement.scrollWidth > width ? ["the page itself", ...wide] : wide;
}
"""

# What is there to be read and cannot be seen; what is folded can be opened.
FIND_HIDDEN = """
() => [...document.querySelectorAll("main :is(h1, h2, h3, p, li, td, pre, figure, svg, math)")]
    .filter((element) => !element.closest("details:not([open])"))
    .filter((element) => !element.checkVisibility({ visibilityProperty: true }))
    .map((element) => element.outerHTML.slice(0, 200))
"""


# The pages that a search finds: the first for each of several texts, all for one.
FIND_FIRST = """
(texts) => {
    const { index, doc_urls, search_options } = window.search;
    const loaded = elasticlunr.Index.load(index);
    return texts.map((text) => {
        const [first] = loaded.search(text, search_options);
        return first && doc_urls[first.ref].split("#")[0];
    });
}
"""
FIND_ALL = """
(text) => {
    const { index, doc_urls, search_options } = window.search;
    const found = elasticlunr.Index.load(index).search(text, search_options);
    return found.map(({ ref }) => doc_urls[ref]);
}
"""


class Visitor:
    """A tab that goes from page to page, and what the browser says of the page that it is on."""

    def __init__(self, browser: Browser, site: Path, axe: str) -> None:
        self.site, self.axe = site, axe
        self.complaints: list[str] = []
        self.tab = browser.new_page(reduced_motion="reduce")
        self.tab.add_init_script("window.print = () => {}")  # print.html asks for it
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", self.note_request)

    def note_request(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.complaints.append(f"it asks for {request.url}")

    def visit(self, name: str, size: ViewportSize) -> Page:
        """Open a page of the book, and all that is folded on it."""
        self.complaints.clear()
        self.tab.set_viewport_size(size)
        self.tab.goto((self.site / name).as_uri())
        self.tab.evaluate("document.querySelectorAll('details').forEach((it) => it.open = true)")
        self.tab.evaluate(self.axe)
        return self.tab

    def barriers(self, theme: str) -> list[str]:
        """What keeps somebody out of the page; beyond the first theme, only by its colours."""
        self.tab.evaluate(f"document.getElementById('mdbook-theme-{theme}').click()")
        options = AXE_OPTIONS if theme == THEMES[0] else COLOURS
        found: list[str] = self.tab.evaluate(FIND_BARRIERS, options)
        return [f"{theme}: {barrier}" for barrier in found]


@pytest.fixture(scope="module")
def visitor(browser: Browser, site: Path, axe: str) -> Visitor:
    return Visitor(browser, site, axe)


@pytest.mark.parametrize("name", partly(KIND, CHAPTER_PAGES, FEW.__contains__))
def test_a_page_shuts_nobody_out(visitor: Visitor, name: str) -> None:
    visitor.visit(name, DESKTOP)
    assert [found for theme in THEMES for found in visitor.barriers(theme)] == []
    assert visitor.complaints == []


@pytest.mark.parametrize("name", partly(KIND, [*CHAPTER_PAGES, "print.html"], FEW.__contains__))
def test_a_page_fits_a_phone(visitor: Visitor, name: str) -> None:
    page = visitor.visit(name, PHONE)
    assert visitor.barriers(THEMES[0]) == []
    assert page.evaluate(FIND_WIDE) == []
    assert visitor.complaints == []


def test_the_contents_are_switched_by_keys(visitor: Visitor) -> None:
    page = visitor.visit("introduction.html", PHONE)
    contents = page.locator("#mdbook-sidebar")
    switch = page.get_by_role("button", name="Toggle Table of Contents")
    expect(contents).not_to_be_in_viewport()
    switch.press("Enter")
    expect(contents).to_be_in_viewport()
    switch.press("Space")
    expect(contents).not_to_be_in_viewport()


def test_the_search_finds_a_chapter(visitor: Visitor) -> None:
    page = visitor.visit("introduction.html", DESKTOP)
    page.keyboard.press("s")
    page.get_by_role("searchbox").press_sequentially("causal mask")
    expect(page.locator("#mdbook-searchresults")).to_contain_text("Step 02: Causal mask")
    assert visitor.complaints == []


def test_the_search_does_not_lead_into_solutions(visitor: Visitor) -> None:
    page = visitor.visit("step_01.html", DESKTOP)
    page.keyboard.press("s")
    page.get_by_role("searchbox").press_sequentially("kv cache")
    found = page.locator("#mdbook-searchresults a")
    expect(found.first).to_be_visible()
    assert not found.and_(page.locator("[href$='#the-solution']")).count()


def bare(text: str) -> str:
    """The words of a text, as the search compares them."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


@pytest.mark.full(KIND)
def test_the_words_of_a_mistake_find_its_chapter_first(visitor: Visitor) -> None:
    page = visitor.visit("step_01.html", DESKTOP)
    page.keyboard.press("s")
    page.get_by_role("searchbox").press_sequentially("mask")  # so that the index is loaded
    expect(page.locator("#mdbook-searchresults a").first).to_be_visible()
    words = {step: " ".join(bare(each.says) for each in step.mistakes) for step in all_steps()}
    said = [mistake.says for step in all_steps() for mistake in step.mistakes]
    found = dict(zip(said, page.evaluate(FIND_FIRST, said), strict=True))
    saying = {
        says: [f"{step.name}.html" for step in words if bare(says) in words[step]] for says in said
    }
    assert {says: first for says, first in found.items() if first not in saying[says]} == {}
    assert not any(url.endswith("#the-solution") for url in page.evaluate(FIND_ALL, "cache"))


@pytest.mark.parametrize("name", partly(KIND, CHAPTER_PAGES, FEW.__contains__))
def test_a_page_reads_without_scripts(browser: Browser, site: Path, name: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto((site / name).as_uri())
    assert page.locator("main h1").is_visible()
    assert page.evaluate(FIND_HIDDEN) == []
    page.close()
