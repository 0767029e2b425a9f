"""mdbook builds the book without a complaint, and nothing in it leads nowhere."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.book.chapters import BOOK, CHAPTERS, EXAMPLES, TRIES
from tests.book.pages import Page, find_pages, read_styles
from tools.book import clear_index
from tutor import ROOT
from tutor.book import site as book

Pages = dict[str, Page]
SUMMARY = (BOOK / "src" / "SUMMARY.md").read_text()
INCLUDE = re.compile(r"\{\{#include (.*?)\}\}")


def test_mdbook_has_nothing_to_complain_about(build: tuple[Path, str]) -> None:
    _, said = build
    assert not re.search(r"\b(WARN|ERROR)", said), said


def test_every_chapter_is_in_the_summary() -> None:
    assert Counter(re.findall(r"\]\((.*?)\)", SUMMARY)) == Counter(p.name for p in CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_what_a_chapter_includes_is_there(chapter: Path) -> None:
    # mdbook keeps silent about an anchor that is not there, and `tutor book` looks at dates.
    for included in INCLUDE.findall(chapter.read_text()):
        name, _, anchor = included.partition(":")
        file = (chapter.parent / name).resolve()
        assert file.relative_to(ROOT).parts[0] in book.SOURCES
        assert file.is_file()
        assert not anchor or re.search(rf"ANCHOR: {anchor}$", file.read_text(), re.MULTILINE)


def test_no_directive_is_left_over(pages: Pages) -> None:
    assert [name for name, page in pages.items() if "{{#" in page.text] == []


def test_every_link_inside_the_book_leads_to_something(site: Path, pages: Pages) -> None:
    assert dead_links(site, pages) == []


def dead_links(site: Path, pages: Pages) -> list[str]:
    dead = []
    for name, page in pages.items():
        for link in page.links:
            target = pages.get(link.file) if link.file else page
            there = target or (link.file and (site / link.file).is_file())
            is_state = link.fragment.startswith("live&")  # of a live figure, see book/live/live.js
            lacks = link.fragment and not is_state and not (target and link.fragment in target.ids)
            if link.is_inside and (not there or lacks):
                dead.append(f"{name}: {link.target}")
    return dead


def test_a_dead_link_would_be_found(tmp_path: Path) -> None:
    links = ["a.html", "a.html#one", "#one", "a.html#two", "#two", "b.html", "../a.html", ""]
    body = "".join(f'<a href="{target}">x</a>' for target in links)
    (tmp_path / "a.html").write_text(
        f'<p id="one">{body}<img src="c.svg"><script>"<a href=d>"</script>'
        '<svg><path marker-end="url(#three)" fill="url(#one)"/><use href="#four"/></svg>'
    )
    found = [line.removeprefix("a.html: ") for line in dead_links(tmp_path, find_pages(tmp_path))]
    assert found == ["a.html#two", "#two", "b.html", "../a.html", "c.svg", "#three", "#four"]


def test_an_id_is_there_once(pages: Pages) -> None:
    for name, page in pages.items():
        assert [found for found, count in Counter(page.ids).items() if count > 1] == [], name


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: Pages) -> None:
    for name, page in pages.items():
        for link in page.links:
            if not link.is_inside and not link.target.startswith("data:"):
                assert link.tag == "a", (name, link)
                assert link.target.startswith(("https://", "mailto:")), (name, link)
    for file, links in read_styles(site).items():
        assert "@import" not in file.read_text()
        for link in links:
            is_there = link.is_inside and (file.parent / link.file).is_file()
            assert link.target.startswith("data:") or is_there, (file, link)


def test_the_search_index_has_every_chapter(site: Path) -> None:
    (index,) = site.glob("searchindex*.js")
    start = index.read_text().partition("JSON.parse('")[2].rpartition("'")[0]
    found = {url.partition("#")[0] for url in re.findall(r'"([\w-]+\.html#[^"]*)"', start)}
    assert found == {f"{chapter.stem}.html" for chapter in CHAPTERS}


def test_the_search_index_has_no_solution(site: Path) -> None:
    (index,) = site.glob("*searchindex*")
    quoted = clear_index.QUOTED.search(index.read_text())
    assert quoted
    content = json.loads(re.sub(r"\\([\\'])", r"\1", quoted[0]))
    docs = content["index"]["documentStore"]["docs"]
    assert len(docs) > 2 * len(CHAPTERS)
    assert lines_of_solutions_in(" ".join(found["body"] for found in docs.values())) == []
    used = {ref for words in content["index"]["index"].values() for ref in refs(words["root"])}
    assert used <= docs.keys()


def refs(node: dict[str, Any]) -> set[str]:
    """The documents that a node of the tree of words leads to."""
    below = (refs(child) for letter, child in node.items() if letter not in ("df", "docs"))
    return {*node["docs"]}.union(*below)


def lines_of_solutions_in(text: str) -> list[str]:
    """The long lines of solutions that a text has, but for comments and what chapters show."""
    shown = "".join(chapter.read_text() for chapter in CHAPTERS)
    shown += "".join(file.read_text() for file in (ROOT / "steps").glob("*.py"))
    shown += "".join(file.read_text() for file in (*EXAMPLES, *TRIES))
    lines = {line.strip() for file in (ROOT / "solutions").glob("*_*.py") for line in file.open()}
    hidden = {line for line in lines if len(line) > 40 and line[0] != "#" and line not in shown}
    assert len(hidden) > 200
    bare = "".join(text.split())
    return [line for line in hidden if "".join(line.split()) in bare]


def test_the_page_to_print_has_every_chapter(pages: Pages) -> None:
    for chapter in CHAPTERS:
        assert chapter.read_text().partition("\n")[0].removeprefix("# ") in pages["print.html"].text


def test_every_mention_of_a_version_of_mdbook_is_that_of_pixi_toml() -> None:
    pinned = book.mdbook_version()
    assert re.fullmatch(r"\d+\.\d+\.\d+", pinned)
    mention = re.compile(r"mdbook[\s`=@]*(?:--version |v)?(\d+\.[\d.]*\d)", re.IGNORECASE)
    folders = [".ci", ".github", "book", "tutor", "tools"]
    files = [file for name in folders for file in (ROOT / name).rglob("*.*") if file.is_file()]
    for file in [*files, ROOT / ".ci" / "run", *ROOT.glob("*.md"), *ROOT.glob("*.toml")]:
        for version in mention.findall(file.read_text(errors="replace")):
            assert f"{pinned}.".startswith(f"{version}."), file
