"""The built book, and the programs that it takes to build it and to look at it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from tests.book.pages import Page, find_pages
from tutor import book

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


def lacking(reason: str) -> NoReturn:
    """Skip what needs a program that is not here; where CI is set, it has to be here."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the built book, and what mdbook said."""
    program, wanted = shutil.which("mdbook"), f"mdbook v{book.mdbook_version()}"
    if program is None:
        lacking(f"{wanted} is not here")
    found = subprocess.run(
        [program, "--version"], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    if found.stdout.strip() != wanted:
        lacking(f"{wanted} is not here, but {found.stdout.strip()}")
    folder = tmp_path_factory.mktemp("book")
    return folder, book.build(folder)


@pytest.fixture(scope="session")
def site(build: tuple[Path, str]) -> Path:
    """The folder of the built book."""
    return build[0]


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """The pages of the built book by their file names."""
    return find_pages(site)


@pytest.fixture(scope="session")
def chromium() -> str:
    """A browser."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if program := shutil.which(name):
            return program
    lacking("Chromium is not here")


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that looks for what keeps people out."""
    if not AXE.exists():
        lacking("axe-core is not here (npm install --prefix tests/book)")
    return AXE.read_text()
