"""The chapters of the book: their order, and their text with everything it includes."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from mdit_py_plugins.deflist import deflist_plugin

from tutor import ROOT
from tutor.course.names import Name, find_name
from tutor.errors import InputError

BOOK = ROOT / "book"
INCLUDE = re.compile(r"\{\{#include ([^}:]+)(?::(\w+))?\}\}")
ANCHOR = re.compile(r"^.*\bANCHOR(?:_END)?: \w+$\n?", re.MULTILINE)
MARKS = ("ANCHOR", "ANCHOR_END")
REMARK = re.compile(r"<!--.*?-->", re.DOTALL)
ENTRY = re.compile(r"^(?:- )?\[(?P<title>.+)\]\((?P<stem>\w+)\.md\)|^# (?P<part>.+)", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """A page of the book."""

    stem: str  # of its file
    title: str
    part: str  # of the book, or nothing for what comes before the parts

    @property
    def file(self) -> Path:
        return BOOK / "src" / f"{self.stem}.md"

    @property
    def step(self) -> Name | None:
        """The step that it is about, if it is."""
        return find_name(self.stem)

    @property
    def short(self) -> str:
        """What a command calls it: 7, e2, setup."""
        return self.step.short if self.step else self.stem


@functools.cache
def contents() -> tuple[Chapter, ...]:
    """All chapters in their order."""
    found, part = [], ""
    text = (BOOK / "src" / "SUMMARY.md").read_text(encoding="utf-8")
    for entry in ENTRY.finditer(text.partition("\n")[2]):
        part = entry["part"] or part
        if entry["stem"]:
            found.append(Chapter(entry["stem"], entry["title"], part))
    return tuple(found)


def find_chapter(name: str) -> Chapter:
    """The chapter called 7, e2 or setup. Raises InputError if there is none."""
    wanted = step.name if (step := find_name(name)) else name.lower().removesuffix(".md")
    for chapter in contents():
        if chapter.stem == wanted:
            return chapter
    raise InputError(f"the book has no chapter {name!r}; tutor read lists them all")


def neighbours(chapter: Chapter) -> tuple[Chapter | None, Chapter | None]:
    """The chapters before and after one."""
    place = contents().index(chapter)
    return (
        contents()[place - 1] if place else None,
        contents()[place + 1] if place + 1 < len(contents()) else None,
    )


def source(chapter: Chapter) -> str:
    """The Markdown of a chapter, with everything it includes, and without comments."""
    text = chapter.file.read_text(encoding="utf-8")

    def included(found: re.Match[str]) -> str:
        return include((chapter.file.parent / found[1]).resolve(), found[2])

    return REMARK.sub("", INCLUDE.sub(included, text))


def include(file: Path, anchor: str | None) -> str:
    """The text of a file, or the part of it that stands between the marks of an anchor."""
    text = file.read_text(encoding="utf-8")
    if anchor:
        begin, end = (re.compile(rf"^.*\b{mark}: {anchor}$\n?", re.MULTILINE) for mark in MARKS)
        text = end.split(begin.split(text)[1])[0]
        text = ANCHOR.sub("", text)
    return text.rstrip("\n")


def parser(renderer: type[RendererHTML] = RendererHTML) -> MarkdownIt:
    """What reads Markdown as mdBook does, as far as the chapters use it."""
    options = {"html": True, "typographer": True}
    rules = ["table", "replacements", "smartquotes"]
    return (
        MarkdownIt("commonmark", options, renderer_cls=renderer).enable(rules).use(deflist_plugin)
    )
