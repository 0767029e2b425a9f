"""Step 01: the model's configuration.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 1   or   uv run tutor book 1
Check:   pixi run s01   or   uv run tutor check 1

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3 and
Table 2 (whose 117M counts too few); the heads and the epsilon are those of the released model.
"""

from dataclasses import dataclass


@dataclass
class GPT2Config:
    """The sizes of a GPT-2; the defaults are those of GPT-2 small, 124M parameters.

    Raises ValueError, naming field and value, for sizes that no model can have.
    """

    # TODO: Declare vocab_size 50257, n_positions 1024, n_embd 768, n_layer 12, n_head 12, n_inner
    #   None and layer_norm_epsilon 1e-5, each with its type: a dataclass ignores a name without
    #   one.

    def __post_init__(self) -> None:
        # TODO: If n_inner is None, set it to four times n_embd.
        # TODO: Raise ValueError for a size below 1; the message has the field's name and the bad
        #   value.
        # TODO: Raise it, too, for an n_embd that the heads cannot share evenly.
        raise NotImplementedError("step 01: GPT2Config.__post_init__")
