"""Wrong solutions made by rule: one edit of the syntax tree of a right one, and what it is.

An edit is something that people do: another name, axis, number or operator, a call too many or too
few, a line forgotten or in the wrong place. Nothing is known of what a step is about.
"""

import ast
import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Names that stand for the same kind of thing, so that one can be taken for another.
KIN: tuple[tuple[str, ...], ...] = (
    ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"),
    ("wte", "wpe"),
    ("ln_1", "ln_2", "ln_f"),
    ("c_attn", "c_proj", "c_fc"),
    ("attn", "mlp"),
    ("weight", "bias"),
    ("dim", "eps"),
    ("n_head", "head_dim", "n_embd"),
    ("softmax", "sigmoid", "logsoftmax", "exp", "relu", "tanh"),
    ("gelu", "relu", "sigmoid", "silu", "tanh", "erf"),
    ("mean", "sum", "max", "min"),
    ("max", "min", "argmax", "argmin"),
    ("any", "all"),
    ("sqrt", "rsqrt", "isqrt"),
    ("exp", "exp2", "log"),
    ("exp", "sum", "sin", "cos"),
    ("ones", "zeros"),
    ("concat", "stack"),
    ("floor", "ceil"),
    ("int64", "int32", "float32", "float64", "float16"),
    ("float32", "bfloat16"),
    ("ValueError", "TypeError", "KeyError", "AssertionError"),
    ("T", "flat"),
    ("removeprefix", "lstrip", "removesuffix", "strip"),
    ("endswith", "startswith"),
    ("Linear", "Embedding"),
    ("none", "tanh", "sigmoid"),
)
NOT_A_VALUE = (ast.JoinedStr, ast.FormattedValue, ast.Starred, ast.Lambda, ast.Slice)
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Mult),
    ast.Mult: (ast.Div, ast.Add, ast.Pow, ast.MatMult, ast.FloorDiv),
    ast.Div: (ast.Mult, ast.FloorDiv, ast.Sub),
    ast.FloorDiv: (ast.Div, ast.Mod, ast.Mult),
    ast.Mod: (ast.FloorDiv, ast.Div),
    ast.MatMult: (ast.Mult,),
    ast.Pow: (ast.Mult,),
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
    ast.LtE: (ast.Lt, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
    ast.Gt: (ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq),
    ast.GtE: (ast.Gt, ast.Lt, ast.LtE, ast.Eq, ast.NotEq),
    ast.Eq: (ast.NotEq, ast.Lt, ast.Gt),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
PARTS = ("[:, -1:]", "[:, 1:]", "[:, :-1]", "[-1:]", "[:1]")  # of what comes in
LONGEST = 70  # characters of code in a sentence
SHORTEST = 8

Path = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Edit:
    """A text with one edit, and what a solution does that has it: `a solution that {words}`."""

    source: str
    words: str
    is_within_forward: bool = False


def edits(source: str, right: str = "") -> Iterator[Edit]:
    """All edits of a source, each once.

    Beside a right text, only of the lines that this lacks, and without what any line could have.
    """
    tree = ast.parse(source)
    seen, known = {ast.dump(tree)}, statements(right)
    for owner, body, place in bodies(tree):
        statement = body[place]
        if known and ast.unparse(headed(statement)) in known:
            continue
        within = edits_within(owner, statement, few=bool(known))
        for changed, words in (*within, *edits_of(owner, body, place)):
            text = splice(source, statement, changed)
            try:
                dumped = ast.dump(ast.parse(text))
            except SyntaxError:
                continue
            if dumped not in seen:
                seen.add(dumped)
                forward = isinstance(owner, ast.FunctionDef) and owner.name == "forward"
                yield Edit(text, words, forward)


def inlined(source: str) -> str:
    """The source with what only the next statement needs written out in that."""
    for owner, body, place in bodies(ast.parse(source)):
        if not isinstance(owner, ast.FunctionDef) or body is not owner.body:
            continue
        match body[place : place + 2]:
            case [ast.Assign([ast.Name(name)], value), ast.Assign() | ast.Return() as following]:
                again = isinstance(following, ast.Assign) and name in targets(following)
                later = [] if again else reads(ast.Module(body[place + 2 :], []), name)
                if len(reads(following, name)) == 1 and not later:
                    source = splice(source, following, [with_value(following, name, value)])
                    lines = source.splitlines(keepends=True)
                    del lines[body[place].lineno - 1 : body[place].end_lineno]
                    return inlined("".join(lines))
    return source


def targets(statement: ast.Assign) -> list[str]:
    """The names that an assignment sets."""
    return [target.id for target in statement.targets if isinstance(target, ast.Name)]


def reads(node: ast.AST, name: str) -> list[ast.Name]:
    """Where a name is read."""
    names = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == name]
    return [each for each in names if isinstance(each.ctx, ast.Load)]


