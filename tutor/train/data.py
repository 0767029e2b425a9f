"""What a training learns from and is measured by, as token ids, and the tokenizer of both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tutor.train import texts, tokens

WORDS = 4  # of a held-out text, for samples to continue


@dataclass(frozen=True)
class Data:
    """Token ids to learn from, and held-out ones with the bytes that they stand for."""

    tokenizer: Tokenizer
    train_ids: NDArray[np.int64]
    heldout_ids: NDArray[np.int64]
    heldout_bytes: int
    opening: str  # words of the held-out text, for samples to continue


def prepare(train: Sequence[str], heldout: Sequence[str], vocab_size: int) -> Data:
    """Learn a tokenizer from the texts to learn from, and encode all of them."""
    tokenizer = tokens.train_tokenizer(train, vocab_size)
    return Data(
        tokenizer,
        tokens.encode(tokenizer, train),
        tokens.encode(tokenizer, heldout),
        texts.size(heldout),
        " ".join(heldout[0].split()[:WORDS]) if heldout else "",
    )
