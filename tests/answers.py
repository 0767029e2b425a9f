"""What the suite of engine 07 compares with: a tokenizer of bytes, and which text is certain."""

import itertools
from typing import Any

from tests.samples import respelled

ASKED: dict[str, Any] = {"model": "tales", "prompt": respelled("Once")}
DEFAULTS: dict[str, Any] = {
    **ASKED,
    "max_tokens": 16,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": None,
    "n": 1,
    "seed": None,
    "stop": [],
    "stream": False,
}
WORDS = [" the", " wolf", " wo", "od", " a", " \u20ac", "na\u00efve", ".", "\n", " ends", " end"]
WORDS.append("s")
# Each token is some bytes: whole words, then the bytes of two characters one by one, and no text.
LETTERS = [*"\u20ac\u00e9".encode()]
PIECES = [*([*respelled(word).encode()] for word in WORDS), *([byte] for byte in LETTERS), [0xFF]]
EURO, ACUTE = [12, 13, 14], [15, 16]
NO_TEXT = 17
PROMPT = [4, 1]


# What they are, the tokens of each row, and how these end.
TEXTS: tuple[Any, ...] = (
    ("a text", [[0, 1, 7]], ["length"]),
    ("a text that ends by itself", [[0, 1, 7]], ["stop"]),
    ("a text with characters in parts", [[0, *EURO, *ACUTE, 1]], ["length"]),
    ("a text that ends within a character", [[0, *EURO[:2]]], ["length"]),
    ("a text that ends within a character by itself", [[4, *EURO, ACUTE[0]]], ["stop"]),
    ("a text with bytes that are none", [[0, NO_TEXT, 1, EURO[0], 1]], ["length"]),
    ("a text of no tokens", [[]], ["stop"]),
    ("three texts", [[0, 1, 7], [*EURO, 6], [5]], ["length", "stop", "length"]),
)


def spell(tokens: list[int], strips: bool = False) -> str:
    text = bytes(byte for token in tokens for byte in PIECES[token]).decode(errors="replace")
    return text[1:] if strips and text[:1] == " " else text


def certain(tokens: list[int], stops: list[str], ended: str, strips: bool) -> tuple[str, str]:
    """The text after the prompt that is certain with these tokens, and why it has ended."""
    text = spell([*PROMPT, *tokens], strips)[len(spell(PROMPT, strips)) :]
    while not ended and text.endswith("\ufffd"):
        text = text[:-1]
    places = sorted(text.index(stop) for stop in stops if stop in text)
    if places:
        return text[: places[0]], "stop"
    if ended:
        return text, ended
    cuts = range(len(text) + 1)
    held = (cut for cut in cuts if any(stop.startswith(text[cut:]) for stop in stops))
    return text[: next(held, len(text))], ""


def answered(
    texts: list[list[int]], ends: list[str], stops: list[str], strips: bool
) -> dict[str, Any]:
    """The pieces of each step and row, the texts, their ends, and how many tokens were needed."""
    chunks, sent, ended, new = [], [""] * len(texts), [""] * len(texts), [0] * len(texts)
    for turn, number in itertools.product(range(max(map(len, texts)) + 1), range(len(texts))):
        tokens = texts[number][: turn + 1]
        if ended[number]:
            continue
        is_last = turn + (ends[number] == "length") == len(texts[number])
        text, why = certain(tokens, stops, ends[number] if is_last else "", strips)
        piece, sent[number] = text[len(sent[number]) :], text
        ended[number], new[number] = why, len(tokens)
        chunks.append([turn, number, [number, piece, why or None] if piece or why else None])
    return {"chunks": chunks, "texts": sent, "ended": ended, "new": new}
