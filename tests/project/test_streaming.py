"""Text as it is made: all of it, in whole characters, each piece as soon as it is there."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from solutions.solution_01 import GPT2Config
from tutor.course.registry import step_that
from tutor.engine.generation import Engine, Story
from tutor.engine.loops import Options
from tutor.engine.tokenizer import Stream, Tokenizer, load_tokenizer
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
    remark = ""

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


# Decoders: what is told piece by piece is what one decode of the whole adds to the prompt


def tokenizer_of(folder: Path, decoder: Any, words: Sequence[str], **others: Any) -> Tokenizer:
    """A tokenizer that has these words and decodes them like this."""
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    built = FastTokenizer(models.WordLevel(vocabulary, unk_token=words[0]))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if decoder:
        built.decoder = decoder
    for name, value in others.items():
        setattr(built, name, value)
    built.save(str(folder / "tokenizer.json"))
    return load_tokenizer(folder)


ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# With marks for spaces, other scripts, a mark that combines, a special token, and none that is text
WORDS = ["<s>", "▁a", "b", "▁", "龍", "e\u0301", "\u0301", "🧚", "▁▁", "\ufffd", ". ", "ab", "</s>"]
SPACES = decoders.Replace("▁", " ")
LLAMA = [SPACES, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
DECODERS: dict[str, tuple[Any, list[str]]] = {
    "ByteLevel": (decoders.ByteLevel(), ["<s>", *ALPHABET, "Ġa", "ab"]),
    "Metaspace": (decoders.Metaspace(), WORDS),
    "Metaspace in the middle": (decoders.Metaspace(prepend_scheme="never"), WORDS),
    "SentencePiece": (decoders.Sequence(LLAMA), [*WORDS, *BYTES]),
    "SentencePiece, unstripped": (decoders.Sequence(LLAMA[:3]), [*WORDS, *BYTES]),
    "ByteFallback": (decoders.ByteFallback(), [*WORDS, *BYTES]),
    "WordPiece": (decoders.WordPiece(), ["[UNK]", "a", "##b", ".", "n't", "'s", "龍", "do", "##"]),
    "BPEDecoder": (decoders.BPEDecoder(), ["u", "a</w>", "b", "c</w>", "龍"]),
    "CTC": (decoders.CTC(), ["<pad>", "a", "b", "|", ".", "n't"]),
    "Replace, Strip": (decoders.Sequence([SPACES, decoders.Strip(" ", 1, 0)]), WORDS),
    "Fuse": (decoders.Fuse(), WORDS),
    "Strip": (decoders.Strip("b", 1, 0), WORDS),
    "Fuse, Replace": (
        decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "X"), SPACES]),
        WORDS,
    ),
    "ByteLevel, Replace": (
        decoders.Sequence([decoders.ByteLevel(), decoders.Replace("ab", "X")]),
        ["<s>", *ALPHABET],
    ),
    "none": (None, WORDS),
}


def texts_of(words: list[str], rng: np.random.Generator) -> Iterator[Any]:
    """Token ids, drawn from a vocabulary with whole characters in bytes among them."""
    size, first = len(words), words.index("<0x00>") if "<0x00>" in words else None
    for length in (1, 2, 7, 7, 7, 20, 150):
        for _ in range(20):
            ids = rng.integers(size, size=length).tolist()
            if first is not None:  # most tokens are words, and most bytes are of a character
                ids = [token if rng.random() < 0.1 else token % first for token in ids]
                for place in rng.integers(length, size=length // 4):
                    letter = "龍🧚éa"[rng.integers(4)]
                    ids[place:place] = [first + byte for byte in letter.encode()]
            yield ids, int(rng.integers(min(len(ids), 40)))


@pytest.mark.parametrize("name", DECODERS)
def test_pieces_are_what_one_decode_adds_to_the_prompt(name: str, tmp_path: Path) -> None:
    decoder, words = DECODERS[name]
    tokenizer, told = tokenizer_of(tmp_path, decoder, words), 0
    for ids, begin in texts_of(words, np.random.default_rng(0)):
        stream = Stream(tokenizer, ids[:begin])
        text = "".join([*map(stream.add, ids[begin:]), stream.finish()])
        prompt, whole = tokenizer.decode(ids[:begin]), tokenizer.decode(ids)
        if whole.startswith(prompt):  # else bytes of the prompt were no text after all
            assert text == whole[len(prompt) :], ids
            told += 1
    assert told > 100


@pytest.mark.parametrize(
    ("name", "tokens", "pieces"),
    [
        ("SentencePiece", ["▁a", "b", "▁a"], [" a", "b", " a", ""]),
        ("SentencePiece", ["<0xE9>", "<0xBE>", "<0x8D>", "b"], ["", "", "", "龍b", ""]),
        ("SentencePiece", ["<0x61>", "<0xFF>", "b"], ["", "", "\ufffd\ufffdb", ""]),
        ("Metaspace", ["▁a", "🧚", "</s>"], [" a", "🧚", "</s>", ""]),
        ("WordPiece", ["a", "##b", "n't", "."], [" a", "b", "n't", ".", ""]),
        ("BPEDecoder", ["b", "a</w>", "c</w>"], [" b", "a", " c", ""]),
        ("CTC", ["a", "a", "<pad>", "a", "|"], ["a", "", "", "a", " ", ""]),
        ("Fuse, Replace", ["a", "b"], ["", "", "X"]),
    ],
)
def test_spaces_come_with_the_word_that_they_are_before(
    name: str, tokens: list[str], pieces: list[str], tmp_path: Path
) -> None:
    decoder, words = DECODERS[name]
    tokenizer = tokenizer_of(tmp_path, decoder, [*words, *tokens])
    before = {"WordPiece": "do", "CTC": "b", "BPEDecoder": "c</w>"}.get(name, words[1])
    ids = [list(dict.fromkeys([*words, *tokens])).index(token) for token in (before, *tokens)]
    stream = Stream(tokenizer, ids[:1])
    got = [*map(stream.add, ids[1:]), stream.finish()]
    assert got == pieces


# What a tokenizer does to a text of its own accord


TEMPLATES = {
    "before": ("<s> $A", 1),
    "around": ("<s> $A </s>", 1),
    "twice before": ("<s> <s> $A", 2),
    "after": ("$A </s>", 0),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_tokens_that_encode_adds_are_seen_but_not_shown(name: str, tmp_path: Path) -> None:
    template, count = TEMPLATES[name]
    special = [(token, WORDS.index(token)) for token in ("<s>", "</s>")]
    processor = processors.TemplateProcessing(single=template, special_tokens=special)
    vocabulary = [*WORDS, "a"]
    tokenizer = tokenizer_of(
        tmp_path, DECODERS["Metaspace"][0], vocabulary, post_processor=processor
    )
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    ids = tokenizer.encode("▁a b")
    assert ids == [WORDS.index("<s>")] * count + [1, 2]
    assert theirs.encode("▁a b")[: len(ids)] == ids
    engine = Engine(Script.config, tokenizer, lambda: Script([1, 2]))
    for prompt in ("▁a b", ids):
        story = engine.story(prompt)
        assert (story.prompt, story.prompt_ids) == ("▁a b" if prompt != ids else "ab", ids)
        assert "".join(piece for (piece,) in engine.run([story], Options())) == " ab"


def test_padding_and_truncation_are_for_training(tmp_path: Path) -> None:
    plain = tokenizer_of(tmp_path, DECODERS["Metaspace"][0], WORDS)
    built = FastTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = " ".join(["b", "▁a", "龍"] * 10)
    for side in ("left", "right"):
        for length in (4, 300):
            built.enable_padding(direction=side, length=length, pad_id=0, pad_token="<s>")  # noqa: S106
            built.enable_truncation(4, stride=1, direction=side)
            built.save(str(tmp_path / "tokenizer.json"))
            assert len(built.encode(text).ids) != 30
            assert load_tokenizer(tmp_path).encode(text) == plain.encode(text)
    assert len(plain.encode(text)) == 30


@pytest.mark.parametrize(
    ("name", "tokens", "shown"),
    [
        ("ByteLevel", ["Ġa", "ab", "Ċ"], [" a", "ab", "\n"]),
        ("ByteLevel", ["é"], ["\ufffd"]),
        ("SentencePiece", ["▁a", "b", "▁", "<0x61>"], [" a", "b", " ", "a"]),
        ("Metaspace", ["▁a", "b", "<s>"], [" a", "b", "<s>"]),
        ("WordPiece", ["do", "##b"], [" do", "##b"]),
        ("BPEDecoder", ["b", "c</w>"], ["b", "c"]),
    ],
)
def test_a_token_is_shown_with_its_space(
    name: str, tokens: list[str], shown: list[str], tmp_path: Path
) -> None:
    decoder, words = DECODERS[name]
    words = [*words, "a"]
    tokenizer = tokenizer_of(tmp_path, decoder, words)
    known = list(dict.fromkeys(words))
    assert [tokenizer.show(known.index(token)) for token in tokens] == shown