def with_value(statement: ast.stmt, name: str, value: ast.expr) -> ast.stmt:
    """The statement with a value where it reads a name."""

    class Reader(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return value if node.id == name and isinstance(node.ctx, ast.Load) else node

    changed: ast.stmt = Reader().visit(copy.deepcopy(statement))
    return changed


def statements(source: str) -> set[str]:
    """Each statement of a text by itself, as a line; of compound ones the head."""
    nodes = ast.walk(ast.parse(source))
    return {ast.unparse(headed(node)) for node in nodes if isinstance(node, ast.stmt)}


def headed(node: ast.stmt) -> ast.stmt:
    """The statement without the statements in it."""
    if not hasattr(node, "body"):
        return node
    head = copy.copy(node)
    vars(head).update(body=[ast.Pass()])
    if hasattr(head, "orelse"):
        vars(head).update(orelse=[])
    return head


def bodies(tree: ast.Module) -> Iterator[tuple[ast.AST, list[ast.stmt], int]]:
    """Each statement but for imports and docstrings: in which function or class, list and place."""

    def under(owner: ast.AST, node: ast.AST) -> Iterator[tuple[ast.AST, list[ast.stmt], int]]:
        for name in ("body", "orelse"):
            body = getattr(node, name, [])
            for place, statement in enumerate(body if isinstance(body, list) else []):
                is_text = isinstance(statement, ast.Expr) and isinstance(
                    statement.value, ast.Constant
                )
                if not is_text and not isinstance(statement, ast.Import | ast.ImportFrom):
                    yield owner, body, place
                    inner = isinstance(statement, ast.FunctionDef | ast.ClassDef)
                    yield from under(statement if inner else owner, statement)

    yield from under(tree, tree)


def splice(source: str, old: ast.stmt, new: list[ast.stmt]) -> str:
    """The source with statements in place of one."""
    lines = source.splitlines(keepends=True)
    decorators = getattr(old, "decorator_list", [])
    first = min([old.lineno, *(each.lineno for each in decorators)]) - 1
    text = "\n".join(ast.unparse(ast.fix_missing_locations(each)) for each in new) or "pass"
    indent = " " * old.col_offset
    put = "".join(f"{indent}{line}\n" if line else "\n" for line in text.splitlines())
    return "".join([*lines[:first], put, *lines[old.end_lineno :]])


def edits_within(
    owner: ast.AST, statement: ast.stmt, *, few: bool
) -> Iterator[tuple[list[ast.stmt], str]]:
    """The statement with one expression in it changed."""
    names = {} if few else known_names(owner)
    attributes = [] if few else known_attributes(owner)
    for path, node in expressions(statement):
        for new in changes(node, names, attributes):
            changed = replaced(statement, path, new)
            yield [changed], described(statement, changed, path)
        for outer, changed in moved(statement, path, node):
            yield [changed], described(statement, changed, outer)


def moved(statement: ast.stmt, path: Path, node: ast.AST) -> Iterator[tuple[Path, ast.stmt]]:
    """What is done to a part done later, to something around it: x + f(g(x)) -> g(x + f(x))."""
    match node:
        case ast.Call(args=[inner, *_]) if not isinstance(inner, ast.Starred):
            pass
        case ast.BinOp(left=inner):
            pass
        case _:
            return
    without = replaced(statement, path, inner)
    for end in range(len(path) - 1, 0, -1):
        around = at(without, path[:end])
        if isinstance(around, ast.expr) and not isinstance(around, NOT_A_VALUE):
            later = copy.copy(node)
            vars(later).update(
                {"args": [around, *node.args[1:]]}
                if isinstance(node, ast.Call)
                else {"left": around}
            )
            yield path[:end], replaced(without, path[:end], later)


def expressions(statement: ast.stmt) -> Iterator[tuple[Path, ast.AST]]:
    """Every expression of a statement, by the way to it; not those of statements within."""

    def under(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "bases", "decorator_list", "type_params"):
                continue
            if isinstance(value, ast.AST):
                yield from visit(value, (*path, (name, None)))
            elif isinstance(value, list):
                for place, item in enumerate(value):
                    if isinstance(item, ast.AST) and not isinstance(item, ast.stmt):
                        yield from visit(item, (*path, (name, place)))

    def visit(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
        yield path, node
        yield from under(node, path)

    yield from under(statement, ())


def replaced(statement: ast.stmt, path: Path, new: ast.AST) -> ast.stmt:
    """A copy of a statement with something else in one place."""
    root = copy.deepcopy(statement)
    node: Any = root
    for name, place in path[:-1]:
        node = getattr(node, name) if place is None else getattr(node, name)[place]
    name, place = path[-1]
    if place is None:
        setattr(node, name, new)
    else:
        getattr(node, name)[place] = new
    return root


def at(statement: ast.AST, path: Path) -> Any:
    """What is in a place of a statement."""
    for name, place in path:
        statement = getattr(statement, name) if place is None else getattr(statement, name)[place]
    return statement


def described(old: ast.stmt, new: ast.stmt, path: Path) -> str:
    """What it has instead of what: the smallest expressions that a reader can place."""
    if isinstance(old, ast.FunctionDef) and path[0][0] == "args":
        was, now = (f"def {each.name}({ast.unparse(each.args)})" for each in (old, new))  # type: ignore[attr-defined]
        return f"has `{now}` instead of `{was}`"
    shown = path
    for end in range(len(path), 0, -1):
        one, other = at(old, path[:end]), at(new, path[:end])
        if not isinstance(one, ast.expr) or isinstance(one, ast.Slice):
            continue
        texts = ast.unparse(one), ast.unparse(other)
        if max(map(len, texts)) > LONGEST and shown != path:
            break
        shown = path[:end]
        large = isinstance(one, ast.Call | ast.BinOp | ast.Compare | ast.Subscript | ast.IfExp)
        if large and min(map(len, texts)) >= SHORTEST:
            break
    one, other = at(old, shown), at(new, shown)
    if not isinstance(one, ast.expr):
        return f"has `{head(new)}` instead of `{head(old)}`"
    return f"has `{line(other)}` instead of `{line(one)}`"


def line(node: ast.AST) -> str:
    """A piece of code in one line."""
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())


def head(statement: ast.stmt) -> str:
    """A statement in one line; of a compound one, what stands before its block."""
    return line(headed(statement)).removesuffix(" pass")


def known_names(owner: ast.AST) -> dict[str, list[str]]:
    """The arguments and variables of a function, and for which others each can be taken.

    Those are of the same annotated type, or of none; a Tensor can be any variable.
    """
    if not isinstance(owner, ast.FunctionDef):
        return {}
    types = {
        argument.arg: ast.unparse(argument.annotation).replace("Tensor", "")
        for argument in (*owner.args.args, *owner.args.kwonlyargs)
        if argument.annotation
    }
    for node in ast.walk(owner):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "_":
            types.setdefault(node.id, "")
    return {name: [each for each in types if types[each] == types[name]] for name in types}


def known_attributes(owner: ast.AST) -> list[str]:
    """The attributes of self that a function uses."""
    return list(
        dict.fromkeys(
            node.attr
            for node in ast.walk(owner)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        )
    )


def changes(  # noqa: C901 (a case for each kind of expression)
    node: ast.AST, names: dict[str, list[str]], attributes: list[str]
) -> Iterator[ast.AST]:
    """What an expression could be instead."""
    match node:
        case ast.Name(ctx=ast.Load()):
            yield from (ast.Name(other) for other in others(node.id, names.get(node.id, [])))
            if node.id in names:
                yield from scaled(node)
            if attributes and node.id in list(names)[:1]:
                yield from (ast.parse(f"{node.id}{part}", mode="eval").body for part in PARTS)
        case ast.Attribute(ctx=ast.Load()):
            is_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            kin = others(node.attr, attributes if is_self else [])
            yield from (ast.Attribute(node.value, other) for other in kin)
            yield node.value  # dropped, as .T
            if is_self:
                yield from scaled(node)
        case ast.Constant():
            yield from (ast.Constant(value) for value in values(node.value))
        case ast.BinOp():
            yield from operations(node)
            match node.left, node.right:
                case ast.Call(args=[one, *_]), ast.Call(
                    args=[other, *_]
                ):  # f(a) + g(b) -> f(a + b)
                    yield ast.Call(node.left.func, [ast.BinOp(one, node.op, other)], [])
        case ast.UnaryOp():
            yield node.operand
        case ast.Compare(ops=[operator]):
            for kind in COMPARISONS.get(type(operator), ()):
                yield ast.Compare(node.left, [kind()], node.comparators)
            yield ast.Constant(value=True)
            yield ast.Constant(value=False)
        case ast.BoolOp():
            yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
            yield from node.values
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)
            yield from (node.body, node.orelse)
        case ast.Call():
            yield from calls(node)
        case ast.Subscript(ctx=ast.Load()):
            yield node.value
            yield from (ast.Subscript(node.value, index) for index in indices(node.slice))
        case ast.Tuple(ctx=ast.Store()) | ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()):
            yield from arrangements(node)
        case ast.GeneratorExp() | ast.ListComp():
            pass
        case ast.arguments():
            yield from signatures(node)
        case ast.Starred():
            yield node.value
    if isinstance(node, ast.Call | ast.BinOp | ast.Subscript) and names and attributes:
        yield from wrapped(node, names, attributes)


