"""Byte-level BPE, written apart from the solutions: no regular expressions, one merge at a time."""

import unicodedata
from collections.abc import Mapping, Sequence

ENDINGS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")

Pair = tuple[str, str]
Piece = tuple[str, ...]


def letters() -> list[str]:
    """The letter of each byte: itself where it shows, or else the next one beyond Latin-1."""
    found, unseen = [], 0
    for byte in range(256):
        shows = chr(byte).isprintable() and not chr(byte).isspace()
        found.append(chr(byte) if shows else chr(256 + unseen))
        unseen += not shows
    return found


LETTERS = letters()
BYTES = {letter: byte for byte, letter in enumerate(LETTERS)}


def spell(piece: str) -> Piece:
    return tuple(LETTERS[byte] for byte in piece.encode())


def kind(character: str) -> str:
    """What a character counts as: space, letter, number or other."""
    if character.isspace() and character not in "\x1c\x1d\x1e\x1f":  # Python's own idea of them
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(character)[0], "other")


def split(text: str) -> list[str]:
    """The pieces of a text, found character by character."""
    pieces, start = [], 0
    while start < len(text):
        end = start + length(text, start)
        pieces.append(text[start:end])
        start = end
    return pieces


def length(text: str, start: int) -> int:
    """How long the piece is that begins here."""
    for ending in ENDINGS:
        if text.startswith(ending, start):
            return len(ending)
    begin = start + (text[start] == " " and start + 1 < len(text))
    if kind(text[begin]) != "space":
        return begin - start + run(text, begin)
    spaces = run(text, start)
    # The last of several spaces is left for what follows.
    return spaces - (spaces > 1 and start + spaces < len(text))


def run(text: str, start: int) -> int:
    """How many characters of the same kind stand here."""
    end = start
    while end < len(text) and kind(text[end]) == kind(text[start]):
        end += 1
    return end - start


def join(tokens: Sequence[str], pair: Pair) -> Piece:
    """The tokens with this pair joined, from left to right."""
    found: list[str] = []
    place = 0
    while place < len(tokens):
        both = tuple(tokens[place : place + 2]) == pair
        found.append("".join(tokens[place : place + 1 + both]))
        place += 1 + both
    return tuple(found)


def merge(tokens: Sequence[str], merges: Sequence[Pair]) -> list[str]:
    """The tokens after all merges: at each turn the first place of the earliest merge."""
    ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
    found = list(tokens)
    while True:
        places = [
            (ranks[found[i], found[i + 1]], i)
            for i in range(len(found) - 1)
            if (found[i], found[i + 1]) in ranks
        ]
        if not places:
            return found
        place = min(places)[1]
        found[place : place + 2] = [found[place] + found[place + 1]]


def cut(text: str, special: Sequence[str]) -> list[str]:
    """The parts of a text that are not empty; at each place the longest special token."""
    parts, plain, place = [], "", 0
    while place < len(text):
        here = max((each for each in special if text.startswith(each, place)), key=len, default="")
        if here:
            parts += [plain, here]
            plain = ""
        plain += "" if here else text[place]
        place += len(here) or 1
    return [part for part in [*parts, plain] if part]


def encode(
    vocab: Mapping[str, int], merges: Sequence[Pair], special: Sequence[str], text: str
) -> list[int]:
    ids = []
    for part in cut(text, special):
        pieces = [[part]] if part in special else [merge(spell(p), merges) for p in split(part)]
        ids += [vocab[token] for piece in pieces for token in piece]
    return ids


def decode(vocab: Mapping[str, int], special: Sequence[str], ids: Sequence[int]) -> str:
    tokens = {number: token for token, number in vocab.items()}
    found = bytearray()
    for number in ids:
        token = tokens[number]
        found += token.encode() if token in special else bytes(BYTES[each] for each in token)
    return found.decode(errors="replace")


def count_pieces(text: str, special: Sequence[str] = ()) -> dict[Piece, int]:
    counts: dict[Piece, int] = {}
    for part in cut(text, special):
        for piece in [] if part in special else split(part):
            spelled = spell(piece)
            counts[spelled] = counts.get(spelled, 0) + 1
    return counts


def learn_merges(pieces: Mapping[Piece, int], count: int) -> list[Pair]:
    """The merges, with all pairs counted anew for each."""
    order = {letter: place for place, letter in enumerate(sorted(LETTERS))}
    words = [(piece, times) for piece, times in pieces.items()]
    merges: list[Pair] = []
    while len(merges) < count:
        counts: dict[Pair, int] = {}
        for tokens, times in words:
            for i in range(len(tokens) - 1):
                pair = (tokens[i], tokens[i + 1])
                counts[pair] = counts.get(pair, 0) + times
        ranked = ((-times, order[one], order[other]) for (one, other), times in counts.items())
        first = min(ranked, default=(0, 0, 0))
        if first[0] > -2:
            break
        names = list(order)
        best = names[first[1]], names[first[2]]
        merges.append(best)
        order.setdefault("".join(best), len(order))
        words = [
            (join(tokens, best) if best[0] in tokens else tokens, times) for tokens, times in words
        ]
    return merges


def vocabulary(merges: Sequence[Pair], special: Sequence[str] = ()) -> dict[str, int]:
    vocab: dict[str, int] = {}
    for token in [*sorted(LETTERS), *("".join(pair) for pair in merges), *special]:
        vocab.setdefault(token, len(vocab))
    return vocab
