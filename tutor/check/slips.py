"""Slips that an error of Python or of MAX gives away: what to write instead, in a sentence."""

import ast
import difflib
import functools
import json
import math
import re
from collections.abc import Iterator

from tutor.check.sandbox.errors import CodeError
from tutor.course import sources
from tutor.course.names import NAMES
from tutor.course.registry import EXERCISES

SIGNATURES = EXERCISES / "recorded" / "signatures.json"  # of MAX, by tools/course

# What people bring from PyTorch and NumPy, by what MAX says of it. A sentence may use the groups of
# its pattern, and {call}, the function that is called in the line.
SAID = {
    r"unexpected keyword argument '(keepdims?)'": (
        "MAX keeps the axis of a mean or a sum anyway; leave {0} out, and squeeze(axis) takes "
        "the axis away."
    ),
    r"unexpected keyword argument 'dim'": "MAX calls it axis, not dim.",
    r"missing a required argument: 'epsilon'": "MAX calls it epsilon, not eps.",
    r"Unary ops do not support non-max objects": (
        "{call} takes a Tensor; for a plain number use the math module, as math.sqrt."
    ),
    r"reshape\(\) takes 2 positional arguments": "reshape takes one list: x.reshape([a, b, c]).",
    r"permute\(\) takes 2 positional arguments": "permute takes one list: x.permute([0, 2, 1, 3]).",
    r"transpose\(\) (takes 3 positional|missing 1 required)": (
        "transpose swaps two axes, as in x.transpose(1, 2); x.permute([0, 2, 1, 3]) takes a "
        "list of all."
    ),
    r"Embedding\.__init__\(\) takes 2 positional": (
        "The width of an Embedding is given by name: Embedding(vocab_size, dim=n_embd)."
    ),
    r"LayerNorm\.__init__\(\) takes 2 positional": (
        "The epsilon of LayerNorm is given by name: LayerNorm(n_embd, eps=…)."
    ),
    r"GPT2MLP\.__init__\(\) takes 3 positional": (
        "GPT2MLP takes the inner width, then the config: GPT2MLP(config.n_inner, config)."
    ),
    r"int\(Dim\('(\w+)'\)\): Int conversions only supported for static": (
        "The size {0} is not known yet in a graph, so it cannot be an int; use it as it is, "
        "without int, range or NumPy."
    ),
    r"index into a list or NumPy array|'Dim' object cannot be interpreted as an integer": (
        "A length can be a symbol that only a running graph knows, so Python's range, lists and "
        "NumPy have no use for it; compute with Tensors, as Tensor.arange. Sizes of a head are in "
        "the config."
    ),
    r"'NoneType' object (?:has no attribute|is not|does not)|and 'NoneType'|'NoneType' and": (
        "Something in this line is None, by default or because a function without a return gives "
        "None."
    ),
    r"cannot unpack non-iterable NoneType": (
        "What is unpacked here is None: a function without a return gives None."
    ),
    r"between instances of '(?:tuple' and|\w+' and 'tuple')": (
        "One of the two is a tuple; a comma after a value makes one."
    ),
    r"Expected condition to be a boolean tensor": (
        "F.where takes the condition first, true or false for each place, then the value where it "
        "holds, then the other one."
    ),
    r"Invalid approximation method": (
        'F.gelu knows three words for approximate: "none", "tanh" and "quick".'
    ),
    r"cannot assign to field '(\w+)'": (
        "The dataclass is frozen, so that no field can be set, {0} neither; leave frozen out."
    ),
    r"object\.__init__\(\) takes exactly one argument": (
        "The constructor of Module takes no arguments: super().__init__()."
    ),
    r"Loaded tensor .*dtype=DType\.(\w+)\) not assignable to .*dtype=DType\.(?!\1)(\w+)": (
        "The weights are {0}, and the model has been made in {1}; make it in {0}."
    ),
    r"type object '(\w+)' has no attribute '(\w+)'": (
        "{0} is the class; only what is made of it has {1}: {0}(…)."
    ),
    r"dictionary changed size during iteration": (
        "A dict cannot grow or shrink while a loop walks through it; put what comes into a new one."
    ),
    r"invalid index to scalar variable": (
        "What is indexed here is a single number: an argmax or a sum without an axis is over "
        "everything."
    ),
    r"'(?!int)\w+' object has no attribute '(vocab_size|n_\w+|layer_norm_epsilon)'": (
        "{0} belongs to the configuration: config.{0}."
    ),
    r"'\w+' object has no attribute 'forward'": (
        "A model is called, model(x), and need not have a method forward."
    ),
    r"'\w+' object has no attribute '(eval|train)'": "A Module of MAX has no {0}; leave it out.",
    r"'\w*Path' object has no attribute 'read'": (
        "json.load takes an open file; of a path it is json.loads(path.read_text())."
    ),
    r"No such file or directory: \S+?(config\.json|\.safetensors|\.bin)": (
        'A model folder has config.json and model.safetensors; Path(path) / "…" joins the two.'
    ),
    r"rmo\.slice start index (-?\d+) out of range for dimension size (\d+)": (
        "A slice begins at {0}, on an axis that has {1} places."
    ),
    r"'int' object has no attribute '(vocab_size|n_\w+|layer_norm_epsilon)'": (
        "{0} belongs to the configuration, but a number stands in its place; are two arguments "
        "the wrong way round?"
    ),
    r"Split sizes must sum to .*axis\]=Dim\((\d+)\) != sum\(sizes=(\[.*?\])": (
        "The pieces {1} do not add up to the size of the axis, which is {0}. F.split works on "
        "axis 0 unless told otherwise."
    ),
    r"chunks=(\d+) must statically divide x\.shape\[axis\]=Dim\((\d+)\)": (
        "An axis of size {1} cannot be cut into {0} equal parts. F.chunk works on axis 0 unless "
        "told otherwise."
    ),
    r"[Pp]robabilities do not sum to 1": (
        "What is given as p has to sum to 1: divide the weights of a row by their sum."
    ),
    r"'Shape' object is not callable": "shape is no function: x.shape, without parentheses.",
    r"Unsupported dimension type .*float": "A size has to be a whole number: divide sizes with //.",
    r"has no attribute '(float(?:16|32|64)?|half|double|long|int|type|astype)'": (
        "MAX calls it cast: x.cast(DType.float32)."
    ),
    r"to\(\) expects Device.* got DType": (
        "to moves a Tensor to a device; x.cast(DType.float32) changes its type."
    ),
    r"DLPack only supports signed": (
        "A size that is read off a shape is no int; take it from the config."
    ),
    r"'(?:Static)?Dim' object is not iterable": (
        "F.split takes a list of sizes; F.chunk(x, 2, axis=-1) cuts an axis into two equal parts."
    ),
    r"Sequential\.forward\(\) takes 2 positional arguments": (
        "A Sequential hands a single value from layer to layer; go through the layers with for."
    ),
    r"has no attribute 'cat'": "MAX calls it F.concat.",
    r"'list' object has no attribute 'ids'": (
        "encode returns the list of ids itself; .ids is from another library's tokenizers."
    ),
    r"'Letters' object is not callable": (
        "A tokenizer isn't a function; call tokenizer.encode(text) to get the ids."
    ),
    r"Letters\.(\w+)\(\) got an unexpected keyword argument '(\w+)'": (
        "{0} of this tokenizer has no argument {1}; it takes a single one."
    ),
    r"'float' object cannot be interpreted as an integer": (
        "Python got a float but needs a whole number; are two arguments swapped?"
    ),
    r"has no attribute 'pow'": "Write x**2.",
    r"has no attribute 'view'": "MAX calls it reshape, and its shape is a list.",
    r"has no attribute 'var'": (
        "There is no var; take the mean of the squared distances from the mean."
    ),
    r"must be a TensorValueLike, not '(list|tuple)'": (
        "A {0} is no Tensor; make it of operations on Tensors, as Tensor.arange."
    ),
    r"gather index (-?\d+) is out of bounds for axis \d+ with size (\d+)": (
        "Number {0} is looked up where there are {1}. The ids of a table number its rows: axis 0."
    ),
    r"indices = TensorValue\(dtype=(float\d+|bfloat16)": (
        "A table is looked up by whole numbers, and {0} are not: have int64 here."
    ),
    r"Slice index value must be a scalar": (
        "A Tensor cannot be indexed by a Tensor; an Embedding, or F.gather, looks rows up."
    ),
    r"Unsafe cast from si(64|32) to f(64|32)": (
        "Whole numbers and float32 do not mix: give an arange a dtype, or cast one of the two."
    ),
}
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
MATMUL = re.compile(r"op 'MatmulOp'.*?shape=\[(.*?)\], .*?shape=\[(.*?)\],", re.DOTALL)
RESHAPE = re.compile(r"op 'ReshapeOp'.*?shape=\[(.*?)\], .*?new_shape = \[(.*?)\]\n", re.DOTALL)
BROADCAST = re.compile(r"\(shape (\[.*?\])\).*?\(shape (\[.*?\])\).*neither equivalent nor broad")
NUMPY_SHAPES = re.compile(r"could not be broadcast together with shapes (\(.*?\)) (\(.*?\))")
CONCAT = re.compile(r"Concat inputs differ on non-concat.*?shape=\[(.*?)\], .*?shape=\[(.*?)\],")
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
    if "'int' object is not iterable" in message and (found := re.search(SHAPED, line)):
        yield f"A shape is a list: Tensor.{found[1]}([…])."
    if found := MATMUL.search(message):
        yield from product(*map(sizes, found.groups()))
    yield from unlike(message)
    yield from misspelled(message, line, reference)
    yield from miscalled(message, line)


