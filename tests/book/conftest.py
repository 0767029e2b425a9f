"""The built book, and the programs that it takes to build it and to look at it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window. It ends with the module, since its loop would be in MAX's way."""
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    program = next(found, None)
    if program is None:
        lacking("Chromium is not here")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that looks for what keeps people out."""
    if not AXE.exists():
        lacking("axe-core is not here (npm install --prefix tests/book)")
    return AXE.read_text()
