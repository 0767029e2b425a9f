"""The project's own files: what pixi and the README promise, and what a solution may be."""

import ast
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import pytest

from tutor import ROOT, cli
from tutor.book import chapters
from tutor.course import sources
from tutor.course.names import NAMES
from tutor.course.registry import Step, all_steps
from tutor.engine.checkpoint import BUNDLED

PIXI_SCHEMA = ROOT.parent / "shared" / "data" / "pixi_schema.json"
README = (ROOT / "README.md").read_text()
STEPS = all_steps()
# Of a solution; the goal is 80. Step 12 spells out three signatures, engine 03 has padding, a model
# and its loop, modern 01 fourteen fields.
MOST_LINES = {"steps": 100, "engine": 190, "modern": 120, "text": 120}
MOST_STATEMENTS = 15  # of a function

by_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text())


PIXI_TASKS: dict[str, dict[str, Any]] = read_toml("pixi.toml")["tasks"]


def code_blocks(language: str, text: str = README) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [text for name, text in blocks if name == language]


@pytest.mark.skipif(not PIXI_SCHEMA.exists(), reason="the schema of pixi.toml is not shipped")
def test_pixi_toml_holds_against_the_schema_of_pixi() -> None:
    jsonschema.validate(read_toml("pixi.toml"), json.loads(PIXI_SCHEMA.read_text()))


def test_pixi_installs_this_package_on_machines_that_max_takes() -> None:
    pixi, project = read_toml("pixi.toml"), read_toml("pyproject.toml")["project"]
    package = pixi["pypi-dependencies"][project["name"]]
    assert package["path"] == "."
    assert package["editable"]
    assert set(package["extras"]) <= project["optional-dependencies"].keys()
    assert pixi["dependencies"]["python"] == "3.13.*"
    machines = {machine.pop("platform"): machine for machine in pixi["workspace"]["platforms"]}
    assert machines.keys() == {"linux-64", "linux-aarch64", "osx-arm64"}
    wheel = metadata.distribution("max").read_text("WHEEL") or ""
    if glibc := re.search(r"-manylinux_(\d+)_(\d+)_", wheel):
        assert (
            machines["linux-64"] == machines["linux-aarch64"] == {"glibc": ".".join(glibc.groups())}
        )


@pytest.mark.parametrize("name", PIXI_TASKS)
def test_the_commands_of_each_pixi_task_exist(name: str) -> None:
    for command in rendered(PIXI_TASKS[name]).split("&&"):
        program, *arguments = shlex.split(command)
        assert shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program == "tutor":
            parse(arguments)
        if program == "python":
            if arguments[0] == "-m":
                arguments = [f"{arguments[1].replace('.', '/')}.py"]
            is_module = arguments[0] == "-m"
            file = f"{arguments[1].replace('.', '/')}.py" if is_module else arguments[0]
            assert (ROOT / file).is_file()


def rendered(task: dict[str, Any], *given: str) -> str:
    """The command that pixi makes of a task and its words, or else of its example or defaults."""
    example = re.search(r"as in: pixi run \w+ (.*)", task["description"])
    if not given and example:
        given = tuple(shlex.split(example[1]))
    if "args" not in task:
        return " ".join([task["cmd"], *(f"'{word}'" for word in given)])  # whatever is in a word
    words, values = iter(given), {}
    for item in task["args"]:
        name, default = (item, "") if isinstance(item, str) else (item["arg"], item["default"])
        values[name] = next(words, default)
    return str(jinja2.Template(task["cmd"]).render(values))


@pytest.mark.parametrize(
    "text",
    ["The king's daughter", "'", "", 'She said: "No"', "$HOME `date` *", "a\\b\\", "{{ tree }}\n"],
)
def test_pixi_hands_a_text_on_as_it_is(text: str) -> None:
    assert shlex.split(rendered(PIXI_TASKS["generate"], text)) == ["tutor", "generate", text]
    shown = rendered(PIXI_TASKS["show"], "attention", text)
    assert shlex.split(shown) == ["tutor", "show", "attention", text]


