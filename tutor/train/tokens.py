"""From texts to token ids, with a tokenizer that is learned from them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tutor.engine.tokenizer import END_OF_TEXT

SMALLEST, LARGEST = 512, 4096  # vocabularies


def fitting_vocabulary(size: int) -> int:
    """How many tokens fit a text of so many bytes: 4096 for the tales, fewer for less.

    A token has to occur often enough for its vector to be learned. How many words a text has grows
    like the root of its length.
    """
    wanted = 2 ** math.floor(math.log2(1.6 * math.sqrt(size)))
    return min(max(wanted, SMALLEST), LARGEST)


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE like GPT-2's, with at most so many tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    """One stream of ids; each text begins after an end-of-text token."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    return np.array(
        [i for item in tokenizer.encode_batch(texts) for i in (end, *item.ids)], dtype=np.int64
    )
