"""The tokenizer of a model folder, and text that is made from tokens one by one."""

import itertools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tutor.engine import settings
from tutor.errors import InputError, reason

TOKENIZER, TWO_FILES = "tokenizer.json", ("vocab.json", "merges.txt")
END_OF_TEXT = "<|endoftext|>"

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # where the bytes of a text end within a character
FUSING = ("Fuse", "ByteLevel")  # decoders that make one text of all tokens
# Of a tokenizer.json like GPT-2's: the kinds of its parts, and what its model doesn't have.
LIKE_GPT2 = "BPE", "ByteLevel", "ByteLevel"
ODD = (
    *("unk_token", "continuing_subword_prefix", "end_of_word_suffix"),
    *("byte_fallback", "ignore_merges", "dropout"),
)
KEPT = 32  # tokens before those to be decoded: more than any decoder looks back

Parts = tuple[dict[str, int], list[tuple[str, str]], list[str]]  # vocab, merges, special tokens
Guard = Callable[[], AbstractContextManager[None]]


class Tokenizer:
    """The tokenizer of a model folder as generation wants it.

    From its tokenizer.json, or from the two files that GPT-2 itself came with.
    """

    _bytes: frozenset[int] = frozenset()  # tokens that are a byte each, of a character or of none
    is_own = False  # the learner's
    _is_local = True  # what a token adds to a text is certain when it comes
    _ends_words = False  # spaces come with the word before them, not with the one after
    _start: list[int] = []  # noqa: RUF012 (not changed)

    def __init__(self, *files: Path) -> None:
        self._tokenizer = read(*files)
        # Both may be saved with a tokenizer, and are for training.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._start = self._encode("a")[0]
        decoders = list_decoders(self._tokenizer.decoder)
        if "ByteFallback" in decoders:
            named = (self._tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256))
            self._bytes = frozenset(token for token in named if token is not None)
        self._ends_words = "BPEDecoder" in decoders
        fused = [decoders.index(kind) for kind in FUSING if kind in decoders]
        self._is_local = not fused or set(decoders[min(fused) + 1 :]) <= {"Strip", "Fuse"}

    def encode(self, text: str, /) -> list[int]:
        """The tokens of a text, and those that the tokenizer puts before it, but none after it."""
        start, ids = self._encode(text)
        return [*start, *ids] if ids else []

    def _encode(self, text: str) -> tuple[list[int], list[int]]:
        """The tokens that the tokenizer puts before a text, and those of the text itself."""
        encoding = self._tokenizer.encode(text)
        ids: list[int] = encoding.ids
        of_text = [number for number, part in enumerate(encoding.sequence_ids) if part is not None]
        if not of_text:
            return [], []
        return ids[: of_text[0]], ids[of_text[0] : of_text[-1] + 1]

    def decode(self, token_ids: list[int], /) -> str:
        if not token_ids:
            return ""  # some decoders of the library panic at it
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        return text

    def end_of_text(self) -> int | None:
        """The token with which GPT-2 ends a text."""
        token: int | None = self._tokenizer.token_to_id(END_OF_TEXT)
        return token

    def without_start(self, token_ids: list[int]) -> list[int]:
        """Tokens without those that `encode` puts before a text."""
        count = len(self._start)
        return token_ids[count:] if self._start == token_ids[:count] else token_ids

    def show(self, token: int) -> str:
        """The text of a token within a text, with the space that some decoders take from the first.

        Shown by itself, as in a table.
        """
        alone = self.decode([token])
        before = [each for each in self.encode("a")[-1:] if each != token]
        text = self.decode([*before, token])
        added = text.removeprefix(self.decode(before))
        is_same = before and not self._ends_words and added.strip() == alone.strip()
        return added if is_same else alone

    def silent(self, size: int) -> NDArray[np.int64]:
        """The tokens below a size that this tokenizer does not have, so that they have no text."""
        has_text = np.zeros(size, bool)
        known = np.fromiter(self._tokenizer.get_vocab().values(), np.int64)
        has_text[known[known < size]] = True
        return np.flatnonzero(~has_text)

    def parts(self) -> Parts | None:
        """What its files hold, if it is a tokenizer like GPT-2's, and no other."""
        entries = json.loads(self._tokenizer.to_str())
        model, splitter = entries["model"], entries["pre_tokenizer"] or {}
        decoder, added = entries["decoder"] or {}, entries["added_tokens"]
        odd = [model.get(name) for name in ODD]
        odd += [entries["normalizer"], splitter.get("add_prefix_space", True), *self._start]
        odd += [token[name] for token in added for name in ("single_word", "lstrip", "rstrip")]
        kinds = model.get("type", "BPE"), splitter.get("type"), decoder.get("type")
        if kinds != LIKE_GPT2 or any(odd) or not splitter.get("use_regex", True):
            return None
        merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
        special = {token["content"]: token["id"] for token in added}
        return model["vocab"] | special, [(one, other) for one, other in merges], list(special)

    def may_change(self, token: int, text: str) -> bool:
        """Whether the end of a text, with this last token, may change by what comes after it."""
        return not self._is_local or token in self._bytes or text.endswith(UNFINISHED)


