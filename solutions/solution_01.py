"""Step 01: the model's configuration.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3 and
Table 2 (whose 117M counts too few); the heads and the epsilon are those of the released model.
"""

from dataclasses import dataclass


@dataclass
class GPT2Config:
    """The sizes of a GPT-2; the defaults are those of GPT-2 small, 124M parameters.

    Raises ValueError, naming field and value, for sizes that no model can have.
    """

    # Declare vocab_size 50257, n_positions 1024, n_embd 768, n_layer 12, n_head 12, n_inner None
    # and layer_norm_epsilon 1e-5, each with its type: a dataclass ignores a name without one.
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        # If n_inner is None, set it to four times n_embd.
        if self.n_inner is None:
            self.n_inner = 4 * self.n_embd
        # Raise ValueError for a size below 1; the message has the field's name and the bad value.
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        # Raise it, too, for an n_embd that the heads cannot share evenly.
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be a multiple of n_head ({self.n_head}), but is {self.n_embd}"
            )
