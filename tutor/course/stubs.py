"""Stubs: the exercises, derived from the solutions."""

import ast
import re
import textwrap
from pathlib import Path

from tutor.course import sources
from tutor.course.registry import Step

MOST_COLUMNS = 100  # of a line

# Lines of a source: the first, the one after the last, and the indentation of what replaces them.
Region = tuple[int, int, str]


def derive(step: Step, tree: str = "steps") -> str:
    """The stub of a step: its solution without the answers, whose comments become TODOs.

    Imports, signatures and docstrings stay. So does a statement outside of functions, unless an
    instruction stands above it.
    """
    source = sources.reference(step, tree)
    lines, module = source.splitlines(), ast.parse(source)
    edits: list[tuple[Region, list[str]]] = []
    edits += [(region, []) for region in instructed_regions(module, lines)]
    for name, function in sources.functions(module):
        if not is_declaration(function):
            region = body_region(function, lines)
            ending = f'{region[2]}raise NotImplementedError("{step.label}: {name}")'
            edits.append((region, [ending]))
    for (first, end, indent), endings in sorted(edits, reverse=True):
        lines[first:end] = [*instructions(lines[first:end], indent), *endings]
    return with_header("\n".join(lines) + "\n", step)


def is_untouched(file: Path, step: Step) -> bool:
    """Whether a learner's file is still the stub of its step."""
    return file.read_bytes() == derive(step).encode()


def is_declaration(function: ast.FunctionDef) -> bool:
    """Whether a function has nothing to fill in, as the methods of a protocol."""
    last = function.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)


def body_region(function: ast.FunctionDef, lines: list[str]) -> Region:
    """The body of a function after its docstring, with the comments in it."""
    if ast.get_docstring(function):
        first = function.body[0].end_lineno or 0
    else:
        first = start_with_comments(function.body[0], lines)
    return first, function.end_lineno or 0, " " * (function.col_offset + 4)


def instructed_regions(tree: ast.Module, lines: list[str]) -> list[Region]:
    """The statements of the module and of classes below an instruction, up to an empty line."""
    regions: list[Region] = []
    for owner in ast.walk(tree):
        for node in owner.body if isinstance(owner, ast.Module | ast.ClassDef) else []:
            first = start_with_comments(node, lines)
            within = any(first <= node.lineno - 1 < end for first, end, _ in regions)
            if first < node.lineno - 1 and not within and not isinstance(node, ast.FunctionDef):
                end = next(n for n in range(first, len(lines) + 1) if not lines[n].strip())
                regions.append((first, end, " " * node.col_offset))
    return regions


def start_with_comments(node: ast.stmt, lines: list[str]) -> int:
    """The line where a statement starts, the comments above it included."""
    first = node.lineno - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first


def instructions(lines: list[str], indent: str) -> list[str]:
    """The comments of a piece of a solution as TODOs, all of them with one indentation."""
    todos: list[str] = []
    continues = False
    for line in (line.strip() for line in lines):
        if line.startswith("#"):
            text = line.removeprefix("#")
            todos = [*todos[:-1], todos[-1] + text] if continues else [*todos, f"# TODO:{text}"]
        continues = line.startswith("#")
    width = MOST_COLUMNS - len(indent)
    wrapped = (textwrap.wrap(todo, width, subsequent_indent="#   ") for todo in todos)
    return [indent + line for lines in wrapped for line in lines]


def with_header(source: str, step: Step) -> str:
    """The stub with what belongs to it in its docstring."""
    task = (
        f"Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.\n"
        f"Chapter: uv run tutor read {step.short}   or   uv run tutor book {step.short}\n"
        f"Check:   pixi run {step.task}   or   uv run tutor check {step.short}\n"
    )
    return re.sub(r"\n\n(?=Source:)", f"\n\n{task}\n", source, count=1)
