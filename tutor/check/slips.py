"""Slips that an error of Python or of MAX gives away: what to write instead, in a sentence."""

import ast
import difflib
import functools
import itertools
import json
import re
from collections.abc import Iterator

from tutor.check.misfits import misfit
from tutor.check.sandbox.errors import CodeError
from tutor.check.sayings import SAID
from tutor.course import sources
from tutor.course.names import NAMES
from tutor.course.registry import EXERCISES

SIGNATURES = EXERCISES / "recorded" / "signatures.json"  # of MAX, by tools/course

# Where names come from that a step may lack.
IMPORTS = {
    "F": "from max.experimental import functional as F",
    "Tensor": "from max.experimental.tensor import Tensor",
    "DType": "from max.dtype import DType",
    "Linear": "from max.experimental.nn import Linear",
    "Embedding": "from max.experimental.nn import Embedding",
    "math": "import math",
    "np": "import numpy as np",
}
SHAPED = r"Tensor\.(ones|zeros|full|random|uniform)\("
CLOSE = 0.7  # of the letters of two names are alike if one is meant by the other


def slip(error: CodeError, reference: str) -> str:
    """What to write instead, if the error tells; the reference has the names that there are."""
    line = error.places[-1].text if error.places else ""
    return next(sentences(error, line, reference), "")


def sentences(error: CodeError, line: str, reference: str) -> Iterator[str]:
    """What fits, the surest first."""
    message = error.message
    called = re.search(r"\bF\.\w+", line)
    for pattern, sentence in SAID.items():
        if found := re.search(pattern, message):
            yield sentence.format(*found.groups(), call=called[0] if called else "It")
    if error.kind == "ValueError" and line.lstrip().startswith("raise "):
        yield (
            "This error is your own, and what it refuses here is right: look at its condition, and "
            "at what comes to it."
        )
    if error.kind == "TypeError" and not message and re.search(r"\b(if|while|and|or|not)\b", line):
        yield (
            "Python's if, and, or and not ask for one truth value, and a Tensor has one for each "
            "place; F.where chooses place by place."
        )
    yield from missing(error, line, reference)
    if "'int' object is not iterable" in message and (found := re.search(SHAPED, line)):
        yield f"A shape is a list: Tensor.{found[1]}([…])."
    yield from misfit(message, line)
    yield from configured(message, reference)
    yield from refused(error, line)
    yield from misspelled(message, line, reference)
    yield from miscalled(message, line, reference)


def missing(error: CodeError, line: str, reference: str) -> Iterator[str]:
    """Which entry or place there is not, or that a text holds more than JSON."""
    message = error.message
    if error.kind == "KeyError" and (found := re.fullmatch(r"'([\w.]+)'", message)):
        name, keys = found[1], {*re.findall(r"['\"]([\w.]+)['\"]", reference)}
        if name not in keys:
            yield from close(name, keys)
        if re.search(rf"\[(['\"]){re.escape(name)}\1\]", line):
            yield f"There is no {name} in it; .get({name!r}, default) allows for that."
    elif found := re.match(r"(tuple|list) index out of range", message):
        if re.search(r"\w\[", line):
            yield f"The {found[1]} has fewer entries than that; it may be empty."
        elif "axis=" in line:
            yield "The Tensor has no such axis."
    elif error.kind == "JSONDecodeError" and (found := re.search(r"\(char (\d+)\)", message)):
        yield f"From character {found[1]} on this is no JSON; hand over the JSON alone."


def configured(message: str, reference: str) -> Iterator[str]:
    """What an unknown name has to do with a configuration, or what something is made from."""
    if not (found := re.search(r"'(\w+)' object has no attribute '(\w+)'", message)):
        return
    owner, name = found.groups()
    made = own_signatures(reference)
    if f"{owner}.forward" in made and name in re.findall(r"\w+", made.get(owner, "")):
        yield f"{owner} gets {name} when it is made; self.{name} = {name} keeps it."
    configs = {each: fields for each, fields in own_fields().items() if each in reference}
    known = {field for fields in (configs or own_fields()).values() for field in fields}
    if fields := configs.get(owner):
        if name in fields:
            yield f"{owner} has no {name}; declare it, with its type."
        yield from close(name, {*fields})
        yield f"{owner} has no {name}, but {prose_of(fields)}."
    elif name in known and owner == "int":
        yield (
            f"{name} belongs to the configuration, but a number stands in its place; are two "
            "arguments the wrong way round?"
        )
    elif name in known and re.search(r"\bconfig\b", reference):
        yield f"{name} belongs to the configuration: config.{name}."


def refused(error: CodeError, line: str) -> Iterator[str]:
    """How a function of MAX is called that does not say what it refuses."""
    message, calls = error.message, {*re.findall(r"\bF\.\w+", line)} & signatures().keys()
    if len(calls) != 1:
        return
    (call,) = calls
    called = f"{call} is called like this: {call}({signatures()[call]})."
    if found := re.search(r"can not be created directly from an? '(\w+)'", message):
        yield f"A {found[1]} stands where a Tensor belongs. {called}"
    elif "'TensorValue' object is not iterable" in message and call in ("F.concat", "F.stack"):
        yield f"{call} takes one list of Tensors: {call}([one, other], axis=…)."
    elif error.kind == "AssertionError" and not message and "assert " not in line:
        yield called