def others(name: str, known: list[str]) -> list[str]:
    """What a name can be taken for."""
    kin = [other for group in KIN if name in group for other in group]
    found = dict.fromkeys([*kin, *(known if name in known else [])])
    return [other for other in found if other != name]


def values(value: Any) -> list[Any]:
    """What a constant can be taken for."""
    found: list[Any] = []
    match value:
        case bool():
            found = [not value]
        case int():
            found = [value + 1, value - 1, 0, 1, -1, -2, 2, -value, 2 * value, value // 2]
        case float():
            found = [0.0, 1.0, 10 * value, value / 10, value / 100, -value, 2 * value, value / 2]
        case str():
            found = [*others(value, [])]
            if value.endswith("."):
                found += [value[:-1], ""]
            elif value.startswith("."):
                found += [value[1:], "." + value.rpartition(".")[2]]
        case None:
            found = [0, 1]
    return [each for each in dict.fromkeys(found) if each != value or type(each) is not type(value)]


def scaled(node: ast.expr) -> Iterator[ast.expr]:
    """A number or tensor, but for a simple change."""
    yield ast.BinOp(node, ast.Add(), ast.Constant(1))
    yield ast.BinOp(node, ast.Sub(), ast.Constant(1))
    yield ast.UnaryOp(ast.USub(), node)


def operations(node: ast.BinOp) -> Iterator[ast.expr]:
    """Another operator, the operands swapped, one of them alone, parentheses elsewhere."""
    for kind in OPERATORS.get(type(node.op), ()):
        yield ast.BinOp(node.left, kind(), node.right)
    if not isinstance(node.op, ast.Add | ast.Mult):
        yield ast.BinOp(node.right, node.op, node.left)
    yield from (node.left, node.right)
    if isinstance(inner := node.left, ast.BinOp):
        yield ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, node.op, node.right))
    if isinstance(inner := node.right, ast.BinOp):
        yield ast.BinOp(ast.BinOp(node.left, node.op, inner.left), inner.op, inner.right)
    if isinstance(node.op, ast.MatMult):
        for side in ("left", "right"):
            turned = call(ast.Attribute(getattr(node, side), "transpose"), -1, -2)
            yield ast.BinOp(
                turned if side == "left" else node.left,
                ast.MatMult(),
                turned if side == "right" else node.right,
            )
    if isinstance(node.op, ast.Add):  # once more
        yield ast.BinOp(ast.BinOp(node.left, ast.Add(), node.left), ast.Add(), node.right)
        yield ast.BinOp(node, ast.Add(), node.right)
    if isinstance(node.op, ast.Div | ast.Mult):
        yield ast.BinOp(node, node.op, node.right)