def sizes(shape: str) -> list[str]:
    """The sizes of a shape as MAX shows it."""
    return re.findall(r"Dim\('?([^()']+)'?\)", shape)


def unlike(message: str) -> Iterator[str]:
    """Why two tensors, or a tensor and a shape, do not fit together."""
    if found := NUMPY_SHAPES.search(message):
        long, short = sorted((re.findall(r"\d+", shape) for shape in found.groups()), key=len)[::-1]
        lost = any(long[:axis] + long[axis + 1 :] == short for axis in range(len(long)))
        yield f"Shapes {found[1]} and {found[2]} do not fit." + (
            " In NumPy a sum loses its axis; keepdims=True keeps it." if lost else ""
        )
    if found := CONCAT.search(message):
        one, other = (f"[{', '.join(sizes(shape))}]" for shape in found.groups())
        yield (
            f"F.concat joins along one axis, and all other sizes have to match; here they "
            f"are {one} and {other}."
        )
    if found := RESHAPE.search(message):
        old, new = map(sizes, found.groups())
        if all(size.isdigit() for size in old + new):
            counts = [math.prod(map(int, shape)) for shape in (old, new)]
            yield (
                f"A reshape keeps all numbers: [{', '.join(old)}] has {counts[0]} of them, "
                f"[{', '.join(new)}] has room for {counts[1]}."
            )
    elif found := BROADCAST.search(message):
        yield (
            f"Shapes {found[1]} and {found[2]} do not fit: counted from the end, two sizes have to "
            "be the same, or one of them 1."
        )


