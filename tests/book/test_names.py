"""The chapters and the course call everything by the same names."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.book.chapters import BOOK, CHAPTERS
from tutor import ROOT
from tutor.cli import app
from tutor.course.registry import Step, all_steps

STEPS = all_steps()
PIXI_TASKS = tomllib.loads((ROOT / "pixi.toml").read_text())["tasks"]
SECTIONS = [
    "The idea",
    "The equation",
    "An example by hand",
    "Shapes on the way",
    "What to use",
    "Your task",
    "Check it",
    "Mistakes that people make here",
    "Questions",
    "The solution",
    "What comes next",
]
BEYOND = ["Try this", "Check yourself"]  # before the last; test_exercises.py tells where
SUMMARY = (BOOK / "src" / "SUMMARY.md").read_text()

by_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
by_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)


def text_of(step: Step) -> str:
    return (ROOT / step.chapter).read_text()


@by_step
def test_a_chapter_has_the_title_of_its_step(step: Step) -> None:
    title = f"{step.label.capitalize()}: {step.title}"
    assert text_of(step).startswith(f"# {title}\n")
    assert f"[{title}]({step.name}.md)" in SUMMARY


@by_chapter
def test_a_chapter_is_listed_under_its_own_title(chapter: Path) -> None:
    title = chapter.read_text().partition("\n")[0].removeprefix("# ")
    assert f"[{title}]({chapter.name})" in SUMMARY


@by_step
def test_a_chapter_of_a_step_has_all_its_sections(step: Step) -> None:
    found = re.findall(r"^## (.+)$", text_of(step), re.MULTILINE)
    assert [section for section in found if section not in BEYOND] == SECTIONS
    assert found[-3:-1] == BEYOND or not {*BEYOND} & {*found}


@by_step
def test_a_chapter_includes_stub_solution_check_and_mistakes(step: Step) -> None:
    included = re.findall(r"\{\{#include \.\./(.+?)\}\}", text_of(step))
    assert {
        f"../{step.file('steps')}",
        f"../{step.file('solutions')}",
        f"facts/{step.name}.md",
        f"mistakes/{step.name}.md",
    } <= set(included)
    assert {f"transcripts/{step.name}.{kind}" for kind in ("html", "txt")} & set(included)
    assert any(name.startswith(f"examples/{step.name}.txt:") for name in included)
    assert any(name.startswith("figures/") for name in included)
    assert any(name.startswith("equations/") for name in included)


@by_step
def test_a_chapter_calls_mistakes_as_the_tutor_does(step: Step) -> None:
    section = text_of(step).partition("## Mistakes")[2].partition("\n## ")[0]
    named = re.findall(r'<b\s+id="(.+?)">(.+?)</b>', section, re.DOTALL)
    assert len(named) >= 3
    known = {(mistake.anchor, mistake.name) for mistake in step.mistakes}
    assert {(anchor, " ".join(name.split())) for anchor, name in named} <= known
    (example,) = [mistake for mistake in step.mistakes if mistake.name == step.example]
    assert example.is_in(text_of(step))


@by_step
def test_a_chapter_asks_and_answers(step: Step) -> None:
    section = text_of(step).partition("## Questions")[2].partition("\n## ")[0]
    assert section.count("<summary>") in (2, 3)


@by_chapter
def test_no_code_is_pasted(chapter: Path) -> None:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", chapter.read_text(), re.DOTALL | re.MULTILINE)
    pasted = [text for kind, text in fences if kind != "sh" and not is_include(text)]
    assert not pasted


def is_include(text: str) -> bool:
    return bool(re.fullmatch(r"(\{\{#include \S+\}\}\n)+", text))


@by_chapter
def test_commands_are_there(chapter: Path) -> None:
    text = chapter.read_text()
    commands = re.findall(r"(?:[`\n] *|uv run |python -m )tutor ([a-z]+)", text)
    assert set(commands) <= set(app.commands), "tutor has no such command"
    tasks = re.findall(r"pixi run (?:-e \w+ )?([\w-]+)", text)
    assert set(tasks) <= {*PIXI_TASKS, "tutor"}


@by_chapter
def test_commands_have_the_options_that_are_given_to_them(chapter: Path) -> None:
    for block in re.findall(r"^```sh\n(.*?)^```$", chapter.read_text(), re.DOTALL | re.MULTILINE):
        for line in re.findall(r"(?:uv|pixi) run (?:-\S+ \w+ )?tutor (.+)", block):
            name, *arguments = shlex.split(re.split(r"[|>]", line)[0], comments=True)
            app.commands[name].make_context(name, arguments)


@by_chapter
def test_names_of_max_are_there(chapter: Path) -> None:
    text = chapter.read_text()
    pattern = r"^\[`(\S+?)`\]: https://docs\.modular\.com/max/api/python/(\S+?)/#(\S+)$"
    references = re.findall(pattern, text, re.MULTILINE)
    assert len(references) == len(re.findall(r"^\[`.+\]: ", text, re.MULTILINE)), "a link is odd"
    for shown, page, name in references:
        assert find(name), name
        assert name.startswith(f"max.{page}."), name
        assert shown.split(".")[-1] == name.split(".")[-1], name
    spans = re.findall(r"`(F|Tensor)\.(\w+)", text)
    modules = {"F": "max.experimental.functional", "Tensor": "max.experimental.tensor.Tensor"}
    assert [name for of, name in spans if not find(f"{modules[of]}.{name}")] == []


def find(name: str) -> bool:
    """Whether MAX has something of this dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@by_chapter
def test_files_and_classes_that_are_named_are_there(chapter: Path) -> None:
    text = chapter.read_text()
    files = re.findall(
        r"`((?:steps|solutions|tests|tutor|tools|models|benchmarks|book|examples)/[\w./-]+)`", text
    )
    assert [name for name in files if not (ROOT / name).exists()] == []
    sources = "".join(path.read_text() for path in (ROOT / "solutions").glob("*.py"))
    classes = re.findall(r"`((?:Max)?GPT2\w+)", text)
    assert [name for name in classes if not re.search(rf"class {name}\b", sources)] == []
