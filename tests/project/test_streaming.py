"""Text as it is made: all of it, in whole characters, and not a token more than was asked for."""

import itertools

import numpy as np
import pytest
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config
from solutions.solution_12 import LanguageModel
from tests.project.helpers import tensor
from tutor.generation import Tokenizer, stream_text

END = 256
PROMPT = [7, 8]


class Bytes(Tokenizer):
    """A tokenizer with a token for each byte, so that most characters take several."""

    def __init__(self) -> None:
        """There is no file to read."""

    def encode(self, text: str, /) -> list[int]:
        return list(text.encode())

    def decode(self, token_ids: list[int], /) -> str:
        return bytes(token_ids).decode(errors="replace")

    def end_of_text(self) -> int:
        return END


class Script:
    """A model that says the same tokens whatever it is shown, and counts how often it is asked."""

    def __init__(self, new_ids: list[int]) -> None:
        self.config = GPT2Config(vocab_size=END + 1, n_positions=1000)
        self.new_ids = new_ids
        self.asked = 0

    def __call__(self, input_ids: Tensor, /) -> Tensor:
        length = int(input_ids.shape[1])
        assert length == len(PROMPT) + self.asked
        logits = np.zeros((1, length, END + 1))
        logits[0, -1, self.new_ids[self.asked]] = 1
        self.asked += 1
        return tensor(logits)


def stream(model: LanguageModel, max_new_tokens: int) -> list[tuple[str, int]]:
    return list(stream_text(model, Bytes(), PROMPT, max_new_tokens, do_sample=False))


@pytest.mark.parametrize(
    "text",
    [
        "once",
        "fée",
        "🧚 and 🐉",
        "龍",
        "e\N{COMBINING ACUTE ACCENT}",
        "a\N{REPLACEMENT CHARACTER}b",
    ],
)
def test_pieces_are_whole_characters_and_together_the_text(text: str) -> None:
    new_ids = Bytes().encode(text)
    pieces = stream(Script(new_ids), len(new_ids))
    assert "".join(piece for piece, _ in pieces) == text
    assert sum(tokens for _, tokens in pieces) == len(new_ids)
    if "\N{REPLACEMENT CHARACTER}" not in text:
        assert pieces == [(character, len(character.encode())) for character in text]


def test_each_piece_comes_before_the_next_token_is_asked_for() -> None:
    model = Script(Bytes().encode("añb"))
    pieces = stream_text(model, Bytes(), PROMPT, 4, do_sample=False)
    seen = [(piece, model.asked) for piece, _ in pieces]
    assert seen == [("a", 1), ("ñ", 3), ("b", 4)]


def test_a_character_that_is_never_finished_is_shown_at_the_end() -> None:
    new_ids = Bytes().encode("a🧚")[:-1]
    expected = [("a", 1), ("\N{REPLACEMENT CHARACTER}", 3)]
    assert stream(Script(new_ids), len(new_ids)) == expected
    assert stream(Script([*new_ids, END]), 100) == expected


def test_bytes_that_are_no_text_do_not_hold_up_what_follows() -> None:
    new_ids = [0x80, 0xE2, 0x82, *b"ok"]
    pieces = stream(Script(new_ids), len(new_ids))
    assert pieces == [("\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}o", 4), ("k", 1)]


@pytest.mark.parametrize("most", [3, 4, 10**30])
def test_the_end_of_text_ends_the_text_and_is_not_shown(most: int) -> None:
    model = Script([*b"end", END, *b"more"])
    assert "".join(piece for piece, _ in stream(model, most)) == "end"
    assert model.asked == min(most, 4)


@pytest.mark.parametrize("most", [1, 5, 29])
def test_no_more_tokens_are_made_than_asked_for(most: int) -> None:
    model = Script(list(itertools.islice(itertools.cycle(b"on and "), 30)))
    assert sum(tokens for _, tokens in stream(model, most)) == most
    assert model.asked == most
