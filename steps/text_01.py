"""Text 01: byte-level BPE, which turns text into token ids and back.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read t1   or   uv run tutor book t1
Check:   pixi run t01   or   uv run tutor check t1

Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", section 3.2;
Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.2, for the bytes.
"""

import functools
import itertools
from collections.abc import Collection, Mapping, Sequence

import regex

Pair = tuple[str, str]


@functools.cache
def byte_letters() -> dict[int, str]:
    """The letter of each byte: a printable character, and no two the same."""
    # TODO: The bytes of !…~, ¡…¬ and ®…ÿ keep their own characters, chr(byte). Give the other
    #   bytes, from 0 up, the characters 256, 257 and so on.
    raise NotImplementedError("text 01: byte_letters")


def split(text: str) -> list[str]:
    """The pieces of a text, in order; joined, they are the text. No token spans two pieces."""
    # TODO: Return everything that one pattern finds. Its alternatives, in this order: 1. the
    #   endings 's 't 're 've 'm 'll 'd; 2. a run of letters \p{L}, 3. of digits \p{N}, 4. of
    #   anything else but white space \s, each of these with the space before it if there is one; 5.
    #   white space, but without its last character if a piece follows; 6. any other white space. re
    #   has no \p, but regex does.
    raise NotImplementedError("text 01: split")


def spell(piece: str) -> list[str]:
    """A piece, spelled in the letters of its bytes."""
    # TODO: Encode the piece in UTF-8, and take the letter of each byte.
    raise NotImplementedError("text 01: spell")


def join(tokens: Sequence[str], pair: Pair) -> list[str]:
    """The tokens, with the two of a pair joined into one wherever they are neighbors."""
    # TODO: Go through the tokens from left to right. If the last one you've kept and this one are
    #   the pair, append this one to it; otherwise keep this one as it is.
    raise NotImplementedError("text 01: join")


def merge(tokens: Sequence[str], ranks: Mapping[Pair, int]) -> list[str]:
    """The tokens after all merges; a pair with a lower rank was learned earlier, and goes first."""
    # TODO: As long as any pair of neighbors has a rank, join the pair with the lowest one.
    raise NotImplementedError("text 01: merge")


def cut(text: str, special_tokens: Collection[str]) -> list[str]:
    """The parts of a text: special tokens, and what comes before, between and after them."""
    # TODO: Look for all special tokens at once, the longest first, so that none hides a longer one.
    #   Take their characters literally, and keep them: regex.split keeps whatever a group matches.
    #   Without special tokens, the text is a single part.
    raise NotImplementedError("text 01: cut")


class BPETokenizer:
    """Turns text into token ids and back, as GPT-2 does."""

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[Pair],
        special_tokens: Collection[str] = (),
    ) -> None:
        # TODO: Keep the ids by token, the tokens by id, and the ranks of the merges by pair; the
        #   first merge has rank 0. Keep the special tokens, too; their ids are also in vocab.
        raise NotImplementedError("text 01: BPETokenizer.__init__")

    def encode(self, text: str, /) -> list[int]:
        """The token ids of a text."""
        # TODO: Cut the text. A special token is a single id. Split any other part, spell each
        #   piece, merge its letters, and take the ids of the tokens that come out.
        raise NotImplementedError("text 01: BPETokenizer.encode")

    def decode(self, ids: Sequence[int], /) -> str:
        """The text of token ids, with U+FFFD for bytes that are not a character."""
        # TODO: Turn each letter of a token into its byte, and a special token into its own UTF-8.
        #   Join all bytes before you decode, since a character may have its bytes in several
        #   tokens. With errors="replace", bytes that aren't UTF-8 don't raise an error.
        raise NotImplementedError("text 01: BPETokenizer.decode")
