"""The built book, and the programs that it takes to build it and to look at it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as BrowserPage

from tests.book.pages import Page, find_pages
from tests.browsers import axe, browser, lacking
from tutor import runtime
from tutor.book import site as book

__all__ = ["axe", "browser"]  # fixtures for the tests here


def pytest_runtest_setup() -> None:
    """Undo what an earlier test may have done to Ctrl-C: it makes each eager operation slow."""
    runtime.trap_interrupts()


@pytest.fixture(scope="session", autouse=True)
def packed() -> None:
    """The model that pages run, which is not committed."""
    book.pack()


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


@pytest.fixture
def page(browser: Browser) -> Iterator[BrowserPage]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def quiet_page(page: BrowserPage) -> Iterator[BrowserPage]:
    """The page of a test, in which nothing may go wrong until the test is over."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """The pages of the built book by their file names."""
    return find_pages(site)
