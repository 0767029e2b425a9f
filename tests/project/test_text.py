"""Text 01 and 02 do what the tokenizers library does, and the engine runs a learner's own."""

import json
import random
import unicodedata
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from solutions.text_01 import BPETokenizer
from solutions.text_02 import count_pieces, learn_merges, make_vocabulary, train_tokenizer
from tests import oracle_text
from tests.texts import draw_words
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import OwnTokenizer, Tokenizer, load_tokenizer

GPT2 = ROOT.parent / "shared" / "data" / "gpt2_tokenizer"
END = "<|endoftext|>"
STRINGS = 1000
# What is assigned: of a character that Unicode gets later, each library has its own opinion.
ASSIGNED = [
    chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")
]
COMMON = [" ", "\n", "'", "'s", "12", "the", " a", "  ", "é", "\u3000", END]


def strings(count: int = STRINGS) -> list[str]:
    """Texts of all of Unicode, with what is frequent in between."""
    rng = random.Random(1)  # noqa: S311
    chosen = ASSIGNED, ASSIGNED[:10_000], COMMON
    return [
        "".join(rng.choice(rng.choice(chosen)) for _ in range(rng.randrange(40)))
        for _ in range(count)
    ]


@pytest.fixture(params=["bundled", "GPT-2"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "bundled":
        return load_tokenizer(BUNDLED_MODEL)
    if not GPT2.exists():
        pytest.skip("GPT-2's own tokenizer is not shipped")
    return load_tokenizer(GPT2)


def own(tokenizer: Tokenizer) -> BPETokenizer:
    parts = tokenizer.parts()
    assert parts
    return BPETokenizer(*parts)


def test_ids_are_those_of_the_library_for_all_of_unicode_and_back(tokenizer: Tokenizer) -> None:
    ours = own(tokenizer)
    for text in strings():
        ids = ours.encode(text)
        assert ids == tokenizer.encode(text), text
        assert ours.decode(ids) == text


def test_any_ids_are_decoded_as_the_library_does(tokenizer: Tokenizer) -> None:
    ours, rng = own(tokenizer), random.Random(2)  # noqa: S311
    for _ in range(STRINGS):
        ids = [rng.randrange(len(ours.ids)) for _ in range(12)]
        assert ours.decode(ids) == tokenizer.decode(ids)


def test_the_oracle_is_right_about_all_of_unicode() -> None:
    tokenizer = load_tokenizer(BUNDLED_MODEL)
    parts = tokenizer.parts()
    assert parts
    for text in strings(40):
        assert oracle_text.encode(*parts, text) == tokenizer.encode(text), text


def trained(texts: Sequence[str], size: int) -> dict[str, Any]:
    """What the library learns from texts."""
    tokenizer = FastTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return learned


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_merges_are_those_that_the_library_learns(seed: int) -> None:
    readme, words = (ROOT / "README.md").read_text(), draw_words(seed, 2000)
    texts = [words, readme[seed * 1000 :]]
    merges = learn_merges(count_pieces(END.join(texts), [END]), 300)
    learned = trained(texts, 256 + 300)
    assert merges == [tuple(pair) for pair in learned["merges"]]
    assert make_vocabulary(merges) == learned["vocab"]


def test_a_tokenizer_of_ones_own_gives_its_text_back() -> None:
    text = END.join(["naïve fées " * 20, "龍と妖精 " * 20])
    tokenizer = train_tokenizer(text, 300)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) < len(text.encode()) / 3
    assert max(tokenizer.ids.values()) < 300


def built(folder: Path, **changes: Any) -> Tokenizer:
    """A tokenizer like GPT-2's with these changes."""
    made = FastTokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([END])
    for name, value in changes.items():
        setattr(made, name, value)
    made.save(str(folder / "tokenizer.json"))
    return load_tokenizer(folder)


def test_the_parts_of_a_file_are_those_that_text_01_asks_for(tmp_path: Path) -> None:
    expected = {"a": 0, "b": 1, "ab": 2, END: 3}, [("a", "b")], [END]
    assert built(tmp_path).parts() == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": normalizers.Lowercase()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)},
        {"pre_tokenizer": pre_tokenizers.Whitespace()},
        {"decoder": decoders.BPEDecoder()},
        {"model": models.BPE({"a": 0, "<u>": 1}, [], unk_token="<u>")},  # noqa: S106
        {"model": models.WordLevel({"a": 0}, unk_token="a")},  # noqa: S106
    ],
    ids=str,
)
def test_other_tokenizers_stay_the_librarys(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert built(tmp_path, **changes).parts() is None


def test_a_folder_without_a_tokenizer_has_no_parts(tmp_path: Path) -> None:
    assert load_tokenizer(tmp_path).parts() is None


def test_own_code_encodes_decodes_and_shows() -> None:
    library = load_tokenizer(BUNDLED_MODEL)
    tokenizer = OwnTokenizer(library, own(library), nullcontext)
    text = f"Once upon a time “naïve”{END} 🐉"
    ids = tokenizer.encode(text)
    assert ids == library.encode(text)
    assert tokenizer.decode(ids) == text
    assert [tokenizer.show(token) for token in ids] == [library.show(token) for token in ids]
    assert tokenizer.end_of_text() == library.end_of_text()


def test_own_code_that_returns_no_text_is_told() -> None:
    library = load_tokenizer(BUNDLED_MODEL)

    class Wrong(BPETokenizer):
        def decode(self, ids: Sequence[int], /) -> Any:
            return super().decode(ids).encode()

    tokenizer = OwnTokenizer(library, Wrong(*(library.parts() or ())), nullcontext)
    with pytest.raises(TypeError, match="decode returned bytes, not str"):
        tokenizer.decode([5])
