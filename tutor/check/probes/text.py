"""The probes of the text track, which need no MAX."""

import operator
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from tutor.check.probes.names import public
from tutor.check.sandbox.errors import ContractError

Pairs = Sequence[tuple[str, str]]


def strings(value: object, what: str, verb: str = "returned") -> list[str]:
    """What the code under check returned, if it is a row of strings."""
    if value is None:
        raise ContractError(f"{what} {verb} None; does it end in a return?")
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ContractError(f"{what} {verb} {type(value).__name__}, not a list of strings")
    found = list(value)
    for each in found:
        if not isinstance(each, str):
            raise ContractError(f"{what} {verb} a list with {type(each).__name__} in it, not str")
    return found


def text(value: object, what: str, verb: str = "returned") -> str:
    """What the code under check returned, if it is a text."""
    if not isinstance(value, str):
        raise ContractError(f"{what} {verb} {type(value).__name__}, not a str")
    return str(value)


def number(value: Any, what: str) -> int:
    """A whole number that the code under check returned."""
    try:
        return int(operator.index(value))
    except TypeError:
        raise ContractError(f"{what} has {type(value).__name__} in it, not int") from None


def numbers(value: Any, what: str) -> list[int]:
    """What the code under check returned, if it is a row of whole numbers."""
    if not isinstance(value, Iterable):
        raise ContractError(f"{what} returned {type(value).__name__}, not a list of ids")
    return [number(each, f"what {what} returned") for each in value]


def pairs(value: Any, what: str) -> list[list[str]]:
    """What the code under check returned, if it is a row of pairs of strings."""
    if not isinstance(value, Iterable):
        raise ContractError(f"{what} returned {type(value).__name__}, not a list of pairs")
    found = [strings(each, what) for each in value]
    for each in found:
        if len(each) != 2:
            raise ContractError(f"{what} returned {tuple(each)}, which is not a pair")
    return found


def table(value: object, what: str) -> dict[Any, Any]:
    """What the code under check returned, if it is a dictionary."""
    if not isinstance(value, dict):
        raise ContractError(f"{what} returned {type(value).__name__}, not a dictionary")
    return value


class TextProbes:
    """What a check of the text track can ask of a step."""

    def __init__(self, step: ModuleType) -> None:
        self.step = step

    # Text 01

    def byte_letters(self) -> dict[str, str]:
        """The letter of each byte; the bytes as text, since names in a message are."""
        letters = table(public(self.step, "byte_letters")(), "byte_letters")
        return {
            str(byte): text(letters[byte], "a letter of byte_letters", "is") for byte in letters
        }

    def call_each(self, name: str, cases: Sequence[Sequence[Any]]) -> list[list[str]]:
        """What a function returns for the arguments of each case, as lists of strings."""
        function = public(self.step, name)
        return [strings(function(*case), name) for case in cases]

    def join_each(self, cases: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[list[str]]:
        """The same of join, for tokens and a pair."""
        return self.call_each("join", [(list(tokens), tuple(pair)) for tokens, pair in cases])

    def merge_each(self, cases: Sequence[tuple[Sequence[str], Pairs]]) -> list[list[str]]:
        """The same of merge, for tokens and the merges in their order."""
        ranked = [
            (list(tokens), {tuple(pair): rank for rank, pair in enumerate(merges)})
            for tokens, merges in cases
        ]
        return self.call_each("merge", ranked)

    def encode_each(
        self, vocab: dict[str, int], merges: Pairs, special: Sequence[str], texts: Sequence[str]
    ) -> list[list[int]]:
        """The ids of each text."""
        tokenizer = self._tokenizer(vocab, merges, special)
        return [numbers(tokenizer.encode(each), "encode") for each in texts]

    def decode_each(
        self,
        vocab: dict[str, int],
        merges: Pairs,
        special: Sequence[str],
        rows: Sequence[Sequence[int]],
    ) -> list[str]:
        """The text of each row of ids."""
        tokenizer = self._tokenizer(vocab, merges, special)
        return [text(tokenizer.decode(list(ids)), "decode") for ids in rows]

    def _tokenizer(self, vocab: dict[str, int], merges: Pairs, special: Sequence[str]) -> Any:
        made = public(self.step, "BPETokenizer")
        return made(dict(vocab), [(one, other) for one, other in merges], list(special))

    # Text 02

    def count_pieces(self, written: str, special: Sequence[str]) -> list[list[Any]]:
        """The pieces of a text and how often each occurs, in the order of the pieces."""
        what = "count_pieces"
        counts = table(public(self.step, what)(written, list(special)), what)
        keys = {piece: tuple(strings(piece, f"a key of {what}", "is")) for piece in counts}
        found = {keys[piece]: number(counts[piece], what) for piece in counts}
        return [[list(piece), found[piece]] for piece in sorted(found)]

    def learn_merges(
        self, pieces: Sequence[tuple[Sequence[str], int]], count: int
    ) -> list[list[str]]:
        """The merges that are learned from pieces and how often each occurs."""
        counted = {tuple(piece): times for piece, times in pieces}
        return pairs(public(self.step, "learn_merges")(counted, count), "learn_merges")

    def make_vocabulary(self, merges: Pairs, special: Sequence[str]) -> dict[str, int]:
        """The vocabulary of these merges and special tokens."""
        what, ordered = "make_vocabulary", [(one, other) for one, other in merges]
        vocab = table(public(self.step, what)(ordered, list(special)), what)
        return {
            text(token, f"a key of {what}", "is"): number(vocab[token], what) for token in vocab
        }

    def train_tokenizer(
        self, written: str, size: int, special: Sequence[str] | None, texts: Sequence[str]
    ) -> list[list[Any]]:
        """The ids of each text by a tokenizer of its own, and the text that comes back of them."""
        given = [] if special is None else [list(special)]
        tokenizer = public(self.step, "train_tokenizer")(written, size, *given)
        if not (callable(getattr(tokenizer, "encode", None)) and hasattr(tokenizer, "decode")):
            found = type(tokenizer).__name__
            raise ContractError(f"train_tokenizer returned {found}, not a BPETokenizer")
        rows = [numbers(tokenizer.encode(each), "encode") for each in texts]
        return [[ids, text(tokenizer.decode(ids), "decode")] for ids in rows]
