"""Texts to train on: read from files, and divided into those to learn from and those to measure by.

What is held out must not be learned from, so every text counts once, however often it is there.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tutor.engine.tokenizer import END_OF_TEXT
from tutor.errors import InputError

LEAST = 10_000  # bytes: five pages
MANY = 20  # texts, of which whole ones are held out
SMALL = 400_000  # bytes, of a text of which a larger share has to be held out


def read(files: Iterable[Path]) -> list[str]:
    """The texts in files: each file is one, unless `<|endoftext|>` divides it."""
    found = [part.strip() for file in files for part in read_file(file).split(END_OF_TEXT)]
    texts = list(dict.fromkeys(text for text in found if text))
    if size(texts) < LEAST:
        raise InputError(
            f"the texts have {size(texts):,} bytes, which is too little to learn from; "
            f"give at least {LEAST:,}, about five pages"
        )
    return texts


def read_file(file: Path) -> str:
    """The text of a file. Raises InputError for what is no text in UTF-8."""
    if file.is_dir():
        raise InputError(f"{file} is a folder; name the files in it, as in {file}/*.txt")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{file} is not there; check its name") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not text in UTF-8: byte {error.start + 1:,} is wrong; convert it first"
        ) from None
    if not text.strip():
        raise InputError(f"{file} is empty; leave it out")
    return text.replace("\r\n", "\n")


def size(texts: Iterable[str]) -> int:
    """The bytes of texts, each with the end of its last line."""
    return sum(len(text.encode()) + len("\n") for text in texts)


def share(texts: Sequence[str]) -> float:
    """Which share to hold out: enough to measure by, and no more than can be measured quickly."""
    count = size(texts)
    return 0.1 if count < SMALL else min(0.05, SMALL / count)


def divide(texts: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """What to learn from and what is held out: whole texts of many, or else the end of each."""
    if len(texts) >= MANY:
        kept, heldout = hold_out_whole(texts, share, seed)
        if share / 2 < size(heldout) / size(texts) < 2 * share:
            return kept, heldout
    parts = [cut(text, share) for text in texts]
    return [kept for kept, _ in parts if kept], [end for _, end in parts if end]


def hold_out_whole(texts: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Whole texts are held out, so that no held-out line has a trained neighbour."""
    order = np.random.default_rng(seed).permutation(len(texts))
    count = round(len(texts) * share)
    return [texts[i] for i in order[count:]], [texts[i] for i in order[:count]]


def cut(text: str, share: float) -> tuple[str, str]:
    """A text without its end, and its end: from a paragraph on, or from a line, or from a word."""
    place = round(len(text) * (1 - share))
    for gap in ("\n\n", "\n", " "):
        found = text.find(gap, place, place + round(len(text) * share / 2))
        if found >= 0:
            return text[:found].rstrip(), text[found:].strip()
    return text[:place], text[place:]
