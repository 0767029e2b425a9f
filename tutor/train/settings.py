"""What a training is told, so that it can be repeated."""

from dataclasses import dataclass

ARCHITECTURES = ("gpt2", "llama")


@dataclass(frozen=True)
class Settings:
    """The sizes of a model and the recipe of its training; at first those of the bundled GPT-2."""

    architecture: str = "gpt2"
    vocab_size: int = 4096
    n_positions: int = 256
    n_embd: int = 192
    n_layer: int = 6
    n_head: int = 6
    groups: int = 2  # of keys and values, in a Llama
    n_inner: int = 608  # the width of a Llama's MLP
    dropout: float = 0.1
    steps: int = 3000  # of the schedule
    batch_size: int = 32  # sequences a step
    lr: float = 6e-3
    weight_decay: float = 0.1
    warmup: int = 100  # steps
    heldout: float = 0.05  # share of the text
    evaluate_every: int = 100  # steps
    patience: int = 5  # evaluations without progress
    seed: int = 0
    device: str = "cpu"

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.n_positions
