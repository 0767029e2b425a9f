"""The tokenizer of a model folder."""

from pathlib import Path

from tutor.engine.checkpoint import TOKENIZER
from tutor.errors import InputError, reason


class Tokenizer:
    """The tokenizer of a model folder, from its tokenizer.json, as generation wants it."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as FastTokenizer

        self._tokenizer = FastTokenizer.from_file(str(path))

    def encode(self, text: str, /) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def decode(self, token_ids: list[int], /) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        return text

    def end_of_text(self) -> int | None:
        """The token with which GPT-2 ends a text."""
        token: int | None = self._tokenizer.token_to_id("<|endoftext|>")
        return token


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    try:
        return Tokenizer(folder / TOKENIZER)
    except Exception as error:  # the library raises nothing narrower
        raise InputError(
            f"{folder / TOKENIZER} cannot be read ({reason(error)}); fetch it anew"
        ) from None
