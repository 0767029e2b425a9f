"""What editors and assistants find here: tasks, settings, a container, conventions, advice."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import editorconfig
import pytest

from tests.project.commands import SECONDS, run_child
from tutor import ROOT, cli
from tutor.course import sources
from tutor.course.registry import Step, all_steps, find_step

pytestmark = pytest.mark.full("commands in odd situations")

STEPS = all_steps()
BINARY = {".npz", ".png", ".safetensors", ".xz"}
RUN = "env $(test -d .pixi && echo pixi || echo uv) run "


def read_json(name: str) -> Any:
    return json.loads((ROOT / name).read_text())


TASKS: dict[str, dict[str, Any]] = {
    task["label"]: task for task in read_json(".vscode/tasks.json")["tasks"]
}
WATCH = TASKS["Watch a step"]
(STEP_INPUT,) = read_json(".vscode/tasks.json")["inputs"]


def parse(command: str) -> None:
    """Have the command line of a `tutor` command parsed, without running it; errors raise."""
    program, name, *arguments = shlex.split(command)
    assert program == "tutor"
    cli.app.commands[name].make_context(name, arguments)


# Tasks


def test_every_step_can_be_picked() -> None:
    expected = [
        {"label": f"{step.label.capitalize()}: {step.title}", "value": step.short} for step in STEPS
    ]
    assert STEP_INPUT["options"] == expected


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_each_task_runs_a_command_for_every_step(task: dict[str, Any]) -> None:
    assert task["command"].startswith(RUN)
    command = task["command"].removeprefix(RUN)
    for step in STEPS:
        words = {"${input:step}": step.short, "${fileBasenameNoExtension}": step.name}
        assert any(word in command for word in words)
        filled = command
        for word, value in words.items():
            filled = filled.replace(word, value)
        parse(filled)


def test_there_is_a_task_to_check_to_hint_and_to_watch() -> None:
    picked = [task["command"] for task in TASKS.values() if "${input:step}" in task["command"]]
    assert {command.split()[-2] for command in picked} == {"check", "hint", "watch"}
    default = [task for task in TASKS.values() if "isDefault" in task.get("group", {})]
    assert [task["label"] for task in default] == ["Check this step"]


@pytest.mark.parametrize("tool", ["uv", "pixi"])
def test_tasks_run_under_pixi_where_it_has_been_used_and_under_uv_elsewhere(
    tool: str, tmp_path: Path
) -> None:
    for name in ("uv", "pixi"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    if tool == "pixi":
        (tmp_path / ".pixi").mkdir()
    command = TASKS["Check this step"]["command"].replace("${fileBasenameNoExtension}", "step_07")
    for shell in filter(shutil.which, ("sh", "bash", "zsh", "fish")):
        path = f"{tmp_path}:{os.environ['PATH']}"
        finished = subprocess.run(
            [shutil.which(shell) or shell, "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        assert finished.stdout == f"{tool} run tutor check step_07\n"


# The problem matchers, as VS Code applies them: each of its patterns to a line, one below the other


def problems(text: str, matchers: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """What the matchers find in an output: file, line (0 for the whole file), and message."""
    found = []
    for lines in pairwise(text.splitlines()):
        for matcher in matchers:
            data: dict[str, Any] = {}
            matches = [
                re.search(pattern["regexp"], line)
                for pattern, line in zip(matcher["pattern"], lines, strict=True)
            ]
            for pattern, match in zip(matcher["pattern"], matches, strict=True):
                if match:
                    groups = {"file", "line", "message"} & pattern.keys()
                    data |= {name: match[pattern[name]].strip() for name in groups}
            if all(matches):
                assert ("line" in data) is (matcher["pattern"][0].get("kind") != "file")
                found.append((data["file"], int(data.get("line", 0)), data["message"]))
    return found


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learner's copy of the course, with all steps solved."""
    root = tmp_path_factory.mktemp("mein Kurs – ü")
    for name in ("tutor", "solutions", "steps"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copytree(
        ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("project", "book")
    )
    for step in STEPS:
        (root / step.file("steps")).write_text(sources.reference(step, "steps"))
    return root


SPLIT = "        batch, length, _ = x.shape\n"  # in a helper of step 07, which forward calls
ROOT_OF = "math.sqrt(self.head_dim)"


def line_of(text: str) -> int:
    source = sources.reference(find_step("7"), "steps")
    return source.partition(text)[0].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            SPLIT,
            "        batch, length, _ = y.shape\n",
            [("steps/step_07.py", line_of(SPLIT), "NameError: name 'y' is not defined")],
            id="crash",
        ),
        pytest.param(
            SPLIT,
            "        while True: pass\n",
            [("steps/step_07.py", line_of(SPLIT), "It took longer than 12 seconds.")],
            id="time-out",
        ),
        pytest.param(
            SPLIT,
            "        batch, length, _ = x.shape)\n",
            [("steps/step_07.py", line_of(SPLIT), "SyntaxError: unmatched ')'")],
            id="syntax",
        ),
        pytest.param(
            SPLIT,
            '        raise NotImplementedError("step 07: GPT2MultiHeadAttention._split_heads")\n',
            [
                (
                    "steps/step_07.py",
                    line_of(SPLIT),
                    "It is not written yet, or its last line still raises NotImplementedError.",
                )
            ],
            id="stub",
        ),
        pytest.param(
            ROOT_OF,
            "24",
            [("steps/step_07.py", 0, "Wrong: 6 of 7 checks pass, 12 of 16 points.")],
            id="wrong",
        ),
        pytest.param(ROOT_OF, ROOT_OF, [], id="right"),
    ],
)
def test_problems_lead_to_the_line_that_failed_or_to_the_file(
    course: Path, old: str, new: str, expected: list[tuple[str, int, str]]
) -> None:
    source = sources.reference(find_step("7"), "steps")
    assert source.count(old) == 1
    (course / "steps" / "step_07.py").write_text(source.replace(old, new))
    # What comes before the loop without an end takes a tenth of a second.
    limit = ["--timeout", "12"] if "while True" in new else []
    finished = run_child("check", "7", *limit, course=course)
    for task in TASKS.values():
        if task["problemMatcher"]:
            assert problems(finished.out, task["problemMatcher"]) == expected
        else:
            assert " hint " in task["command"]


