"""The book as pages for a browser, built by what pip brings, with a search of their own."""

import html
import itertools
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from tutor.book import chapters
from tutor.book.chapters import BOOK, Chapter
from tutor.course.registry import find_step

TEMPLATE = Path(__file__).with_name("page.html")
STYLES = ("pages", "course", "figures", "widgets", "live/live", "live/architecture", "look")
LIVE = (
    *("sampling", "tokenizer", "model", "gpt2", "llama", "weights", "worker"),
    *("text", "views", "writing", "boxes", "inside", "architecture", "live"),
)
SCRIPTS = (  # each before those that use it
    "search",
    "pages",
    "widgets/common",
    *(f"live/{name}" for name in LIVE),
)
TITLE = "GPT-2 from scratch on MAX"
INDEX = "search-index.js"
HEADING = re.compile(r'<h[1-6] id="([^"]+)">(.*?)</h[1-6]>', re.DOTALL)
UNSAID = re.compile(r"<(script|svg|math).*?</\1>|<[^<>]+>", re.DOTALL)
SOLUTION = "the-solution"  # the section that no search leads to


# Its address, the title of its chapter, its heading, its text, and the mistakes explained in it.
Section = tuple[str, str, str, str, list[str]]


class Renderer(RendererHTML):
    """Writes HTML in which a wide table scrolls by itself, not the page."""

    def table_open(self, *_: object) -> str:
        return '<div class="table-wrapper"><table>\n'

    def table_close(self, *_: object) -> str:
        return "</table></div>\n"


def build(site: Path) -> None:
    """Write all pages there, and what they need."""
    for name in (*(f"{style}.css" for style in STYLES), *(f"{script}.js" for script in SCRIPTS)):
        copy(BOOK / name, (site / name).parent)
    for file in (BOOK / "src").rglob("*.*"):
        if file.suffix != ".md":
            copy(file, site / file.parent.relative_to(BOOK / "src"))
    for file in (BOOK / "wide.js", BOOK / "theme" / "favicon.svg"):
        copy(file, site)
    template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True)
    parts = [
        (part, list(group))
        for part, group in itertools.groupby(chapters.contents(), lambda chapter: chapter.part)
    ]
    index: list[Section] = []
    for chapter in chapters.contents():
        content = render(chapter)
        index += sections(chapter, content)
        page = template.render(
            title=TITLE,
            here=chapter,
            parts=parts,
            neighbours=chapters.neighbours(chapter),
            content=content,
            styles=STYLES,
            scripts=SCRIPTS,
        )
        (site / f"{chapter.stem}.html").write_text(page, encoding="utf-8")
    found = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (site / INDEX).write_text(f"window.courseIndex = {found};\n", encoding="utf-8")


def copy(file: Path, folder: Path) -> None:
    """Copy a file into a folder, which need not be there."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def render(chapter: Chapter) -> str:
    """The HTML of a chapter's text, with the ids that mdBook gives."""
    reader = chapters.parser(Renderer)
    env: dict[str, Any] = {}
    tokens = reader.parse(chapters.source(chapter), env)
    name(tokens)
    for token in tokens:
        for part in token.children or []:
            if part.type == "link_open":
                link = str(part.attrGet("href"))
                part.attrSet("href", re.sub(r"^(\w+)\.md(?=#|$)", r"\1.html", link))
    reader.options["highlight"] = coloured
    written: str = reader.renderer.render(tokens, reader.options, env)
    return written


def sections(chapter: Chapter, content: str) -> Iterator[Section]:
    """What a search can find in a chapter, without the solution."""
    _, *parts = HEADING.split(content)
    mistakes = find_step(chapter.step.name).mistakes if chapter.step else ()
    for anchor, heading, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if anchor != SOLUTION:
            address = f"{chapter.stem}.html#{anchor}"
            here = [each.name for each in mistakes if f'id="{each.anchor}"' in body]
            yield address, chapter.title, words(heading), words(body), here


def words(content: str) -> str:
    """The text of HTML, in one line."""
    return " ".join(html.unescape(UNSAID.sub(" ", content)).split())


def name(tokens: Sequence[Token]) -> None:
    """Give each heading and each term of a list an id from its words."""
    seen: dict[str, int] = {}
    for token, content in itertools.pairwise(tokens):
        if token.type in ("heading_open", "dt_open"):
            words = "".join(part.content for part in content.children or [])
            found = slug(words)
            count = seen[found] = seen.get(found, -1) + 1
            token.attrSet("id", f"{found}-{count}" if count else found)


def slug(words: str) -> str:
    """An id as mdBook makes it."""
    return "".join(
        letter if letter.isalnum() or letter in "_-" else "-" * letter.isspace()
        for letter in words.lower()
    )


def coloured(code: str, language: str, _: str) -> str:
    """HTML of code, in colours; a session of Python is known by its prompt."""
    if language == "python" and code.startswith(">>>"):
        language = "pycon"
    if not language:
        return html.escape(code, quote=False)
    written: str = highlight(code, get_lexer_by_name(language), HtmlFormatter(nowrap=True))
    return written
