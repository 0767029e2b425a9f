"""Which files of this course a module runs on, read from what they import."""

import ast
from pathlib import Path

from tutor import ROOT


def files(*modules: str) -> set[Path]:
    """The files of these modules, and of all modules of `tutor` that they import, all the way."""
    waiting, found = list(modules), set[Path]()
    while waiting:
        module = waiting.pop()
        if (file := file_of(module)) and file not in found:
            found.add(file)
            waiting += [module.rpartition(".")[0], *imported(file)]
    return found


def file_of(module: str) -> Path | None:
    """The file of a module or package, if it is one of ours."""
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    is_ours = module.partition(".")[0] == "tutor"
    return next((file for file in files if is_ours and file.is_file()), None)


def imported(file: Path) -> list[str]:
    """What a file imports anywhere: modules, and names that may be modules."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