def miscalled(message: str, line: str, reference: str) -> Iterator[str]:
    """How what is called has to be called, where the arguments do not fit."""
    if not re.search(r"argument", message):
        return
    found = re.match(r"(?:\S*<locals>\.)?(?:(\w+)\.)?(\w+)\(\) ", message)
    owner, name = found.groups() if found else (None, "")
    known = signatures() | own_signatures(reference)
    if owner and name in ("__init__", "forward"):
        name = owner if name == "__init__" else f"{owner}.forward"
    likely = [name, f"F.{name}", f"Tensor.{name}", f"nn.{name}"]
    if not found:  # MAX does not say what was called
        likely = list(dict.fromkeys(re.findall(r"\bF\.\w+", line)))
        likely = likely if len(likely) == 1 else []
    if fitting := [each for each in likely if each in known]:
        shown = fitting[0].removeprefix("nn.").removesuffix(".forward")
        yield f"It is called like this: {shown}({known[fitting[0]]})."
    elif owner and (counts := re.search(r"takes (\d+) .* but (\d+) w", message)):
        takes, given = map(int, counts.groups())
        if given == takes + 1:
            yield f"A method gets self before its other arguments; does {name} have it?"
    elif found and (lacking := re.findall(r"'(?!self)(\w+)'", message.partition("required")[2])):
        yield f"{name} also needs {prose_of(lacking)}."


@functools.cache
def signatures() -> dict[str, str]:
    """What is written between the parentheses, by the name of a function of MAX."""
    found: dict[str, str] = json.loads(SIGNATURES.read_text(encoding="utf-8"))
    return found


@functools.cache
def own_signatures(reference: str) -> dict[str, str]:
    """The same of what a reference defines, and of the steps that it imports."""
    found = {}
    used = [sources.reference(name) for name in sources.imported(reference)]
    for node in itertools.chain.from_iterable(ast.parse(text).body for text in (*used, reference)):
        if isinstance(node, ast.FunctionDef):
            found[node.name] = arguments(node)
        elif isinstance(node, ast.ClassDef):
            fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
            if fields and all(each.value for each in fields):  # a dataclass
                found[node.name] = ", ".join(
                    f"{ast.unparse(each.target)}={ast.unparse(each.value)}"
                    for each in fields
                    if each.value
                )
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name in ("__init__", "forward"):
                    known = node.name if item.name == "__init__" else f"{node.name}.forward"
                    found[known] = arguments(item)
    return found


@functools.cache
def own_fields() -> dict[str, list[str]]:
    """The fields and properties of the course's configurations, by class."""
    found: dict[str, list[str]] = {}
    for node in (node for name in NAMES for node in ast.parse(sources.reference(name)).body):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
            found[node.name] = [
                item.name if isinstance(item, ast.FunctionDef) else ast.unparse(item.target)
                for item in node.body
                if isinstance(item, ast.AnnAssign)
                or (isinstance(item, ast.FunctionDef) and item.decorator_list)
            ]
    return found


def arguments(function: ast.FunctionDef) -> str:
    """The arguments of a function without their types; self is not written."""
    bare = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(bare, ast.FunctionDef)
    for argument in (*bare.args.args, bare.args.vararg, *bare.args.kwonlyargs):
        if argument:
            argument.annotation = None
    bare.args.args = [each for each in bare.args.args if each.arg != "self"]
    return ast.unparse(bare.args)


def misspelled(message: str, line: str, reference: str) -> Iterator[str]:
    """What an unknown name was meant to be."""
    nodes = list(ast.walk(ast.parse(reference)))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    if found := re.search(r"name '(\w+)' is not defined", message):
        name = found[1]
        if name in IMPORTS:
            yield f"It has to be imported: {IMPORTS[name]}"
        if re.search(rf"\bself\.{name}\b", reference) and not re.search(rf"\.{name}\b", line):
            yield f"What belongs to the module is found through self: self.{name}."
        yield from close(name, {node.id for node in nodes if isinstance(node, ast.Name)})
    elif found := re.search(
        r"module 'max.experimental.functional' has no attribute '(\w+)'", message
    ):
        yield from close(found[1], attributes)
        used = sorted(set(re.findall(r"\bF\.\w+", reference)) - {"F.lazy"})
        enough = f"; {prose_of(used)} is all of F that the solution needs" if used else ""
        yield f"MAX has no F.{found[1]}{enough}."
    elif found := re.search(r"'Tensor' object has no attribute '(\w+)'", message):
        yield from close(found[1], attributes)
        if f"F.{found[1]}" in signatures():
            yield f"MAX has it as a function: F.{found[1]}({signatures()[f'F.{found[1]}']})."
        yield f"A Tensor of MAX has no {found[1]}."
    elif found := re.search(r"cannot import name '(\w+)' from '([\w.]+)'", message):
        known = {alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
        yield from close(found[1], known)
        yield f"{found[2]} has no {found[1]}; the imports at the top of the exercise are enough."
    elif found := re.search(r"has no attribute '(\w+)'", message):
        yield from close(found[1], attributes)
    elif found := re.search(r"unexpected keyword argument '(\w+)'", message):
        known = {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}
        yield from close(found[1], known)


def prose_of(names: list[str]) -> str:
    """Names in a sentence."""
    *most, last = names
    return f"{', '.join(most)} and {last}".removeprefix(" and ") if most else last


def close(name: str, known: set[str]) -> Iterator[str]:
    """The one known name that looks like this one."""
    letters = {plain(each): each for each in known - {name}}
    found = difflib.get_close_matches(plain(name), letters, n=2, cutoff=CLOSE)
    found += [each for each in letters if len(each) > 3 and each in plain(name)]
    found += [each for each in letters if len(name) > 3 and each.startswith(plain(name))]
    if found and (len({*found}) == 1 or found[0] == plain(name)):
        yield f"There is no {name}; is it {letters[found[0]]}?"


def plain(name: str) -> str:
    """A name without what people mix up in it."""
    return name.replace("_", "").lower()
