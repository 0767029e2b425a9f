"""`tutor book`: builds the book when that is due, opens it, or says what is missing."""

import os
import platform
import webbrowser
from pathlib import Path

import pytest

from tests.project.commands import run_here
from tutor import book

MDBOOK = """\
#!/bin/sh
# What mdbook does, in short: `mdbook build BOOK --dest-dir SITE`.
mkdir -p "$4" && echo built >> "$4/index.html"
"""
BROKEN_MDBOOK = "#!/bin/sh\necho 'ERROR no such chapter'\nexit 101\n"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course with a little book, an mdbook, and nothing else on the PATH than a shell's."""
    for name in book.SOURCES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "source").touch()
    packer = (tmp_path / book.PACKER.replace(".", "/")).with_suffix(".py")
    packer.parent.mkdir(parents=True)
    packer.touch()
    (tmp_path / "pixi.toml").write_text('[dependencies]\nmdbook = ">=9.8.6,<=9.8.7"\n')
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "SITE", tmp_path / "build" / "book")
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    give_mdbook(tmp_path, MDBOOK)
    return tmp_path


def give_mdbook(course: Path, script: str) -> None:
    program = course / "programs" / "mdbook"
    program.parent.mkdir(exist_ok=True)
    program.write_text(script)
    program.chmod(0o755)


def times_built(course: Path) -> int:
    """How often the book was built in all, after one more `tutor book`."""
    page = course / "build" / "book" / "index.html"
    finished = run_here("book", "--no-open")
    assert (finished.code, finished.out, finished.err) == (0, f"{page}\n", "")
    return len(page.read_text().splitlines())


def test_the_book_is_built_only_when_a_source_is_newer(course: Path) -> None:
    assert times_built(course) == 1
    assert times_built(course) == 1
    later = (course / "build" / "book" / "index.html").stat().st_mtime + 1
    os.utime(course / book.SOURCES[-1] / "source", (later, later))
    assert times_built(course) == 2


def test_what_was_built_needs_no_mdbook(course: Path) -> None:
    assert times_built(course) == 1
    (course / "programs" / "mdbook").unlink()
    assert times_built(course) == 1


def test_without_mdbook_a_line_says_how_to_get_it(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(course))
    finished = run_here("book")
    assert (finished.code, finished.out) == (3, "")
    (line,) = finished.err.splitlines()
    for advice in ("pixi run book", "cargo install mdbook --version 9.8.7 --locked"):
        assert advice in line


def test_what_mdbook_refuses_is_passed_on_in_a_line(course: Path) -> None:
    give_mdbook(course, BROKEN_MDBOOK)
    finished = run_here("book")
    assert (finished.code, finished.out) == (3, "")
    (line,) = finished.err.splitlines()
    assert "no such chapter" in line


@pytest.mark.parametrize(
    ("system", "screen", "arguments", "opens"),
    [
        ("Linux", "DISPLAY", (), True),
        ("Linux", "WAYLAND_DISPLAY", (), True),
        ("Linux", "BROWSER", (), True),
        ("Linux", "DISPLAY", ("--no-open",), False),
        ("Linux", None, (), False),
        ("Darwin", None, (), True),
    ],
)
def test_a_browser_is_opened_where_there_is_a_screen(
    course: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    screen: str | None,
    arguments: tuple[str, ...],
    opens: bool,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(platform, "system", lambda: system)
    for name in book.SCREENS:
        monkeypatch.delenv(name, raising=False)
    if screen:
        monkeypatch.setenv(screen, ":0")
    page = course / "build" / "book" / "index.html"
    finished = run_here("book", *arguments)
    assert (finished.code, finished.out) == (0, f"{page}\n")
    assert opened == [page.as_uri()] * opens