def test_a_problem_of_an_earlier_step_leads_there(course: Path) -> None:
    source = sources.reference(find_step("2"), "steps")
    (course / "steps" / "step_02.py").write_text(source.replace("keys > queries", "keys > query"))
    (course / "steps" / "step_07.py").write_text(sources.reference(find_step("7"), "steps"))
    finished = run_child("check", "7", course=course)
    (course / "steps" / "step_02.py").write_text(source)
    line = source.partition("keys > queries")[0].count("\n") + 1
    ((file, at, message),) = problems(finished.out, WATCH["problemMatcher"])
    assert (file, at) == ("steps/step_02.py", line)
    assert message.startswith("NameError: name 'query' is not defined")


def test_the_task_that_watches_knows_when_a_check_begins_and_ends() -> None:
    assert WATCH["isBackground"]
    assert WATCH["presentation"]["focus"]  # so that keys reach it
    source = (ROOT / "tutor" / "learn" / "watch.py").read_text()
    for matcher in WATCH["problemMatcher"]:
        background = matcher["background"]
        assert re.search(background["beginsPattern"], "Checking …\rChecked steps/step_07.py: step")
        ends = re.findall(r"\w[\w ]+?(?=\||\))", background["endsPattern"])
        assert len(ends) == 3
        for words in ends:
            # Its own lines are never those of a problem, which would be passed over.
            assert f"{words} " in source
            assert not re.match(background["endsPattern"], "Next: fix steps/step_07.py")


# Settings


def test_the_tests_that_the_editor_shows_are_the_checks_of_the_steps() -> None:
    settings = read_json(".vscode/settings.json")
    assert settings["python.testing.pytestEnabled"]
    arguments = settings["python.testing.pytestArgs"]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT,
        env=dict(os.environ),  # MAX changes the environment behind it
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    expected = {f"{step.suite}::test_{check.name}" for step in STEPS for check in step.checks}
    assert {line for line in finished.stdout.splitlines() if "::" in line} == expected


