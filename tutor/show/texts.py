"""How many pieces, letters, tokens and merges the text track turns a short text into."""

import itertools
from collections.abc import Iterable, Sized
from pathlib import Path
from typing import Any

from tutor.course.registry import Step, step_that
from tutor.engine.tokenizer import load_tokenizer
from tutor.engine.trees import learners_code, load_step
from tutor.errors import InputError
from tutor.show.tracing import Line

SHOWN = "The king's crown"
LEARNED_FROM, MERGES = "a rose is a rose is a rose", 5
WIDEST = 32  # of what is shown of a row


def of_text(step: Step, folder: Path, tree: str) -> list[Line]:
    """The functions of a step of the text track, how much goes in and comes out, and examples."""
    code = load_step(tree, step)
    with learners_code(tree):
        return of_tokens(code, folder) if step == step_that("tokenizes") else of_merges(code)


def of_tokens(code: Any, folder: Path) -> list[Line]:
    """A text on its way to ids and back, with the merges of a model."""
    if not (parts := load_tokenizer(folder).parts()):
        raise InputError(f"the tokenizer of {folder} is not like GPT-2's; leave out --model")
    ranks = {pair: rank for rank, pair in enumerate(parts[1])}
    pieces = code.split(SHOWN)
    letters = [code.spell(piece) for piece in pieces]
    tokens = [code.merge(row, ranks) for row in letters]
    tokenizer = code.BPETokenizer(*parts)
    ids = tokenizer.encode(SHOWN)
    spelled, merged = (list(itertools.chain(*rows)) for rows in (letters, tokens))
    return [
        Line("split", "", f"text → {len(pieces)} pieces", listed(pieces)),
        Line("spell", "", f"{len(pieces)} pieces → {len(spelled)} letters", listed(spelled)),
        Line("merge", "", f"{len(spelled)} letters → {len(merged)} tokens", listed(merged)),
        Line("encode", "", f"text → {named(ids, 'id')}", listed(map(str, ids))),
        Line("decode", "", f"{named(ids, 'id')} → text", tokenizer.decode(ids)),
    ]


def of_merges(code: Any) -> list[Line]:
    """A text on its way to merges and a vocabulary."""
    pieces = code.count_pieces(LEARNED_FROM)
    merges = code.learn_merges(pieces, MERGES)
    vocab = code.make_vocabulary(merges)
    size = len(code.train_tokenizer(LEARNED_FROM, len(vocab) + 1).ids)
    times = (f"{count}×{''.join(piece)}" for piece, count in pieces.items())
    joined = listed(one + other for one, other in merges)
    last = list(vocab)[-MERGES:]
    return [
        Line("count_pieces", "", f"text → {named(pieces, 'piece')}", listed(times)),
        Line("learn_merges", "", f"{named(pieces, 'piece')} → {len(merges)} merges", joined),
        Line("make_vocabulary", "", f"{len(merges)} merges → {len(vocab)} tokens", listed(last)),
        Line("train_tokenizer", "", f"text → {size} tokens", "with <|endoftext|>"),
    ]


def named(counted: Sized, word: str) -> str:
    """How many there are."""
    return f"{len(counted)} {word}{'s' * (len(counted) != 1)}"


def listed(parts: Iterable[str]) -> str:
    """As many of them as there is room for, with spaces visible."""
    shown = " ".join(part.replace(" ", "\N{OPEN BOX}") for part in parts)
    return shown if len(shown) <= WIDEST else f"{shown[: WIDEST - 2].rpartition(' ')[0]} …"
