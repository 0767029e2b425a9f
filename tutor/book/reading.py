"""A chapter in the terminal: its own Markdown, and in words what only a browser can show."""

import re
from collections.abc import Iterator
from html import unescape
from typing import ClassVar
from xml.etree import ElementTree as ET

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import CodeBlock, Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from tutor.book import chapters, maths
from tutor.book.chapters import Chapter

MOST_COLUMNS = 90  # of a text; longer lines are hard to read
CODE = "ansi_dark"  # in the terminal's own colours
SOLUTION = "The solution"  # the section that has it
# Legible on a light and on a dark ground.
THEME = Theme({"markdown.code": "cyan", "markdown.h2": "bold underline", "markdown.h3": "bold"})
LINKS = re.compile(r"^\[[^\]]+\]: \S+$", re.MULTILINE)  # where the links of a chapter lead to
TAG = re.compile(r"<(/?)(\w+)[^<>]*>")
BEGINNING = re.compile(r"(?:>>> |\.\.\. )? *(?:# *)?")  # of a line of code
CONTINUED = re.compile(r"\n *#   (?=\S)")  # between two lines of a TODO
FURTHER = 4  # columns that the rest of a long line of code is indented further
MARKS = {"em": "*", "i": "*", "b": "**", "strong": "**", "code": "`"}


class Hanging:
    """Lines of code; long ones continue below, indented further than they begin."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.text.split("\n", allow_blank=True):
            first = line.wrap(console, options.max_width)[0]
            yield first
            if left := line.plain[len(first.plain.rstrip()) :].lstrip():
                start = BEGINNING.match(line.plain)
                indent = re.sub(r"[>.]", " ", start[0][: options.max_width // 2] if start else "")
                indent += " " * FURTHER
                rest = line[-len(left) :].wrap(console, options.max_width - len(indent))
                yield from (Text(indent, style="dim") + each for each in rest)


class Code(CodeBlock):
    """A block of code whose long lines stay readable."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = CONTINUED.sub(" ", f"{self.text}".rstrip())
        syntax = Syntax("", self.lexer_name, theme=self.theme, word_wrap=True)
        yield Padding(Hanging(syntax.highlight(code)), 1)


class Chapters(Markdown):
    """Markdown in which code is readable at any width."""

    elements: ClassVar = {**Markdown.elements, "fence": Code, "code_block": Code}


class Reader:
    """Turns the parts of a chapter into what the terminal can show, one after the other."""

    def __init__(self, chapter: Chapter, *, unfold: bool) -> None:
        self.chapter = chapter
        self.unfold = unfold
        self.text = chapters.source(chapter)
        self.links = "\n".join(LINKS.findall(self.text))
        self.section = ""
        self.is_folded = self.has_folds = False

    @property
    def in_browser(self) -> str:
        """The command that opens this chapter."""
        return f"tutor book {self.chapter.short}"

    def parts(self) -> Iterator[RenderableType]:
        """All of it, from the title to the last line."""
        lines = self.text.splitlines()
        start = 0
        for token in chapters.parser().parse(self.text):
            if token.map and token.level == 0:
                first, end = token.map
                if token.type == "heading_open" or token.type == "html_block":
                    yield from self.markdown("\n".join(lines[start:first]))
                    start = first if token.type == "heading_open" else end
                if token.type == "heading_open":
                    self.section = lines[first].lstrip("# ")
                    if self.section == SOLUTION and self.chapter.step:
                        yield from self.markdown(lines[first])
                        yield Text(f"tutor solution {self.chapter.short} shows it beside yours.\n")
                        start = end
                elif token.type == "html_block":
                    yield from self.html(token)
        yield from self.markdown("\n".join(lines[start:]))

    def is_hidden(self) -> bool:
        """Whether what comes now is left out."""
        return self.is_folded and (self.section == SOLUTION or not self.unfold)

    def markdown(self, text: str) -> Iterator[RenderableType]:
        """A piece of Markdown, with what rich doesn't know of put in other words."""
        text = LINKS.sub("", text).strip()
        if not text or self.is_hidden():
            return
        text = re.sub(r"^(\S.*)\n+: ", r"**\1**  \n", text, flags=re.MULTILINE)  # a term
        text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)  # a link inside the book
        text = re.sub(r"<su([pb])>(.*?)</su[pb]>", moved, text)
        text = TAG.sub(lambda tag: MARKS.get(tag[2], "") if tag[2] in MARKS else tag[0], text)
        yield Chapters(f"{text}\n\n{self.links}", code_theme=CODE, hyperlinks=True)
        yield Text()

    def html(self, token: Token) -> Iterator[RenderableType]:
        """What stands there in HTML."""
        html = token.content.strip()
        if html.startswith("<details"):
            self.is_folded = True
            if self.section != SOLUTION:
                self.has_folds = True
                yield Text(f"{'▾' if self.unfold else '▸'} {words(html)}\n", style="bold")
        elif html.startswith("</details"):
            self.is_folded = False
        elif self.is_hidden() or html.startswith("<script"):
            return
        elif html.startswith("<pre"):
            yield from (terminal(html), Text())
        elif html.startswith('<div class="equation"'):
            yield Padding(Text(equation(html), style="bold"), (0, 0, 1, 4))
        elif html.startswith("<nav"):
            yield Text.assemble(("In the model: ", "dim"), (way(html), "bold"), "\n")
        elif html.startswith("<figure") and "</figure>" in html:
            figure, end, _ = html.partition("</figure>")  # a script may follow
            yield from (self.figure(ET.fromstring(figure + end)), Text())  # noqa: S314 (ours)
        elif text := words(html):
            yield Text(f"{text}\n", style="italic")

    def figure(self, figure: ET.Element) -> RenderableType:
        """A picture in words, and where it can be seen."""
        caption = spoken(figure.find("figcaption"))
        shown: list[RenderableType] = [Text(caption)]
        kind = "To try out" if "widget" in figure.get("class", "") else "Picture"
        if (table := figure.find("table")) is not None:
            shown += [Text(), tabular(table)]
        elif (said := spoken(figure.find("svg/desc")) or described(figure)) and said != caption:
            shown.append(Text(f"\n{said}", style="dim"))
        return Panel(
            Group(*shown),
            title=Text(f"{kind}: {title}" if (title := spoken(figure.find("svg/title"))) else kind),
            title_align="left",
            subtitle=f"{self.in_browser} shows it",
            subtitle_align="right",
            border_style="cyan",
        )