def miscalled(message: str, line: str) -> Iterator[str]:
    """How what is called has to be called, where the arguments do not fit."""
    if not re.search(r"argument", message):
        return
    found = re.match(r"(\w+)\.(\w+)\(\) |(\w+)\(\) ", message)
    name = found[found.lastindex or 1] if found else ""
    owner = found[1] if found else None
    known = signatures() | own_signatures()
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


@functools.cache
def signatures() -> dict[str, str]:
    """What is written between the parentheses, by the name of a function of MAX."""
    found: dict[str, str] = json.loads(SIGNATURES.read_text(encoding="utf-8"))
    return found


@functools.cache
def own_signatures() -> dict[str, str]:
    """The same of what the course's own steps define."""
    found = {}
    for name in NAMES:
        for node in ast.parse(sources.reference(name)).body:
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


def arguments(function: ast.FunctionDef) -> str:
    """The arguments of a function without their types; self is not written."""
    bare = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(bare, ast.FunctionDef)
    for argument in (*bare.args.args, *bare.args.kwonlyargs):
        argument.annotation = None
    bare.args.args = [each for each in bare.args.args if each.arg != "self"]
    return ast.unparse(bare.args)


def product(left: list[str], right: list[str]) -> Iterator[str]:
    """Why two tensors of these shapes have no matrix product."""
    if len(left) > 1 and len(right) > 1 and left[-1] != right[-2]:
        said = f"[…, {left[-2]}, {left[-1]}] @ […, {right[-2]}, {right[-1]}]"
        yield f"In {said} the last size of the left has to be the second to last of the right" + (
            "; transposed, the right one would fit." if left[-1] == right[-1] else "."
        )


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
    if found and (len({*found}) == 1 or found[0] == plain(name)):
        yield f"There is no {name}; is it {letters[found[0]]}?"


def plain(name: str) -> str:
    """A name without what people mix up in it."""
    return name.replace("_", "").lower()
