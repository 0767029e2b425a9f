"""A grade holds as long as no file that decides it has changed: which files these are."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tutor import ROOT
from tutor.grade import imports, marking
from tutor.processes import command

DECIDING = imports.files(*marking.CODE)
TUTOR = ROOT / "tutor"
# What `tutor check` prints and keeps, how exercises are made, and how submissions are found.
NOT_IN_GRADING = {
    *(TUTOR / "check" / "run.py", TUTOR / "course" / "stubs.py"),
    TUTOR / "course" / "parts.py",  # of pictures alone
    TUTOR / "runtime" / "columns.py",  # of the engine alone
    *(TUTOR / "grade" / "submissions" / f"{name}.py" for name in ("find", "looking", "tops")),
}


def loaded(*modules: str) -> set[Path]:
    """Our files that Python has loaded when it has imported these modules."""
    code = f"""
import sys, {", ".join(modules)}
print(*(m.__file__ for name, m in sys.modules.items() if name.startswith("tutor")), sep="\\n")
"""
    done = subprocess.run(command(code), capture_output=True, text=True, check=True)
    return set(map(Path, done.stdout.splitlines()))


def commands_in(tree: ast.Module) -> Iterator[str]:
    """The modules that texts import, as texts do that another process runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"(?:from|import) (tutor[\w.]*)", node.value)


@pytest.mark.full("commands in odd situations")
def test_what_runs_the_suites_and_the_code_decides() -> None:
    probes = "tutor.check.probes.modern"
    assert loaded("tutor.check.running", "tutor.check.suite", "tutor.grade.marking") <= DECIDING
    assert loaded("tutor.check.sandbox.worker", probes, "tutor.runtime.eager") <= DECIDING


@pytest.mark.parametrize(
    "place", ["check", "check/probes", "check/sandbox", "course", "grade/submissions", "runtime"]
)
def test_every_file_decides_of(place: str) -> None:
    assert set((TUTOR / place).glob("*.py")) - DECIDING - NOT_IN_GRADING == set()


@pytest.mark.parametrize("place", ["cli.py", "engine", "generate", "grade/report", "serve", "show"])
def test_no_file_decides_of(place: str) -> None:
    assert [file for file in DECIDING if file.is_relative_to(TUTOR / place)] == []


@pytest.mark.parametrize("file", sorted(DECIDING), ids=lambda file: str(file.relative_to(TUTOR)))
def test_no_import_is_hidden(file: Path) -> None:
    """Neither relative, nor made by a function, nor in a text that names another file."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.ImportFrom) and node.level)
        assert not (isinstance(node, ast.Name) and node.id == "__import__")
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            assert not any(isinstance(each, ast.Constant) for each in node.args)
    assert {imports.file_of(module) for module in commands_in(tree)} <= DECIDING


def test_an_edit_of_what_decides_makes_another_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, other = tmp_path / "tutor" / "deep", tmp_path / "tutor" / "other.py"
    files = [tmp_path / "tutor/__init__.py", package / "__init__.py", package / "er.py"]
    files.append(tmp_path / "tests" / "test_step_01.py")
    for file in (*files, other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("def later():\n    import tutor.deep.er\n")
    for module in (imports, marking):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(marking, "CODE", ("tutor",))
    digests = [marking.course_digest()]
    for file in files:
        file.write_text(f"{file.read_text()}# edited\n")
        digests.append(marking.course_digest())
    assert len(set(digests)) == 1 + len(files)
    other.write_text("# edited\n")
    assert marking.course_digest() == digests[-1]