def read(chapter: Chapter, *, unfold: bool) -> RenderableType:
    """A chapter, and where to go from there."""
    reader = Reader(chapter, unfold=unfold)
    _, later = chapters.neighbours(chapter)
    parts = list(reader.parts())
    ways = [("Next", f"tutor read {later.short}", later.title)] if later else []
    if reader.has_folds and not unfold:
        ways.append(("Behind ▸", f"tutor read {chapter.short} --unfold", ""))
    ways.append(("In the browser", reader.in_browser, ""))
    table = Table.grid(padding=(0, 2, 0, 0))
    for why, command, title in ways:
        table.add_row(Text(why, style="dim"), Text(command, style="bold"), title)
    return Group(*parts, table)


def listing() -> RenderableType:
    """All chapters, each with what shows it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    part = ""
    for chapter in chapters.contents():
        if chapter.part != part:
            part = chapter.part
            table.add_row()
            table.add_row("", Text(part, style="bold"))
        table.add_row(Text(chapter.short, style="cyan"), chapter.title)
    return Group(table, Text("\ntutor read 7 shows one, tutor book 7 opens it in the browser."))


def words(html: str) -> str:
    """The text of HTML, in one line."""
    return " ".join(unescape(TAG.sub("", html)).split())


def spoken(element: ET.Element | None) -> str:
    """The text of an element, in one line; nothing if it isn't there."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def described(figure: ET.Element) -> str:
    """What is said in place of a picture that is a file."""
    image = figure.find(".//img")
    return image.get("alt", "") if image is not None else ""


def moved(found: re.Match[str]) -> str:
    """What is raised or lowered, as letters of that kind."""
    move = maths.raised if found[1] == "p" else maths.lowered
    return move(found[2].replace("*", ""))


def equation(html: str) -> str:
    """The text of all rows of an equation."""
    return "\n".join(map(maths.text_of, ET.fromstring(html)))  # noqa: S314 (it is ours)


def terminal(html: str) -> Hanging:
    """What a terminal has shown, in its colours."""
    text, styles = Text(), [""]
    for piece in re.split(r"(<[^<>]+>)", html):
        if piece.startswith("<span"):
            styles.append(piece.partition('class="')[2].partition('"')[0])
        elif piece == "</span>":
            styles.pop()
        elif not piece.startswith("<"):
            text.append(unescape(piece), style=styles[-1])
    text.rstrip()
    return Hanging(text)


def way(html: str) -> str:
    """The boxes of the map that the step is in, from the outermost to its own."""
    boxes: list[str] = []
    for tag in re.finditer(r"<li><a[^<>]*?( aria-current[^<>]*)?>([^<]+)</a>|</li>", html):
        if not tag[2]:
            boxes.pop()
            continue
        boxes.append(tag[2].strip())
        if tag[1]:
            break
    return " › ".join(boxes)


def tabular(table: ET.Element) -> Table:
    """A small table of HTML."""
    heads, *rows = [[spoken(cell) for cell in row] for row in table.iter("tr")]
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    shown.title, shown.title_justify = spoken(table.find("caption")), "left"
    for head in heads:
        shown.add_column(head)
    for row in rows:
        shown.add_row(*row)
    return shown