def call(function: ast.expr, *arguments: Any) -> ast.Call:
    """A call with these arguments."""
    given = [each if isinstance(each, ast.expr) else ast.Constant(each) for each in arguments]
    return ast.Call(function, given, [])


def calls(node: ast.Call) -> Iterator[ast.expr]:  # noqa: C901 (as many as there are ways)
    """Another call: none, two, with fewer arguments or in another order."""
    if isinstance(node.func, ast.Attribute) and not is_module(node.func.value):
        yield node.func.value  # x.transpose(1, 2) -> x
    if node.args and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]  # f(x) -> x
        yield ast.Call(node.func, [node, *node.args[1:]], node.keywords)  # f(f(x))
        if not isinstance(node.args[0], ast.Constant):
            yield ast.BinOp(node.args[0], ast.Add(), node)  # x + f(x)
    for place in range(len(node.args)):
        yield ast.Call(node.func, node.args[:place] + node.args[place + 1 :], node.keywords)
    for place in range(len(node.keywords)):
        fewer = node.keywords[:place] + node.keywords[place + 1 :]
        yield ast.Call(node.func, node.args, fewer)
        yield ast.Call(node.func, [*node.args, node.keywords[place].value], fewer)
    for first, second in itertools.combinations(range(len(node.args)), 2):
        swapped = list(node.args)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        yield ast.Call(node.func, swapped, node.keywords)
    for first, second in itertools.combinations(range(len(node.keywords)), 2):
        pairs = [ast.keyword(each.arg, each.value) for each in node.keywords]
        pairs[first].value, pairs[second].value = pairs[second].value, pairs[first].value
        yield ast.Call(node.func, node.args, pairs)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if isinstance(node.func, ast.Attribute) and node.keywords:
        for other in others(name, []):
            yield ast.Call(ast.Attribute(node.func.value, other), node.args, [])
    if name in ("softmax", "mean", "sum", "max", "min", "argmax", "sort", "cumsum"):
        kept = [each for each in node.keywords if each.arg != "axis"]
        for axis in (-2, 0, 1, 2):
            yield ast.Call(node.func, node.args, [*kept, ast.keyword("axis", ast.Constant(axis))])
    if isinstance(node.func, ast.Name) and node.func.id == "range" and len(node.args) == 1:
        yield call(node.func, 1, node.args[0])
    if isinstance(node.func, ast.Name) and node.func.id in ("Linear", "Embedding"):
        yield ast.Call(
            node.func, node.args, [*node.keywords, ast.keyword("bias", ast.Constant(value=False))]
        )


