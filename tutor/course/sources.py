"""The text of a step: whether it is finished, and which other steps it uses."""

import ast
import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Set
from pathlib import Path

from tutor import ROOT
from tutor.course.names import NAMES, Name, in_order, named
from tutor.course.tracks import TRACKS

# Beside what its solution imports: the suite of step 12 runs it on the model of step 10.
OBSERVED_WITH = {named("step_12"): {named("step_10")}}
BY_MODULE = {name.module(tree): name for name in NAMES for tree in ("steps", "solutions")}
PLACEHOLDER = rf"({'|'.join(track.word for track in TRACKS)}) \d\d: "


def reference(name: Name, tree: str = "solutions") -> str:
    """The reference of a step as text, importing from the tree that it is to be part of."""
    source = (ROOT / name.file("solutions")).read_text(encoding="utf-8")
    modules = {each.module("solutions"): each.module(tree) for each in NAMES}
    return re.sub(r"\bsolutions\.\w+", lambda found: modules.get(found[0], found[0]), source)


@functools.cache
def needs(name: Name) -> tuple[Name, ...]:
    """The other steps that the reference of a step, or its suite, uses, all the way down."""

    def uses(each: Name) -> Set[Name]:
        return imported(reference(each)) | OBSERVED_WITH.get(each, set())

    return tuple(in_order(follow(name, uses) - {name}))


def used(name: Name, root: Path = ROOT, *, like_reference: bool = True) -> dict[Name, bytes]:
    """The text of a learner's step, and of all that it uses; b"" if not there.

    Unless told otherwise, it counts as using what its reference does, too.
    """
    texts: dict[Name, bytes] = {}

    def uses(each: Name) -> Set[Name]:
        texts[each] = b""
        with contextlib.suppress(OSError):  # it may be on its way, as when an editor replaces it
            texts[each] = (root / each.file("steps")).read_bytes()
        own = imported(texts[each].decode(errors="replace"))
        return own.union(needs(each)) if like_reference else own

    return {each: texts[each] for each in in_order(follow(name, uses))}


def follow(name: Name, uses: Callable[[Name], Set[Name]]) -> set[Name]:
    """A step, what it uses, what that uses, and so on."""
    waiting, found = {name}, set[Name]()
    while waiting:
        each = waiting.pop()
        found.add(each)
        waiting |= uses(each) - found
    return found


@functools.cache
def imported(text: str) -> frozenset[Name]:
    """The steps that a text imports, in whatever way; none if it cannot be parsed."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    modules: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # A step is a module of its package: from . import step_01 is from steps import step_01.
            package = ".".join(filter(None, ("steps" * node.level, node.module)))
            modules |= {package, *(f"{package}.{alias.name}" for alias in node.names)}
    return frozenset(BY_MODULE[module] for module in modules & BY_MODULE.keys())


def stand_ins(name: Name, tree: str, root: Path = ROOT) -> dict[Name, str]:
    """The steps that a step uses and for which the reference has to stand in, and why."""
    if tree == "solutions":
        return {}
    found = {each: unfinished(root / each.file(tree)) for each in used(name, root) if each != name}
    return {each: why for each, why in found.items() if why}


def digests(name: Name, root: Path = ROOT) -> dict[str, str]:
    """A digest of each text that the verdict on a learner's step rests on, by its name.

    That is the suite, the step, and those that it uses, or their references as long as these stand
    in for them.
    """
    texts = {"suite": b"".join((ROOT / file).read_bytes() for file in (name.suite, name.registry))}
    replaced = stand_ins(name, "steps", root)
    for each, text in used(name, root).items():
        texts[each.name] = reference(each).encode() if each in replaced else text
    return {each: hashlib.sha256(text).hexdigest() for each, text in texts.items()}


def unfinished(file: Path) -> str | None:
    """What keeps a step from being used by others, if anything.

    A private helper that is still a stub does not: the learner may have no need of it.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except FileNotFoundError:
        return "not there"
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        return f"not to be parsed, {line}{error.args[0]}"
    except (RecursionError, MemoryError):
        return "not to be parsed, nested too deeply"
    for name, function in functions(tree):
        private = re.search(r"(^|\.)_(?!_)", name)
        if not private and any(map(is_placeholder, ast.walk(function))):
            return "not finished"
    return None


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module and the methods of its classes, with their full names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    yield f"{node.name}.{item.name}", item


def is_placeholder(node: ast.AST) -> bool:
    """Whether this is the line that ends the body of a function in a stub."""
    match node:
        case ast.Raise(
            exc=ast.Call(
                func=ast.Name(id="NotImplementedError"), args=[ast.Constant(value=str(words))]
            )
        ):
            return bool(re.match(PLACEHOLDER, words))
    return False
