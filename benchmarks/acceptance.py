"""How many tokens a round of speculative decoding writes, by how many guesses: a real model's text.

    taskset -c 0 python benchmarks/acceptance.py [--model models/fairy-tales] [--tokens 200]

The draft is the model's own four-bit copy, or looks guesses up in the text. With one guess, what is
above 1 is how often a guess stands, which generation.py takes as given.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from solutions.engine_02 import Sampling, Tokens
from solutions.engine_04 import CachedModel
from solutions.engine_05 import Draft, LookupDraft, ModelDraft, stream_speculative
from tutor.engine import trees
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.quantization import quantize
from tutor.engine.tokenizer import Tokenizer, load_tokenizer

MOST = 7  # guesses
PROMPTS = (
    "Once upon a time",
    "There was once a king who",
    "The wolf said to the",
    "In a great forest",
    "The princess",
    "A poor woodcutter",
)
SETTINGS = {"greedy": Sampling(0), "temperature 0.8": Sampling(0.8)}


class Counted:
    """A draft that counts its rounds."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.rounds = draft, 0

    def __call__(
        self, ids: Tokens, count: int, sampling: Sampling, rng: np.random.Generator, /
    ) -> Tokens:
        self.rounds += 1
        return self.draft(ids, count, sampling, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the guesses that stand.")
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--tokens", type=int, default=200)
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.model)
    model, copy = (trees.load_model(options.model) for _ in range(2))
    quantize(copy)
    cached = CachedModel(model)
    drafts: dict[str, Draft] = {"q4_0": ModelDraft(CachedModel(copy)), "lookup": LookupDraft()}
    counts = range(1, MOST + 1)
    made = Table("draft", "sampling", *map(str, counts), title="tokens a round, by guesses")
    for draft in drafts:
        for setting, sampling in SETTINGS.items():
            rounds = [
                tokens_per_round(cached, drafts[draft], tokenizer, sampling, count, options.tokens)
                for count in track(counts, console=Console(stderr=True))
            ]
            made.add_row(draft, setting, *(f"{tokens:.2f}" for tokens in rounds))
    Console().print(made)


def tokens_per_round(
    model: CachedModel,
    draft: Draft,
    tokenizer: Tokenizer,
    sampling: Sampling,
    count: int,
    tokens: int,
) -> float:
    """The mean over all prompts, each with a seed of its own."""
    counted, written = Counted(draft), 0
    for seed, prompt in enumerate(PROMPTS):
        ids = tokenizer.encode(prompt)
        text = stream_speculative(model, counted, ids, tokens, sampling, count=count, seed=seed)
        written += sum(1 for _ in text)
    return written / counted.rounds


if __name__ == "__main__":
    main()