def is_module(node: ast.expr) -> bool:
    """Whether this names a module, or a class."""
    return isinstance(node, ast.Name) and (
        node.id in ("F", "np", "math", "json") or node.id[0].isupper()
    )


def indices(index: ast.expr) -> Iterator[ast.expr]:
    """Other slices."""
    if isinstance(index, ast.Slice):
        low, high = index.lower, index.upper
        if (low is None) != (high is None):
            yield ast.Slice(high, low, index.step)  # [a:] -> [:a]
            bound = low or high
            assert bound
            turned = ast.UnaryOp(ast.USub(), bound)
            yield ast.Slice(turned if low else None, turned if high else None, index.step)
            for other in scaled(bound):
                yield ast.Slice(other if low else None, other if high else None, index.step)
        yield ast.Slice(None, None, None)
    elif isinstance(index, ast.Tuple):
        for place, part in enumerate(index.elts):
            for other in indices(part):
                yield ast.Tuple([*index.elts[:place], other, *index.elts[place + 1 :]], ast.Load())


def arrangements(node: ast.Tuple | ast.List) -> Iterator[ast.expr]:
    """Without one of its items, or with two swapped, or with one twice."""
    kind = type(node)
    for first, second in itertools.combinations(range(len(node.elts)), 2):
        items = list(node.elts)
        items[first], items[second] = items[second], items[first]
        yield kind(items, node.ctx)
    if len(node.elts) == 3:
        yield kind([*node.elts[1:], node.elts[0]], node.ctx)
        yield kind([node.elts[-1], *node.elts[:-1]], node.ctx)
    if isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for place in range(len(node.elts)):
            yield kind(node.elts[:place] + node.elts[place + 1 :], node.ctx)
        yield kind([*node.elts, node.elts[-1]], node.ctx)


