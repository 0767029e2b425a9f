"""Text as it is made: all of it, in whole characters, each piece as soon as it is there."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solutions.solution_01 import GPT2Config
from tutor.course.registry import step_that
from tutor.engine.generation import Engine, Story
from tutor.engine.loops import Options
from tutor.engine.tokenizer import Tokenizer
from tutor.errors import InputError

END = 256


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
    """A loop whose rows are written already; it counts how many columns were asked for."""

    step = step_that("caches")
    config = GPT2Config(vocab_size=END + 1, n_positions=1000)

    def __init__(self, *rows: list[int]) -> None:
        self.rows = rows
        self.asked = 0

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        raise NotImplementedError

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, _: int | None
    ) -> Iterator[NDArray[np.int64]]:
        assert len(prompts) == len(seeds) == len(self.rows)
        for column in itertools.islice(zip(*self.rows, strict=True), options.max_new_tokens):
            self.asked += 1
            yield np.array(column)


def engine_of(script: Script) -> Engine:
    return Engine(Script.config, Bytes(), lambda: script)


def pieces_of(new_ids: list[int], **options: bool) -> list[str]:
    engine = engine_of(Script(new_ids))
    pieces = list(engine.stream("go", **options))
    assert engine.write("go", **options) == "go" + "".join(pieces)
    return pieces


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
    pieces = pieces_of(Bytes().encode(text))
    assert "".join(pieces) == text
    if "\N{REPLACEMENT CHARACTER}" not in text:
        assert [piece for piece in pieces if piece] == list(text)


def test_each_piece_comes_before_the_next_token_is_asked_for() -> None:
    script = Script(Bytes().encode("añb"))
    stream = engine_of(script).stream("go")
    assert [(piece, script.asked) for piece in stream if piece] == [("a", 1), ("ñ", 3), ("b", 4)]


def test_a_character_that_is_never_finished_is_shown_at_the_end() -> None:
    new_ids = Bytes().encode("a🧚")[:-1]
    expected = ["a", "", "", "", "\N{REPLACEMENT CHARACTER}"]
    assert pieces_of(new_ids) == expected
    assert pieces_of([*new_ids, END]) == [*expected[:-1], "", expected[-1]]


def test_bytes_that_are_no_text_do_not_hold_up_what_follows() -> None:
    pieces = pieces_of([0x80, 0xE2, 0x82, *b"ok"])
    assert pieces == ["", "", "", "\N{REPLACEMENT CHARACTER}" * 2 + "o", "k", ""]


def test_what_comes_after_the_end_of_text_is_not_shown() -> None:
    assert "".join(pieces_of([*b"end", END, *b"more"])) == "end"


def test_rows_are_written_side_by_side_and_end_by_themselves() -> None:
    rows = [[*b"end", END, END], [*"fée".encode(), ord("s")]]
    engine = engine_of(Script(*rows))
    stories = [engine.story("a", 1), engine.story([ord("b")], 2)]
    pieces = [*engine.run(stories, Options())]
    assert pieces == [["e", "f"], ["n", ""], ["d", "é"], ["", "e"], ["", "s"], ["", ""]]
    assert stories == [
        Story("a", [97], 1, [*b"end"], "end", has_ended=True),
        Story("b", [98], 2, rows[1], "fées"),
    ]


def test_a_story_without_a_seed_gets_one_of_its_own() -> None:
    engine = engine_of(Script([]))
    assert len({engine.story("a").seed for _ in range(10)}) == 10


def test_a_prompt_of_ids_may_end_within_a_character() -> None:
    ids = Bytes().encode("a龍")
    engine = engine_of(Script(ids[-1:]))
    story = engine.story(ids[:-1])
    assert (story.prompt, story.prompt_ids) == ("a", ids[:-1])
    assert [piece for (piece,) in engine.run([story], Options())] == ["龍", ""]
    assert engine.story([0x80, 0x80, 0x80, 0x80]).prompt == "\N{REPLACEMENT CHARACTER}" * 4


@pytest.mark.parametrize("column", [[1000], [-1], [1, 2], [[1]], None])
def test_a_loop_that_yields_no_token_for_each_row_is_refused(column: Any) -> None:
    class Strange(Script):
        def tokens(self, *_: object) -> Iterator[Any]:
            yield column if column is None else np.array(column)

    engine = Engine(Script.config, Bytes(), Strange, tree="steps")
    with pytest.raises(InputError, match="cannot be used"):
        list(engine.run([engine.story("a")], Options()))
