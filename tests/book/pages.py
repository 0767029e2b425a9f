"""The built pages, as an HTML parser reads them."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

TARGETS = {"href", "xlink:href", "src", "data", "poster"}
IN_STYLE = re.compile(r"""url\(\s*['"]?(.*?)['"]?\s*\)""")


@dataclass(frozen=True)
class Link:
    """What an element leads to, or loads."""

    tag: str
    target: str

    @property
    def is_inside(self) -> bool:
        """Whether it should be in the book."""
        return not re.match(r"[a-z]+:|//", self.target)

    @property
    def file(self) -> str:
        return unquote(urldefrag(self.target).url)

    @property
    def fragment(self) -> str:
        return unquote(urldefrag(self.target).fragment)


class Page(HTMLParser):
    """What matters of a page: its links, its ids, and its text without the scripts."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.ids: list[str] = []
        self.text = ""
        self.within = ""
        self.feed(file.read_text())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.within = tag
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in TARGETS and tag != "base":
                self.links.append(Link(tag, value or ""))
            else:
                self.links += [Link(tag, target) for target in IN_STYLE.findall(value or "")]

    def handle_endtag(self, tag: str) -> None:
        del tag
        self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within not in ("script", "style"):
            self.text += data


def find_pages(site: Path) -> dict[str, Page]:
    """All pages of a site by their file names."""
    return {file.name: Page(file) for file in sorted(site.glob("*.html"))}


def read_styles(site: Path) -> dict[Path, list[Link]]:
    """What each style sheet of a site loads."""
    return {
        file: [Link("style", target) for target in IN_STYLE.findall(file.read_text())]
        for file in sorted(site.rglob("*.css"))
    }
