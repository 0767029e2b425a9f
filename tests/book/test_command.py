"""`tutor book`: builds the book when that is due, opens it, or says what is missing."""

import os
import platform
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.style import Style

from tests.project.commands import run_here
from tutor.book import pages
from tutor.book import site as book
from tutor.check import report
from tutor.course import pages as places
from tutor.course.registry import all_steps, find_step

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
    for tool in ("tools.__init__", "tools.book.__init__", book.PACKER, book.CLEANER):
        file = (tmp_path / tool.replace(".", "/")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
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


@pytest.fixture
def own_pages(course: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first page as the course builds it itself, here in a word."""

    def build(site: Path) -> None:
        site.mkdir(parents=True)
        (site / "index.html").write_text("own\n")

    monkeypatch.setattr(pages, "build", build)
    return course / "build" / "book" / "index.html"


def test_without_mdbook_the_course_builds_the_pages(
    course: Path, own_pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(course))
    assert times_built(course) == 1
    assert own_pages.read_text() == "own\n"


def test_what_mdbook_refuses_is_passed_on_in_a_line_and_the_pages_are_built(
    course: Path, own_pages: Path
) -> None:
    give_mdbook(course, BROKEN_MDBOOK)
    finished = run_here("book", "--no-open")
    assert (finished.code, finished.out) == (0, f"{own_pages}\n")
    (line,) = finished.err.splitlines()
    assert "no such chapter" in line
    assert "written for 9.8.7" in line
    assert own_pages.read_text() == "own\n"


def test_a_chapter_and_a_mistake_have_their_addresses(course: Path) -> None:
    step = find_step("7")
    folder = course / "build" / "book"
    for arguments, place in (
        (["7"], "step_07.html"),
        (["setup"], "setup.html"),
        (["7", "--mistake", step.example], "step_07.html#scaled-by-the-width"),
        (["--mistake", "Scores n_embd head_dim (4.9)"], "step_07.html#scaled-by-the-width"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for page in ("step_07", "setup", "index"):
            (folder / f"{page}.html").touch()
        finished = run_here("book", "--no-open", *arguments)
        assert (finished.code, finished.out) == (0, f"{folder / place}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["8", "--mistake", "of frogs"], "no known mistake"),
        (["--mistake", "no mask"], "fits several"),
        (["frogs"], "no chapter 'frogs'"),
    ],
)
def test_what_the_book_does_not_have_is_one_line(
    course: Path, arguments: list[str], said: str
) -> None:
    del course
    finished = run_here("book", "--no-open", *arguments)
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert said in line


def test_every_mistake_has_an_anchor_of_its_own() -> None:
    for step in all_steps():
        for mistake in step.mistakes:
            assert book.find_mistake(mistake.anchor, [step]) == (step, mistake)
            assert book.find_mistake(mistake.name, [step]) == (step, mistake)


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


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, str]]:
    """What a check says about more on a mistake of step 07, and what it links to."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "SITE", tmp_path / "build" / "book")

    def say(name: str) -> tuple[str, str]:
        step = find_step("7")
        (mistake,) = [mistake for mistake in step.mistakes if mistake.name == name]
        lines = list(report.more_on(step, mistake))
        return "".join(line.plain for line in lines), "".join(
            line.style.link or "" for line in lines if isinstance(line.style, Style)
        )

    return say


def test_a_check_says_where_the_book_says_more(
    more: Callable[[str], tuple[str, str]], tmp_path: Path
) -> None:
    name, anchor = find_step("7").example, "step_07.html#scaled-by-the-width"
    command = "More on it: tutor book 7 --mistake scaled-by-the-width"
    assert more(name) == (command, "")
    published = "https://pages.example/a-course"
    urls = f'[project.urls]\nDocumentation = "{published}/"\n'
    (tmp_path / "pyproject.toml").write_text(f"[project]\n{urls}")
    assert more(name) == (f"More on it: {published}/{anchor}", f"{published}/{anchor}")
    site = tmp_path / "build" / "book"
    site.mkdir(parents=True)
    (site / "step_07.html").touch()
    assert more(name) == (f"More on it: build/book/{anchor}", f"{site.as_uri()}/{anchor}")


def test_a_check_is_silent_where_the_book_says_no_more(
    more: Callable[[str], tuple[str, str]],
) -> None:
    assert more("scaled twice") == ("", "")