def test_the_container_has_the_same_python_and_extensions() -> None:
    container = read_json(".devcontainer/devcontainer.json")
    dockerfile = (ROOT / ".devcontainer" / container["build"]["dockerfile"]).read_text()
    pixi = tomllib.loads((ROOT / "pixi.toml").read_text())
    assert f"FROM python:{pixi['dependencies']['python'].removesuffix('.*')}-" in dockerfile
    assert "pip install --no-cache-dir uv" in dockerfile
    home = f"/home/{container['remoteUser']}"
    assert re.search(rf"useradd .* {container['remoteUser']}$", dockerfile, re.MULTILINE)
    environment = container["containerEnv"]["UV_PROJECT_ENVIRONMENT"]
    assert environment.startswith(f"{home}/")
    assert container["remoteEnv"]["PATH"].split(":")[0] == f"{environment}/bin"
    editor = container["customizations"]["vscode"]
    assert editor["settings"] == {"python.defaultInterpreterPath": f"{environment}/bin/python"}
    assert editor["extensions"] == read_json(".vscode/extensions.json")["recommendations"]


# Conventions


def tracked() -> list[Path]:
    """The text files of the repository."""
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    listed = subprocess.run(
        [git, "ls-files", "-z"], cwd=ROOT, env=dict(os.environ), capture_output=True, check=True
    )
    files = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [file for file in files if file.suffix not in BINARY and file.is_file()]


def faults(file: Path) -> Iterator[str]:
    """What an editor with these settings would change in a file."""
    rules, content = editorconfig.get_properties(str(file)), file.read_bytes()
    text = content.decode(rules["charset"])
    if rules["end_of_line"] == "lf" and b"\r" in content:
        yield "a carriage return"
    if rules["insert_final_newline"] == "true" and content and not text.endswith("\n"):
        yield "no newline at the end"
    lines = text.split("\n")
    if rules["trim_trailing_whitespace"] == "true" and any(line != line.rstrip() for line in lines):
        yield "spaces at the end of a line"
    if rules["indent_style"] == "space" and any(line.startswith("\t") for line in lines):
        yield "a tab"


def test_the_files_are_as_the_editorconfig_has_them() -> None:
    found = {str(file): list(faults(file)) for file in tracked()}
    assert {file: words for file, words in found.items() if words} == {}


def test_the_editorconfig_agrees_with_ruff() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    for step in STEPS:
        rules = editorconfig.get_properties(str(ROOT / step.file("steps")))
        assert int(rules["max_line_length"]) == ruff["line-length"]
        assert int(rules["indent_size"]) == ruff.get("indent-width", 4)
        assert rules["indent_style"] == ruff.get("format", {}).get("indent-style", "space")


# Advice for assistants

ADVICE = (ROOT / "AGENTS.md").read_text()


def test_every_command_and_file_in_the_advice_for_assistants_exists() -> None:
    quoted = re.findall(r"`([^`]+)`", ADVICE)
    commands = [text for text in quoted if text.startswith("tutor ")]
    assert len(commands) >= 4
    for command in commands:
        parse(command)
    places = [text for text in quoted if "/" in text and " " not in text]
    assert len(places) >= 8
    for place in places:
        assert (ROOT / place).exists(), place
    for target in re.findall(r"\]\(([^)]+)\)", ADVICE):
        assert (ROOT / target).exists()


def test_the_letters_for_assistants_are_those_of_the_course() -> None:
    legend = (ROOT / "solutions" / "__init__.py").read_text()
    letters = re.findall(r"(?:^|\s)([A-Z])  \w", legend)
    told = ADVICE.partition("In shapes, ")[2].partition(".")[0]
    assert set(re.findall(r"\b([A-Z])\b(?! /)", told)) >= set(letters) >= set("BTCHDVL")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_solution_stands_at_the_end_of_a_chapter_alone(step: Step) -> None:
    chapter, _, end = (ROOT / step.chapter).read_text().partition("\n## The solution\n")
    assert step.file("solutions") in end
    assert "#include ../../solutions" not in chapter
