"""A browser without a window, and the script that looks for what shuts readers out.

Suites import the fixtures into their conftest.py, or where they use them.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

AXE = Path(__file__).parent / "book" / "node_modules" / "axe-core" / "axe.min.js"


def lacking(reason: str) -> NoReturn:
    """Skip what needs a program that is not here; where CI is set, it has to be here."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI is set")
    pytest.skip(reason)


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
