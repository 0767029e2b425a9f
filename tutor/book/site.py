"""The book on this machine: built if it is out of date, and opened if there is a screen."""

import os
import platform
import shutil
import subprocess
import sys
import tomllib
import webbrowser
from pathlib import Path

from tutor import ROOT
from tutor.book import pages
from tutor.course.pages import SITE
from tutor.course.registry import Mistake, Step, all_steps
from tutor.errors import EnvironmentBrokenError, InputError, reason

SOURCES = ("book", "steps", "solutions")  # the chapters, and the code that they include
SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")  # how Linux says that there is one
PACKER = "tools.book.pack_model"  # writes the model that the pages run
CLEANER = "tools.book.clear_index"  # takes the solutions out of what mdbook's search reads
MOST_NAMED = 3  # of several mistakes that fit


def find(stem: str = "index") -> tuple[Path, str]:
    """A page of the book, built now if it is missing or older than its sources.

    Also returns what was wrong with mdbook, if it is here and could not build the book.
    """
    page, said = SITE / f"{stem}.html", ""
    if not page.exists() or page.stat().st_mtime < newest_source():
        said = renew()
    return page, said


def renew() -> str:
    """Build all pages, with mdbook if it is here; returns what was wrong with it."""
    said = ""
    if shutil.which("mdbook"):
        try:
            build(SITE)
            return said
        except EnvironmentBrokenError as error:
            said = f"{error}; these pages were built without it"
    new = SITE.with_name(f"{SITE.name}.new")
    for folder in (new, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    pack()
    pages.build(new)
    new.rename(SITE)
    return said


def newest_source() -> float:
    """When a source of the book last changed."""
    paths = (path for name in SOURCES for path in (ROOT / name).rglob("*"))
    return max(path.stat().st_mtime for path in paths if path.is_file() and path.suffix != ".pyc")


def pack() -> None:
    """Write the model that the pages run, unless it is there."""
    run_tool(PACKER)


def run_tool(*words: str) -> None:
    """Run one of the tools, which `tutor` does not import."""
    subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)  # noqa: S603


def build(site: Path) -> str:
    """Let mdbook write the site there; returns what mdbook printed."""
    pack()
    mdbook = shutil.which("mdbook") or ""
    command = [mdbook, "build", str(ROOT / "book"), "--dest-dir", str(site)]
    finished = subprocess.run(  # noqa: S603 (nothing in it comes from the user)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode:
        said = reason(RuntimeError(finished.stdout.rpartition("ERROR")[2]))  # the last one is fatal
        raise EnvironmentBrokenError(
            f"{mdbook} could not build the book, which is written for {mdbook_version()}: {said}"
        )
    run_tool(CLEANER, str(site.resolve()))
    return finished.stdout


def mdbook_version() -> str:
    """The newest version that the book is made for; pixi.toml names it, and nothing else does."""
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text(encoding="utf-8"))
    versions: str = pixi["dependencies"]["mdbook"]
    return versions.partition("<=")[2]


def find_mistake(words: str, among: list[Step] | None = None) -> tuple[Step, Mistake]:
    """The known mistake of this name, or the one whose name and description have these words."""
    known = [(step, mistake) for step in among or all_steps() for mistake in step.mistakes]
    wanted = words.lower()
    found = [each for each in known if wanted in (each[1].name.lower(), each[1].anchor)] or [
        each
        for each in known
        if all(word in f"{each[1].name} {each[1].says}".lower() for word in wanted.split())
    ]
    match found:
        case [one]:
            return one
        case []:
            raise InputError(f"no known mistake matches {words!r}; use the name that a check shows")
    ways = [f"tutor book {step.short} --mistake {mistake.anchor}" for step, mistake in found]
    others = f" and {len(ways) - MOST_NAMED} more" if len(ways) > MOST_NAMED else ""
    raise InputError(f"{words!r} fits several: {', '.join(ways[:MOST_NAMED])}{others}")


def show(address: str) -> None:
    """Open a page, but only with a screen: a browser in the terminal might wait for a key."""
    if platform.system() != "Linux" or any(map(os.environ.get, SCREENS)):
        webbrowser.open(address)