class OwnTokenizer(Tokenizer):
    """The same tokenizer, where a learner's own code turns text into ids and back."""

    is_own = True

    def __init__(self, tokenizer: Tokenizer, own: Any, guard: Guard) -> None:
        self._tokenizer, self._own, self._guard = tokenizer._tokenizer, own, guard

    def _encode(self, text: str) -> tuple[list[int], list[int]]:
        with self._guard():
            return [], [int(token) for token in self._own.encode(text)]

    def decode(self, token_ids: list[int], /) -> str:
        with self._guard():
            text = self._own.decode(list(token_ids))
            if not isinstance(text, str):
                raise TypeError(f"decode returned {type(text).__name__}, not str")
        return text


class NoTokenizer(Tokenizer):
    """Stands in where a folder has none: there is no text, only token ids with commas."""

    def __init__(self, why: str) -> None:
        self._why = why

    def _encode(self, text: str) -> tuple[list[int], list[int]]:  # noqa: ARG002
        raise InputError(self._why)

    def decode(self, token_ids: list[int], /) -> str:
        return ",".join(map(str, token_ids))

    def end_of_text(self) -> None:
        return None

    def parts(self) -> None:
        return None

    def show(self, token: int) -> str:
        return str(token)

    def silent(self, size: int) -> NDArray[np.int64]:  # noqa: ARG002
        return np.array([], np.int64)


class Stream:
    """The text of tokens that come one by one: in all, what a decode of the whole adds to it.

    DecodeStream of the tokenizers library is not used: bytes that are no text make it raise.
    """

    def __init__(self, tokenizer: Tokenizer, before: list[int], count: int = 0) -> None:
        """Begins after some tokens; the text of the last `count` of them is still to come."""
        self._tokenizer, self._ids = tokenizer, list(before)
        self._told = tokenizer.decode(before[: len(before) - count])
        self._next = len(before)  # where to cut, once enough has come after it

    def add(self, token: int) -> str:
        """What is certain with one more token, which may be nothing."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if self._tokenizer.may_change(token, text):
            return ""
        added = self._tell(text)
        if len(self._ids) - self._next >= KEPT:
            self._forget(text)
        return added

    def finish(self) -> str:
        """The text of the tokens that are left."""
        return self._tell(self._tokenizer.decode(self._ids))

    def _tell(self, text: str) -> str:
        told, self._told = self._told, text
        if not text.startswith(told):  # it ended within a character, and what came is none
            same = itertools.takewhile(
                lambda pair: pair[0] == pair[1], zip(told, text, strict=False)
            )
            told = "".join(character for character, _ in same)
        return text[len(told) :]

    def _forget(self, text: str) -> None:
        """Go on without the tokens that no decoder looks back to."""
        kept = self._ids[self._next :]
        told = self._tokenizer.decode(kept)
        if text.endswith(told):
            self._ids, self._told = kept, told
        self._next = len(self._ids)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder; where it has none, one that knows token ids alone."""
    files = [folder / TOKENIZER]
    if not files[0].is_file():
        files = [folder / file for file in TWO_FILES]
        match [file.name for file in files if not file.is_file()]:
            case [lacking]:
                raise InputError(
                    f"{folder} has no {TOKENIZER} and no {lacking}; "
                    f"{' and '.join(TWO_FILES)} could stand in for it"
                )
            case [_, _]:
                return NoTokenizer(
                    f"{folder} has no {TOKENIZER}, so there is no text; put it there, or give "
                    "--prompt-tokens"
                )
    try:
        return Tokenizer(*files)
    except Exception as error:  # the library raises nothing narrower
        named = " with ".join(map(str, files))
        raise InputError(f"{named} cannot be read ({reason(error)}); fetch it anew") from None


def read(*files: Path) -> Any:
    """A tokenizer of the library."""
    from tokenizers import Tokenizer as FastTokenizer
    from tokenizers import decoders, models, pre_tokenizers

    if len(files) == 1:
        return FastTokenizer.from_str(settings.read_text(files[0]))
    vocabulary, merges = map(settings.read_text, files)
    pairs = [
        tuple(line.split())
        for line in merges.splitlines()
        if line.strip() and line[:8] != "#version"
    ]
    tokenizer = FastTokenizer(models.BPE(json.loads(vocabulary), pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if tokenizer.token_to_id(END_OF_TEXT) is not None:
        tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def list_decoders(decoder: Any) -> list[str]:
    """The kinds of decoders that run one after the other."""
    if decoder is None:
        return []
    waiting, kinds = [json.loads(decoder.__getstate__())], []
    while waiting:
        entry = waiting.pop(0)
        kinds.append(entry["type"])
        waiting[:0] = entry.get("decoders", [])
    return [kind for kind in kinds if kind != "Sequence"]
