"""What the book's widgets show without scripts: tables in HTML.

They have no blank lines, since in Markdown one would end the HTML.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

STAGES = ("x", "ln_1", "attn", "x + attn", "ln_2", "mlp", "x + attn + mlp")
LARGEST = 3  # so many weights of a query are named
DIGITS = {"norm": 2, "mean": 3, "spread": 2}  # as the widget of the block shows them


def next_tokens(text: str, by: str, columns: Mapping[str, Array], tokens: Mapping[int, str]) -> str:
    """The probabilities of some tokens, by setting; and how many tokens remain."""
    rows = [
        [visible(token), *(share(column[index]) for column in columns.values())]
        for index, token in tokens.items()
    ]
    remaining = (f"{np.count_nonzero(column):,}" for column in columns.values())
    caption = f"The most likely tokens after “{escape(text)}”, by {by}"
    return table(caption, ["token", *columns], [*rows, ["remaining", *remaining]])


def mask(values: Array, cached: int) -> str:
    rows = [
        [f"query {query}", *("0" if value == 0 else "−inf" for value in row)]
        for query, row in enumerate(values)
    ]
    heads = ["", *(f"key {key}" for key in range(values.shape[1]))]
    arguments = f"sequence_length={len(values)}, num_tokens={cached}"
    return table(f"The mask for <code>{arguments}</code>", heads, rows)


def attention(layer: int, head: int, weights: Array, tokens: Sequence[str]) -> str:
    """The largest weights of each query."""
    names = [f"{visible(token)} ({position})" for position, token in enumerate(tokens)]
    rows = []
    for query, row in enumerate(weights):
        largest = np.argsort(-row[: query + 1], kind="stable")[:LARGEST]
        rows.append([names[query], ", ".join(f"{names[key]} {row[key]:.2f}" for key in largest)])
    caption = f"Where head {head} of <code>h.{layer}</code> looks: the largest weights"
    return table(caption, ["query", "keys"], rows)


def lens(text: str, levels: Sequence[Mapping[str, float]]) -> str:
    """What the model would say at the start, and after each block."""
    names = ["start", *(f"<code>h.{layer}</code>" for layer in range(len(levels) - 1))]
    rows = [
        [name, *(f"{visible(token)} {share(part)}" for token, part in level.items())]
        for name, level in zip(names, levels, strict=True)
    ]
    return table(
        f"What the head would say next after “{escape(text)}”",
        ["after", "first", "second", "third"],
        rows,
    )


def block(layer: int, token: str, stages: Sequence[Mapping[str, float]]) -> str:
    rows = [
        [f"<code>{stage}</code>", *(fixed(values[name], DIGITS[name]) for name in DIGITS)]
        for stage, values in zip(STAGES, stages, strict=True)
    ]
    caption = f"The vector of the last {visible(token)} on its way through <code>h.{layer}</code>"
    return table(caption, ["at", *DIGITS], rows)


def checkpoint(tensors: Mapping[str, tuple[Sequence[int], Sequence[int], bool]]) -> str:
    """The shape of each tensor in the file and in the model, and whether it is transposed."""
    rows = [
        [f"<code>{name}</code>", *(f"<code>{[*shape]}</code>" for shape in (file, model)), said]
        for name, (file, model, is_transposed) in tensors.items()
        for said in ["yes" if is_transposed else "no"]
    ]
    caption = "The bundled checkpoint, with the first of its blocks"
    return table(caption, ["name", "file", "model", "transposed"], rows)


def merges(text: str, left: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """The merges of a text: the rank, the pair, and what is left after it."""
    shown = [[rank, f"<code>{pair}</code>", f"<code>{rest}</code>"] for rank, pair, rest in rows]
    return table(f"The merges of {visible(text)}", ["rank", "pair", left], shown)


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose first column names the rows."""
    cells = "".join(f'<th scope="col">{head}</th>' if head else "<td></td>" for head in heads)
    lines = ['<table class="fallback">', f"<caption>{caption}</caption>"]
    lines += ["<thead>", f"<tr>{cells}</tr>", "</thead>", "<tbody>"]
    for name, *values in rows:
        others = "".join(f"<td>{value}</td>" for value in values)
        lines.append(f'<tr><th scope="row">{name}</th>{others}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>", ""])


def visible(token: str) -> str:
    """A token as the widgets show it: with its spaces and line ends made visible."""
    return f"<code>{escape(token.replace(' ', '␣').replace(chr(10), '↵'))}</code>"


def share(probability: float) -> str:
    return f"{probability:.1%}" if probability else "cut"


def fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
