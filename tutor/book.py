"""The book on this machine: built by mdbook, and opened in a browser where there is a screen."""

import os
import platform
import shutil
import subprocess
import sys
import tomllib
import webbrowser
from pathlib import Path

from tutor import ROOT
from tutor.errors import EnvironmentBrokenError, reason

SOURCES = ("book", "steps", "solutions")  # the chapters, and the code that they include
SITE = ROOT / "build" / "book"
PACKER = "tools.book.pack_model"  # writes the model that the pages run
SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")  # how Linux says that there is one


def find() -> Path:
    """The first page of the book, built now if it is missing or older than its sources."""
    page = SITE / "index.html"
    if not page.exists() or page.stat().st_mtime < newest_source():
        build(SITE)
    return page


def newest_source() -> float:
    """When a source of the book last changed."""
    paths = (path for name in SOURCES for path in (ROOT / name).rglob("*"))
    return max(path.stat().st_mtime for path in paths if path.is_file() and path.suffix != ".pyc")


def build(site: Path) -> str:
    """Have mdbook write the site there; returns what mdbook had to say."""
    mdbook = shutil.which("mdbook")
    if mdbook is None:
        raise EnvironmentBrokenError(
            "the book is built by mdbook, which is not found; run `pixi run book`, "
            f"or get it with `cargo install mdbook --version {mdbook_version()} --locked`"
        )
    subprocess.run([sys.executable, "-m", PACKER], cwd=ROOT, check=True)  # noqa: S603
    command = [mdbook, "build", str(ROOT / "book"), "--dest-dir", str(site)]
    finished = subprocess.run(  # noqa: S603 (nothing in it comes from the user)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode:
        said = reason(RuntimeError(finished.stdout.rpartition("ERROR")[2]))  # the last one is fatal
        raise EnvironmentBrokenError(
            f"{mdbook} could not build the book, which is written for {mdbook_version()}: {said}"
        )
    return finished.stdout


def mdbook_version() -> str:
    """The newest version that the book is made for; pixi.toml names it, and nothing else does."""
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text(encoding="utf-8"))
    versions: str = pixi["dependencies"]["mdbook"]
    return versions.partition("<=")[2]


def show(page: Path) -> None:
    """Open a page; without a screen nothing is started, since that might wait for a key."""
    if platform.system() != "Linux" or any(map(os.environ.get, SCREENS)):
        webbrowser.open(page.as_uri())
