"""The first page, the way on from page to page, and what a published book knows of itself."""

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.book.chapters import BOOK, CHAPTERS, run_example
from tests.book.pages import Page
from tests.book.test_pages import DESKTOP, PHONE
from tools.book import name_repository
from tools.book.make_fragments import coloured, reading
from tutor import ROOT
from tutor.book import site as book
from tutor.course import sources
from tutor.course.parts import OUTERMOST, PARTS
from tutor.course.registry import all_steps, find_step
from tutor.course.tracks import STEPS

TWELVE = all_steps(STEPS)
REPOSITORY, SITE = "https://git.example/someone/a-course", "https://pages.example/a-course/"

# Code wider than its box, which would have to be scrolled. MAX's own messages can be longer than
# the lines of the course.
FIND_CUT = """
() => [...document.querySelectorAll("main pre > code")]
    .filter((code) => code.scrollWidth > code.clientWidth)
    .filter((code) => code.textContent.split("\\n").every((line) => line.length <= 100))
    .map((code) => code.textContent.slice(0, 200))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """The book as the workflow builds it; in which `site` has found mdbook."""
    del site
    folder = tmp_path_factory.mktemp("published")
    for name in book.SOURCES:
        shutil.copytree(ROOT / name, folder / name)
    tool = [sys.executable, "-m", "tools.book.name_repository"]
    subprocess.run([*tool, REPOSITORY, SITE, str(folder / "book")], cwd=ROOT, check=True)
    settings = {
        "MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL": REPOSITORY,
        "MDBOOK_OUTPUT__HTML__EDIT_URL_TEMPLATE": f"{REPOSITORY}/edit/main/book/{{path}}",
    }
    mdbook = shutil.which("mdbook") or ""
    command = [mdbook, "build", str(folder / "book"), "--dest-dir", str(folder / "site")]
    subprocess.run(command, env=settings, check=True, capture_output=True)
    return folder / "site"


def targets(page: Page) -> list[str]:
    return [link.target for link in page.links if link.tag == "a"]


def test_the_first_page_has_a_story_a_mistake_and_two_ways_on(pages: dict[str, Page]) -> None:
    first = pages["index.html"]
    assert run_example(BOOK / "examples" / "index.txt")["sentence"].partition(" there")[2]
    assert " ".join(first.text.split()).count("there was a great king and queen") == 1
    (mistake,) = [m for m in find_step("7").mistakes if m.name == find_step("7").example]
    assert mistake.says.partition("{")[0][:30] in first.text
    assert {"setup.html", "setup.html#where-you-work", "introduction.html"} <= set(targets(first))
    assert 'class="red"' in (BOOK / "transcripts" / "doorway.html").read_text()


def test_colours_of_a_terminal_become_classes() -> None:
    from rich.text import Text

    line = Text.from_ansi("\x1b[1;31mwrong <0\x1b[0m, \x1b[2mdim\x1b[0m")
    shown = '<span class="bold red">wrong &lt;0</span>, <span class="dim">dim</span>\n'
    assert shown in coloured([line])


@pytest.mark.parametrize("kind", ["step", "engine"])
def test_a_transcript_in_colour_says_the_same(kind: str, pages: dict[str, Page]) -> None:
    for step in all_steps():
        if step.name.startswith(kind):
            plain = (BOOK / "transcripts" / f"{step.name}.txt").read_text()
            assert plain in pages[f"{step.name}.html"].text


def test_a_box_of_the_map_holds_what_its_step_imports() -> None:
    for number, parts in PARTS.items():
        used = {name.number for name in sources.needs(TWELVE[number - 1])}
        assert used.issuperset(parts), number
    assert {*OUTERMOST, *(part for parts in PARTS.values() for part in parts)} == {
        step.number for step in TWELVE
    }


@pytest.mark.parametrize("step", TWELVE, ids=lambda step: step.name)
def test_the_map_says_where_the_reader_is(step: object, site: Path) -> None:
    name = getattr(step, "name", "")
    text = (site / f"{name}.html").read_text()
    shown = text.partition('<nav class="map"')[2].partition("</nav>")[0]
    found = re.findall(r'href="(\w+)\.html"( aria-current="page")?', shown)
    assert sorted(target for target, _ in found) == [each.name for each in TWELVE]
    assert [target for target, here in found if here] == [name]


def test_time_to_read_is_that_of_the_prose(tmp_path: Path) -> None:
    file = tmp_path / "chapter.md"
    file.write_text("word " * 2000 + "```sh\n" + "code " * 9000 + "```")
    assert reading(file) == 10
    file.write_text("<details>\n" + "word " * 9000 + "</details>")
    assert reading(file) == 5


@pytest.mark.full("pages in a browser")
def test_neighbours_are_called_by_their_titles(browser: Browser, site: Path) -> None:
    order = re.findall(r"\[(.*?)\]\((\w+)\.md\)", (BOOK / "src" / "SUMMARY.md").read_text())
    page = browser.new_page(java_script_enabled=False, viewport=DESKTOP)
    for place in (0, 1, len(order) // 2, len(order) - 1):
        page.goto((site / f"{order[place][1]}.html").as_uri())
        for way, side, neighbour in (
            ("previous", "after", place - 1),
            ("next", "before", place + 1),
        ):
            link = page.locator(f".nav-wrapper .{way}")
            if not 0 <= neighbour < len(order):
                assert not link.count()
                continue
            assert link.is_visible()
            shown = link.evaluate(f"(it) => getComputedStyle(it, '::{side}').content")
            assert shown == f'"{order[neighbour][0]}"'
    page.close()


def test_neighbours_are_read_out_by_their_titles(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport=DESKTOP)
    page.goto((site / "step_07.html").as_uri())
    assert page.get_by_role("link", name="Next chapter: Step 08: Transformer block").is_visible()
    page.close()


def test_titles_of_neighbours_fit_a_phone(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto((site / "step_02.html").as_uri())
    wide = "(it) => it.scrollWidth - it.clientWidth"
    assert page.locator("nav.nav-wrapper").evaluate(wide) == 0
    page.close()


@pytest.mark.full("pages in a browser")
def test_code_is_not_cut_on_a_desktop(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    cut = {}
    for chapter in CHAPTERS:
        page.goto((site / f"{chapter.stem}.html").as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((it) => it.open = true)")
        cut[chapter.stem] = page.evaluate(FIND_CUT)
    page.close()
    assert {name: found for name, found in cut.items() if found} == {}


def test_arrow_keys_in_wide_code_do_not_turn_the_page(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto((site / "step_07.html").as_uri())
    page.locator("main pre > code[tabindex]").first.press("ArrowRight")
    page.wait_for_timeout(100)
    assert page.url.endswith("step_07.html")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/step_08.html")
    page.close()


def test_paper_is_white_and_nothing_on_it_is_folded(browser: Browser, site: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto((site / "step_07.html").as_uri())
    folded = page.locator("details pre").last
    shown = "(it) => it.checkVisibility({ contentVisibilityAuto: true })"
    assert not folded.evaluate(shown)
    page.emulate_media(media="print")
    assert folded.evaluate(shown)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.close()


def test_a_link_to_the_book_has_a_picture(site: Path) -> None:
    picture = (site / "preview.png").read_bytes()
    assert struct.unpack(">II", picture[16:24]) == (1200, 630)
    for name in ("index.html", "step_07.html"):
        assert 'property="og:image" content="preview.png"' in (site / name).read_text()
    (icon,) = site.glob("favicon-*.svg")
    assert icon.read_text() == (BOOK / "theme" / "favicon.svg").read_text()


def test_a_published_book_knows_its_repository(published: Path, pages: dict[str, Page]) -> None:
    first, setup = (Page(published / name) for name in ("index.html", "setup.html"))
    assert targets(first).count(REPOSITORY) == 2  # the button, and the icon of the menu
    assert f"git clone {REPOSITORY} && cd a-course" in setup.text
    assert f"{REPOSITORY}/edit/main/book/src/setup.md" in targets(setup)
    assert f'content="{SITE}preview.png"' in (published / "setup.html").read_text()
    assert "in your clone" in pages["setup.html"].text
    assert "git clone" not in pages["setup.html"].text


def test_a_book_on_github_leads_to_hosted_notebooks(tmp_path: Path) -> None:
    for name in ("repository", "theme", "facts"):
        shutil.copytree(BOOK / name, tmp_path / name)
    name_repository.name("https://github.com/someone/a-course", SITE, tmp_path)
    hosted = "https://colab.research.google.com/github/someone/a-course/blob/main/book/notebooks"
    for step in all_steps():
        text = (tmp_path / "facts" / f"{step.name}.md").read_text()
        assert text.count(f"]({hosted}/{step.name}.ipynb)") == 1
        assert (BOOK / "notebooks" / f"{step.name}.ipynb").exists()
        assert "colab" not in (BOOK / "facts" / f"{step.name}.md").read_text()


def test_the_workflow_tells_the_book_where_it_is() -> None:
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text()
    for name in ("GIT_REPOSITORY_URL", "EDIT_URL_TEMPLATE", "SITE_URL"):
        assert f"MDBOOK_OUTPUT__HTML__{name}: " in workflow
    assert "python3 -m tools.book.name_repository" in workflow


def test_the_workflow_publishes_no_solution_in_the_index_of_the_search() -> None:
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text()
    steps = (
        "mdbook build book",
        "python3 -m tools.book.clear_index build/book",
        "upload-pages-artifact",
    )
    assert sorted(steps, key=workflow.index) == [*steps]