def test_every_step_has_its_pixi_tasks() -> None:
    short = {f"{step.track.letter}{step.number}": step for step in STEPS}
    expected = {step.task: step for step in STEPS} | short
    found = {name: task for name, task in PIXI_TASKS.items() if re.fullmatch(r"[a-z]\d+", name)}
    assert found.keys() == expected.keys()
    for name, step in expected.items():
        assert rendered(found[name]) == f"tutor check {step.short} --tree steps"
        (argument,) = found[name]["args"]
        assert argument == {"arg": "tree", "default": "steps"}
    for step in STEPS:
        assert found[step.task]["description"] == f"Check {step.label}: {step.title}"


def parse(arguments: list[str]) -> None:
    """Have a `tutor` command line parsed, without running it; what is wrong raises."""
    command = cli.app.commands[arguments[0]]
    command.make_context(arguments[0], arguments[1:])


def test_every_tutor_command_in_the_readme_parses() -> None:
    lines = [line for block in code_blocks("sh") for line in block.splitlines()]
    commands = [line.split("tutor ", 1)[1] for line in lines if "tutor " in line]
    assert len(commands) >= 4
    for command in commands:
        parse(shlex.split(re.split(r"[|>]", command)[0], comments=True))


def test_every_pixi_command_in_the_readme_is_a_task_or_tutor_itself() -> None:
    tasks = re.findall(r"pixi run ([\w-]+)", README)
    assert len(tasks) >= 2
    assert set(tasks) <= PIXI_TASKS.keys() | {"tutor"}


def test_every_place_in_the_tree_of_contributing_exists() -> None:
    (tree,) = code_blocks("", (ROOT / "CONTRIBUTING.md").read_text())
    assert {"tutor/", "steps/", "solutions/", "tests/"} <= {
        line.split()[0] for line in tree.splitlines()
    }
    folder = ROOT
    for line in tree.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = ROOT / name
            assert folder.exists(), name
        else:
            assert (folder / name).exists(), name


def test_the_readme_is_read_in_a_minute_and_sends_nobody_to_raw_chapters() -> None:
    assert len(README.splitlines()) <= 125
    assert "book/src" not in README
    assert set(re.findall(r"tutor read (\w+)", README)) <= {c.short for c in chapters.contents()}


def test_every_link_in_the_readme_and_contributing_leads_somewhere() -> None:
    for text in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda folder: folder.name)
def test_a_model_card_tells_what_the_training_measured(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    report = json.loads((folder / "training.json").read_text())
    best = min(report["history"], key=lambda entry: entry["heldout_loss"])
    assert best["heldout_loss"] == pytest.approx(report["heldout_nats_per_token"], abs=1e-4)
    for words in (
        f"{report['heldout_nats_per_token']:.2f} nats per token",
        f"{report['heldout_nats_per_byte']:.3f} nats per byte",
        f"{report['parameters'] / 1e6:.1f} million parameters",
        f"{report['heldout_tokens']:,} tokens",
        f"{report['options']['steps']:,} steps",
        f"{best['step']:,}",
    ):
        assert words in card


def test_there_are_twelve_solutions() -> None:
    names = [path.name for path in sorted((ROOT / "solutions").glob("solution_*"))]
    assert names == [f"solution_{n:02}.py" for n in range(1, 13)]


@by_step
def test_a_solution_keeps_to_its_budget_of_lines(step: Step) -> None:
    source = sources.reference(step)
    assert len(source.splitlines()) <= MOST_LINES[step.track.name]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            inner = [item for item in ast.walk(node) if isinstance(item, ast.stmt)]
            assert len(inner) - 1 <= MOST_STATEMENTS, node.name


@by_step
def test_a_solution_imports_only_earlier_ones(step: Step) -> None:
    earlier = [each.module("solutions") for each in NAMES[: NAMES.index(step)]]
    imported = re.findall(r"\bsolutions\.\w+", sources.reference(step))
    assert set(imported) <= set(earlier)


@by_step
def test_every_comment_in_a_body_is_an_instruction_or_a_shape(step: Step) -> None:
    for line in sources.reference(step).splitlines():
        before, mark, comment = line.partition("  # ")
        if mark and before.strip():
            assert "[" in comment, f"{line!r}: beside code stands only a shape"
