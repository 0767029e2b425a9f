"""The sizes of the models that the checks try."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The sizes of a model; in the other process they become the GPT2Config of the course."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int | None = None
    layer_norm_epsilon: float = 1e-5

    @property
    def inner(self) -> int:
        """The width inside the MLP."""
        return self.n_inner or 4 * self.n_embd
