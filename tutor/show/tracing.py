"""What a module calls and computes, with the shapes of it, as MAX traces it."""

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from tutor.show.observing import Run, around_calls

# The operations that are written with signs.
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "matmul": "@", "slice": "[…]"}


@dataclass(frozen=True)
class Line:
    """A module, an operation or a tensor: its name and kind, and what else there is of it."""

    name: str
    kind: str = ""
    shapes: str = ""
    weights: str = ""
    parts: list["Line"] = field(default_factory=list)

    @property
    def label(self) -> str:
        return ": ".join(filter(None, (self.name, self.kind)))

    @property
    def pattern(self) -> tuple[Any, ...]:
        """What it shares with its like in another layer."""
        name = re.sub(r"\b(h|layers)\.\d+", r"\1.#", self.name)
        parts = [part.pattern for part in self.parts]
        return (name, self.kind, self.shapes, self.weights, parts)


class Letters:
    """Letters for sizes; a size that could have several, or be one of the others, stays a number.

    The others have no letter.
    """

    def __init__(self, sizes: Mapping[str, int], others: Collection[int] = ()) -> None:
        self.sizes, self.others = dict(sizes), others
        self._named: dict[int, list[str]] = {}
        for letter, size in self.sizes.items():
            self._named.setdefault(size, []).append(letter)
        self._names = {
            str(size): letter
            for size, (letter, *more) in self._named.items()
            if size > 1 and not more and size not in others
        }

    @classmethod
    def of(cls, config: Any) -> "Letters":
        """The letters of the course for the sizes of a GPT2Config."""
        width, heads = config.n_embd, config.n_head
        sizes = {"C": width, "V": config.vocab_size, "3C": 3 * width, "L": config.n_inner}
        return cls({**sizes, "H": heads, "D": width // heads}, [config.n_positions])

    @classmethod
    def of_llama(cls, config: Any) -> "Letters":
        """The letters for the sizes of a LlamaConfig, and for their products and halves."""
        width, head_dim = config.hidden_size, config.head_dim
        heads, groups = config.num_attention_heads, config.num_key_value_heads
        sizes = {"V": config.vocab_size, "C": width, "L": config.intermediate_size, "H": heads}
        sizes |= {"G": groups, "D": head_dim, "D/2": head_dim // 2}
        if heads * head_dim != width:  # else it is C
            sizes["HD"] = heads * head_dim
        if groups != heads:
            sizes["GD"] = groups * head_dim
        return cls(sizes, [heads // groups])

    def legend(self, shapes: str) -> list[str]:
        """What the letters in shapes stand for, and the numbers that could have a letter."""
        numbers, letters = {*re.findall(r"(?<![\w/])\d+\b", shapes)}, {*shapes}
        return [
            f"{' = '.join(names)} = {size}"
            for size, names in self._named.items()
            if (names[0] in letters if str(size) in self._names else str(size) in numbers)
        ]

    def name(self, shape: Sequence[Any]) -> str:
        """A shape as people write it, [B, T, 3C]."""
        return f"[{', '.join(self._names.get(str(size), str(size)) for size in shape)}]"

    def count(self, tensors: Sequence[Any]) -> str:
        """The shapes of several tensors, 3 [B, T, C]."""
        names = [self.name(tensor.shape) for tensor in tensors]
        counts = {name: names.count(name) for name in names}
        return ", ".join(f"{n} {name}" if n > 1 else name for name, n in counts.items())


def trace(module: Any, types: Sequence[Any], letters: Letters) -> Line:
    """The calls of modules in a module, and the operations in its own file, for such inputs."""
    from max.experimental.tensor import Tensor

    names: dict[int, str] = {}
    root = Line("")
    running = [root]

    def note_call(called: Any, run: Run, inputs: tuple[Any, ...]) -> Any:
        names.update(names or names_of(called))  # MAX traces a copy of the module
        if id(called) not in names:  # it was made in passing, and is no part of the module
            return run()
        parts: list[Line] = []
        running.append(Line("", parts=parts))
        try:
            result = run()
        finally:
            running.pop()
        given = letters.count([each for each in inputs if isinstance(each, Tensor)])
        line = Line(
            names[id(called)],
            type(called).__name__,
            f"{given} → {letters.name(result.shape)}",
            ", ".join(letters.name(weight.shape) for _, weight in called.local_parameters),
            parts,
        )
        running[-1].parts.append(line)
        return result

    def note_operation(name: str, made: Sequence[Any]) -> None:
        # The operations of its parts belong to other steps, and single numbers have no shape.
        if len(running) == 2 and any(len(tensor.shape) for tensor in made):
            line = Line(SIGNS.get(name, name), shapes=f"→ {letters.count(made)}")
            running[-1].parts.append(line)

    with around_calls(note_call), around_operations(type(module).__module__, note_operation):
        module.trace(*types)
    (line,) = shorten(root.parts)
    return line


def names_of(module: Any, path: str = "") -> dict[int, str]:
    """How the checkpoint calls a module and each within it, by id: ln_1, h.0."""
    from max import tree
    from max.experimental.nn import Module

    last = re.search(r"[^.]*(\.\d+)*$", path)
    names = {id(module): last[0] if last else ""}
    inner = tree.paths(module, leaf=lambda value: isinstance(value, Module) and value is not module)
    for name, value in inner.items():
        if isinstance(value, Module):
            names |= names_of(value, tree.extend_path(path, name))
    return names


@contextmanager
def around_operations(file: str, note: Callable[[str, Sequence[Any]], None]) -> Iterator[None]:
    """Tell of each operation that the code of a file asks for, and of the tensors that it makes."""
    from max.experimental import functional as F
    from max.experimental.tensor import Tensor

    within = False  # an operation may consist of others

    def noted(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*inputs: Any, **named: Any) -> Any:
            nonlocal within
            if within or asking_step(sys._getframe(1), file) != file:
                return operation(*inputs, **named)
            within = True
            try:
                result = operation(*inputs, **named)
            finally:
                within = False
            made = result if isinstance(result, list | tuple) else [result]
            if all(isinstance(tensor, Tensor) for tensor in made):
                note(name, made)
            return result

        return operate

    functions = {
        name: value
        for name, value in vars(F).items()
        if callable(value) and name[0].islower() and not isinstance(value, type)
    }
    with ExitStack() as patches:
        for name, operation in functions.items():
            patches.enter_context(mock.patch.object(F, name, noted(name, operation)))
        take = noted("slice", Tensor.__getitem__)
        patches.enter_context(mock.patch.object(Tensor, "__getitem__", take))
        yield


def asking_step(frame: Any, file: str) -> str:
    """The step, of the tree of a file, whose code asks for what happens in a frame."""
    tree = f"{file.partition('.')[0]}."
    while frame and not frame.f_globals["__name__"].startswith(tree):
        frame = frame.f_back
    return frame.f_globals["__name__"] if frame else ""


def shorten(lines: Sequence[Line]) -> list[Line]:
    """Lines that come again and again, as in every layer, once and counted."""
    lines = [replace(line, parts=shorten(line.parts)) for line in lines]
    patterns, kept, first = [line.pattern for line in lines], list[Line](), 0
    while first < len(lines):
        period, times = longest_repetition(patterns[first:])
        group, first = lines[first : first + period], first + period * times
        if times == 1:
            kept += group
        elif period == 1:
            (line,), last = group, lines[first - 1].name
            count = f"{times} × {last}" if line.name == last else f"{line.name} … {last}"
            kept.append(replace(line, name=count))
        else:
            kept.append(Line(f"{times} times", parts=shorten(group)))
    return kept


def longest_repetition(patterns: Sequence[Any]) -> tuple[int, int]:
    """How many lines at the beginning are repeated, and how often, to cover the most lines."""
    best = (1, 1)
    for period in range(1, len(patterns) // 2 + 1):
        times = 1
        while patterns[times * period : (times + 1) * period] == patterns[:period]:
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = period, times
    return best