def signatures(node: ast.arguments) -> Iterator[ast.arguments]:
    """Other arguments of a function: swapped, without a default, with another."""
    count, missing = len(node.args), len(node.args) - len(node.defaults)
    for place in range(count - 1):
        if node.args[place].arg == "self":
            continue
        new = copy.deepcopy(node)
        new.args[place], new.args[place + 1] = new.args[place + 1], new.args[place]
        if place >= missing:
            first = place - missing
            new.defaults[first], new.defaults[first + 1] = (
                new.defaults[first + 1],
                new.defaults[first],
            )
        yield new
    for place in range(len(node.kw_defaults)):
        if node.kw_defaults[place]:
            new = copy.deepcopy(node)
            new.kw_defaults[place] = None
            yield new
    if node.defaults:
        new = copy.deepcopy(node)
        new.defaults = []
        yield new
    if node.kwonlyargs and not node.defaults:
        new = copy.deepcopy(node)
        new.args, new.defaults = (
            [*node.args, *node.kwonlyargs],
            [each for each in node.kw_defaults if each],
        )
        new.kwonlyargs, new.kw_defaults = [], []
        yield new


def wrapped(
    node: ast.expr, names: dict[str, list[str]], attributes: list[str]
) -> Iterator[ast.expr]:
    """The same, and something done to it that its surroundings offer."""
    for attribute in attributes:
        yield call(ast.Attribute(ast.Name("self"), attribute), node)
    for name in list(names)[:2]:  # the input, as a rule
        yield ast.BinOp(ast.Name(name), ast.Add(), node)
        yield ast.BinOp(ast.Name(name), ast.Mult(), node)


# What is done to a result that was right.
ENDS = (
    *(
        "[:, -1:]",
        "[:, :-1]",
        "[:, 1:]",
        "[0]",
        "[-1:]",
        "[:, 0]",
        "[:, -1]",
        ".mean(axis=1)",
        ".sum(axis=1)",
        " / 2",
        " * 2",
    ),
    *(".transpose(1, 2)", ","),
)


def edits_of(  # noqa: C901 (a case for each kind of statement)
    owner: ast.AST, body: list[ast.stmt], place: int
) -> Iterator[tuple[list[ast.stmt], str]]:
    """A statement left out, twice, or another one."""
    statement = body[place]
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield from edits_of_definition(statement)
        return
    shown = head(statement)
    if not isinstance(statement, ast.Return):
        kind = "block" if hasattr(statement, "body") else "line"
        yield [], f"lacks the {kind} `{shown}`"
    else:
        yield (
            [ast.Expr(statement.value or ast.Constant(None))],
            f"has `{line(statement.value or statement)}` instead of `{shown}`",
        )
        yield from edits_of_return(owner, statement)
    if isinstance(statement, ast.Assign | ast.Expr | ast.AugAssign) and isinstance(
        owner, ast.FunctionDef
    ):
        yield [statement, statement], f"has the line `{shown}` twice"
    if isinstance(statement, ast.If):
        negated = copy.deepcopy(statement)
        negated.test = ast.UnaryOp(ast.Not(), statement.test)
        yield [negated], f"has `{head(negated)}` instead of `{shown}`"
        yield statement.body, f"always does what stands under `{shown}`"
        if statement.orelse:
            yield statement.orelse, f"always takes the else branch of `{shown}`"
    if isinstance(statement, ast.For):
        yield statement.body, f"runs the loop `{shown}` only once"
        early = copy.deepcopy(statement)
        if place + 1 < len(body) and isinstance(body[place + 1], ast.Return):
            early.body.append(body[place + 1])
            yield [early], f"has the line `{line(body[place + 1])}` inside the loop"
    if isinstance(statement, ast.Raise) and statement.exc:
        yield [ast.Return(statement.exc)], "has `return` instead of `raise`"
        yield [ast.Expr(statement.exc)], "makes the error but doesn't raise it"
        yield [ast.Return(None)], "returns instead of raising the error"
    if isinstance(statement, ast.Continue):
        yield [ast.Break()], "has `break` instead of `continue`"
        yield [ast.Return(None)], "has `return` instead of `continue`"
    if isinstance(statement, ast.Break):
        yield [ast.Continue()], "has `continue` instead of `break`"
    if isinstance(statement, ast.Assign) and isinstance(owner, ast.FunctionDef):
        (target,) = statement.targets
        if isinstance(target, ast.Name):
            value, name = f"`{line(statement.value)}`", f"`{target.id}`"
            for operator, done in (
                (ast.Add(), f"adds {value} to {name}"),
                (ast.Mult(), f"multiplies {value} by {name}"),
            ):
                result = ast.BinOp(ast.Name(target.id), operator, statement.value)
                yield [ast.Assign([target], result)], f"{done}, which it should replace"
        if isinstance(target, ast.Attribute) and place + 1 < len(body):
            renamed = ast.Assign([ast.Name(target.attr, ast.Store())], statement.value)
            yield [renamed], f"has `{target.attr}` instead of `{line(target)}`"


