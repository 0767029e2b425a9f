"""Where a page of the book is: built on this machine, or published."""

import tomllib

from tutor import ROOT

SITE = ROOT / "build" / "book"


def find_page(stem: str, anchor: str) -> tuple[str, str]:
    """The address of a place in the book, and what to show of it; nothing if there is no book.

    The published book is the documentation that pyproject.toml names.
    """
    place = f"{stem}.html#{anchor}"
    file = SITE / f"{stem}.html"
    if file.is_file():
        return f"{file.as_uri()}#{anchor}", f"{SITE.relative_to(ROOT)}/{place}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    published = project.get("urls", {}).get("Documentation", "").rstrip("/")
    return (f"{published}/{place}",) * 2 if published else ("", "")
