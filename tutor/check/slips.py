"""Slips that an error of Python or of MAX gives away: what to write instead, in a sentence."""

import ast
import difflib
import re
from collections.abc import Iterator

from tutor.check.sandbox.errors import CodeError

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
    r"'Shape' object is not callable": "shape is no function: x.shape, without parentheses.",
    r"Unsupported dimension type .*float": "A size has to be a whole number: divide sizes with //.",
    r"has no attribute 'cat'": "MAX calls it F.concat.",
    r"has no attribute 'pow'": "Write x**2.",
    r"has no attribute 'view'": "MAX calls it reshape, and its shape is a list.",
    r"has no attribute 'var'": (
        "There is no var; take the mean of the squared distances from the mean."
    ),
    r"must be a TensorValueLike, not '(list|tuple)'": (
        "A {0} is no Tensor; make it of operations on Tensors, as Tensor.arange."
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
CLOSE = 0.7  # of the letters of two names are alike if one is meant by the other


def slip(error: CodeError, reference: str) -> str:
    """What to write instead, if the error tells; the reference has the names that there are."""
    line = error.places[-1].text if error.places else ""
    return next(sentences(error.message, line, reference), "")


def sentences(message: str, line: str, reference: str) -> Iterator[str]:
    """What fits, the surest first."""
    called = re.search(r"\bF\.\w+", line)
    for pattern, sentence in SAID.items():
        if found := re.search(pattern, message):
            yield sentence.format(*found.groups(), call=called[0] if called else "It")
    if "'int' object is not iterable" in message and (found := re.search(SHAPED, line)):
        yield f"A shape is a list: Tensor.{found[1]}([…])."
    if found := MATMUL.search(message):
        yield from product(*(re.findall(r"Dim\('?([^()']+)'?\)", found[side]) for side in (1, 2)))
    yield from misspelled(message, line, reference)


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
    if found := re.search(r"name '(\w+)' is not defined", message):
        name = found[1]
        if name in IMPORTS:
            yield f"It has to be imported: {IMPORTS[name]}"
        if re.search(rf"\bself\.{name}\b", reference) and not re.search(rf"\.{name}\b", line):
            yield f"What belongs to the module is found through self: self.{name}."
        yield from close(name, {node.id for node in nodes if isinstance(node, ast.Name)})
    elif found := re.search(r"has no attribute '(\w+)'", message):
        yield from close(found[1], {n.attr for n in nodes if isinstance(n, ast.Attribute)})
    elif found := re.search(r"unexpected keyword argument '(\w+)'", message):
        known = {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}
        yield from close(found[1], known)


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