def edits_of_return(owner: ast.AST, statement: ast.Return) -> Iterator[tuple[list[ast.stmt], str]]:
    """Something else returned: an earlier variable, a part, a tuple, a sum with what came in."""
    if statement.value is None:
        return
    shown = ast.unparse(statement.value)
    for name in known_names(owner):
        yield [ast.Return(ast.Name(name))], f"has `return {name}` instead of `{line(statement)}`"
    for end in ENDS:
        changed = ast.parse(f"return ({shown}){end}").body
        yield changed, f"has `{line(changed[0])}` instead of `{line(statement)}`"


def edits_of_definition(  # noqa: C901 (as many as there are ways)
    statement: ast.FunctionDef | ast.ClassDef,
) -> Iterator[tuple[list[ast.stmt], str]]:
    """A decorator left out or another, fields in another order, lines of a function swapped."""
    if statement.decorator_list:
        bare = copy.deepcopy(statement)
        bare.decorator_list = []
        yield [bare], f"lacks `@{line(statement.decorator_list[0])}`"
        if isinstance(statement, ast.ClassDef):
            for option in ("frozen", "kw_only", "init"):
                value = ast.Constant(option != "init")
                altered = copy.deepcopy(statement)
                was = statement.decorator_list[0]
                decorator = ast.Call(was, [], [ast.keyword(option, value)])
                altered.decorator_list = [decorator]
                yield [altered], f"has `@{line(decorator)}` instead of `@{line(was)}`"
    body = statement.body
    for place in range(len(body) - 1):
        one, other = body[place], body[place + 1]
        kinds = (ast.Assign, ast.AnnAssign, ast.Expr, ast.If, ast.For)
        if isinstance(one, kinds) and isinstance(other, kinds):
            swapped = copy.deepcopy(statement)
            swapped.body[place : place + 2] = [other, one]
            yield [swapped], f"has `{head(other)}` before `{head(one)}`"
    for place, one in enumerate(body):  # a field without its type
        if isinstance(one, ast.AnnAssign) and one.value and isinstance(statement, ast.ClassDef):
            plain: Any = copy.deepcopy(statement)
            plain.body[place] = ast.Assign([one.target], one.value)
            yield [plain], f"has `{line(plain.body[place])}` instead of `{line(one)}`"
            ending: Any = copy.deepcopy(statement)
            ending.body[place] = ast.AnnAssign(
                one.target, one.annotation, ast.Tuple([one.value], ast.Load()), 1
            )
            yield [ending], f"has `{line(one)},` instead of `{line(one)}`"
    if isinstance(statement, ast.FunctionDef):
        first = statement.args.args[:1]
        if first and first[0].arg == "self":
            alone = copy.deepcopy(statement)
            alone.args.args = alone.args.args[1:]
            yield [alone], f"lacks `self` among the arguments of `{statement.name}`"
            if statement.name.startswith("__"):
                single = copy.deepcopy(statement)
                single.name = statement.name[1:-1]
                yield [single], f"has `{single.name}` instead of `{statement.name}`"
