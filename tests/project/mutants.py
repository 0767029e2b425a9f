"""Wrong solutions made by rule: one name, attribute or whole number of a reference for another."""

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

# Attributes that hold the same kind of thing, so that one can be taken for another.
KIN = (
    ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"),
    ("wte", "wpe"),
    ("ln_1", "ln_2", "ln_f"),
    ("c_attn", "c_proj", "c_fc"),
    ("weight", "bias"),
    ("dim", "eps"),
    ("n_head", "head_dim", "n_embd"),
    ("top_k", "top_p", "temperature"),
)


@dataclass(frozen=True)
class Mutant:
    """A source with one edit, and where that is."""

    name: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """All of them, each once."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw, seen = source.encode(), {source}
    for node, old, new in edits(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        end = starts[node.end_lineno - 1] + node.end_col_offset
        begin = end - len(old.encode())
        if raw[begin:end] != old.encode():
            continue  # in an f-string, where places are not known
        changed = (raw[:begin] + new.encode() + raw[end:]).decode()
        if changed not in seen:
            seen.add(changed)
            line = lines[node.lineno - 1].strip()
            yield Mutant(f"{old} → {new} in: {line}", changed)


def edits(tree: ast.Module) -> Iterator[tuple[ast.expr, str, str]]:
    """Nodes whose last part is one thing and could be another."""
    for owner in ast.walk(tree):
        if isinstance(owner, ast.FunctionDef):
            for group, node in itertools.product(kin_of(owner), ast.walk(owner)):
                if isinstance(node, ast.Name) and node.id in group:
                    yield from ((node, node.id, other) for other in sorted(group - {node.id}))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            for kin in KIN:
                if node.attr in kin:
                    yield from ((node, node.attr, other) for other in kin if other != node.attr)
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield from ((node, ast.unparse(node), str(node.value + by)) for by in (1, -1))


def kin_of(function: ast.FunctionDef) -> list[set[str]]:
    """Groups of names in a function that hold the same kind of thing, such as sizes."""
    groups: dict[str, set[str]] = {}
    for argument in (*function.args.args, *function.args.kwonlyargs):
        if argument.annotation:
            groups.setdefault(ast.unparse(argument.annotation), set()).add(argument.arg)
    sizes = groups.setdefault("int", set())
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.value).endswith(".shape"):
            for target in node.targets:
                if isinstance(target, ast.Tuple):
                    sizes |= {part.id for part in target.elts if isinstance(part, ast.Name)} - {"_"}
    return [group for group in groups.values() if len(group) > 1]
