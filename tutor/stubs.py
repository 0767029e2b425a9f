"""Stubs: the exercises, derived from the solutions."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tutor.course import NUMBERS, file_name, label, load_step, solution_source

MOST_COLUMNS = 100  # of a line

# Lines of a source: the first, the one after the last, and the indentation of what replaces them.
Region = tuple[int, int, str]


def derive(number: int, tree: str = "steps") -> str:
    """The stub of a step: its solution without the answers, whose comments become TODOs.

    Imports, signatures and docstrings stay. So does a statement outside of functions, unless an
    instruction stands above it.
    """
    source = solution_source(number, tree)
    lines, module = source.splitlines(), ast.parse(source)
    edits: list[tuple[Region, list[str]]] = []
    edits += [(region, []) for region in instructed_regions(module, lines)]
    for name, function in functions(module):
        if not is_declaration(function):
            region = body_region(function, lines)
            ending = f'{region[2]}raise NotImplementedError("{label(number)}: {name}")'
            edits.append((region, [ending]))
    for (first, end, indent), endings in sorted(edits, reverse=True):
        lines[first:end] = [*instructions(lines[first:end], indent), *endings]
    return with_header("\n".join(lines) + "\n", number)


def is_untouched(file: Path, number: int) -> bool:
    """Whether a learner's file is still the stub of its step."""
    return file.read_bytes() == derive(number).encode()


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module and the methods of its classes, with their full names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    yield f"{node.name}.{item.name}", item


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


def with_header(source: str, number: int) -> str:
    """The stub with what belongs to it in its docstring."""
    step = load_step(number)
    task = (
        f"Task:    fill in every TODO, and take out the line with NotImplementedError below it.\n"
        f"Chapter: {step.chapter}\n"
        f"Check:   pixi run {step.task}   or   uv run tutor check {step.short}\n"
    )
    return re.sub(r"\n\n(?=Source:)", f"\n\n{task}\n", source, count=1)


def unfinished(file: Path) -> str | None:
    """What keeps a step from being used by later ones, if anything.

    A private helper that is still a stub does not: the learner may have no need of it.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except FileNotFoundError:
        return "not there"
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        return f"not to be parsed, {line}{error.args[0]}"
    for name, function in functions(tree):
        private = re.search(r"(^|\.)_(?!_)", name)
        if not private and any(map(is_placeholder, ast.walk(function))):
            return "not finished"
    return None


def is_placeholder(node: ast.AST) -> bool:
    """Whether this is the line that ends the body of a function in a stub."""
    placeholder = r"raise NotImplementedError\('(step|engine) \d\d: "
    return isinstance(node, ast.Raise) and bool(re.match(placeholder, ast.unparse(node)))


def replaced_steps(root: Path, tree: str, number: int) -> dict[int, str]:
    """The steps before this one for which the reference has to stand in, and why."""
    if tree == "solutions":
        return {}
    found = {
        earlier: unfinished(root / file_name(tree, earlier))
        for earlier in NUMBERS
        if earlier < number
    }
    return {earlier: why for earlier, why in found.items() if why}
