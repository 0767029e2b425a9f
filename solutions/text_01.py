"""Text 01: byte-level BPE, which turns text into token ids and back.

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
    # The bytes of !…~, ¡…¬ and ®…ÿ keep their own characters, chr(byte). Give the other bytes, from
    # 0 up, the characters 256, 257 and so on.
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    plain += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in plain]
    numbers = {byte: byte for byte in plain} | {byte: 256 + n for n, byte in enumerate(others)}
    return {byte: chr(numbers[byte]) for byte in range(256)}


def split(text: str) -> list[str]:
    """The pieces of a text, in order; joined, they are the text. No token spans two pieces."""
    # Return everything that one pattern finds. Its alternatives, in this order: 1. the endings 's
    # 't 're 've 'm 'll 'd; 2. a run of letters \p{L}, 3. of digits \p{N}, 4. of anything else but
    # white space \s, each of these with the space before it if there is one; 5. white space, but
    # without its last character if a piece follows; 6. any other white space. re has no \p, but
    # regex does.
    pattern = r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)


def spell(piece: str) -> list[str]:
    """A piece, spelled in the letters of its bytes."""
    # Encode the piece in UTF-8, and take the letter of each byte.
    letters = byte_letters()
    return [letters[byte] for byte in piece.encode("utf-8")]


def join(tokens: Sequence[str], pair: Pair) -> list[str]:
    """The tokens, with the two of a pair joined into one wherever they are neighbors."""
    # Go through the tokens from left to right. If the last one you've kept and this one are the
    # pair, append this one to it; otherwise keep this one as it is.
    joined: list[str] = []
    for token in tokens:
        if joined and (joined[-1], token) == pair:
            joined[-1] += token
        else:
            joined.append(token)
    return joined


def merge(tokens: Sequence[str], ranks: Mapping[Pair, int]) -> list[str]:
    """The tokens after all merges; a pair with a lower rank was learned earlier, and goes first."""
    # As long as any pair of neighbors has a rank, join the pair with the lowest one.
    tokens = list(tokens)
    while pairs := [pair for pair in itertools.pairwise(tokens) if pair in ranks]:
        tokens = join(tokens, min(pairs, key=ranks.__getitem__))
    return tokens


def cut(text: str, special_tokens: Collection[str]) -> list[str]:
    """The parts of a text: special tokens, and what comes before, between and after them."""
    # Look for all special tokens at once, the longest first, so that none hides a longer one. Take
    # their characters literally, and keep them: regex.split keeps whatever a group matches. Without
    # special tokens, the text is a single part.
    if not special_tokens:
        return [text]
    longest_first = sorted(special_tokens, key=len, reverse=True)
    return regex.split(f"({'|'.join(map(regex.escape, longest_first))})", text)


class BPETokenizer:
    """Turns text into token ids and back, as GPT-2 does."""

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[Pair],
        special_tokens: Collection[str] = (),
    ) -> None:
        # Keep the ids by token, the tokens by id, and the ranks of the merges by pair; the first
        # merge has rank 0. Keep the special tokens, too; their ids are also in vocab.
        self.ids, self.tokens = vocab, {number: token for token, number in vocab.items()}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.special_tokens = special_tokens

    def encode(self, text: str, /) -> list[int]:
        """The token ids of a text."""
        # Cut the text. A special token is a single id. Split any other part, spell each piece,
        # merge its letters, and take the ids of the tokens that come out.
        ids: list[int] = []
        for part in cut(text, self.special_tokens):
            if part in self.special_tokens:
                ids.append(self.ids[part])
            else:
                pieces = (merge(spell(piece), self.ranks) for piece in split(part))
                ids += [self.ids[token] for tokens in pieces for token in tokens]
        return ids

    def decode(self, ids: Sequence[int], /) -> str:
        """The text of token ids, with U+FFFD for bytes that are not a character."""
        # Turn each letter of a token into its byte, and a special token into its own UTF-8. Join
        # all bytes before you decode, since a character may have its bytes in several tokens. With
        # errors="replace", bytes that aren't UTF-8 don't raise an error.
        values = {letter: byte for byte, letter in byte_letters().items()}
        parts: list[bytes] = []
        for token in map(self.tokens.__getitem__, ids):
            is_special = token in self.special_tokens
            parts.append(token.encode() if is_special else bytes(values[each] for each in token))
        return b"".join(parts).decode("utf-8", errors="replace")
