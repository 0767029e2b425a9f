"""Step 06: position embeddings, a learned vector for every place in the context.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 6   or   uv run tutor book 6
Check:   pixi run s06   or   uv run tutor check 6

Source: Radford et al., "Improving Language Understanding by Generative Pre-Training", section 3.1.
"""

from max.experimental.nn import Embedding, Module
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config


class GPT2PositionEmbeddings(Module[[Tensor], Tensor]):
    """Look up the vector of each position. Shape: [T] int64 -> [T, C]."""

    def __init__(self, config: GPT2Config) -> None:
        # TODO: Make wpe, an Embedding of n_positions vectors of dim n_embd.
        raise NotImplementedError("step 06: GPT2PositionEmbeddings.__init__")

    def forward(self, positions: Tensor) -> Tensor:
        # TODO: Look up the positions.
        raise NotImplementedError("step 06: GPT2PositionEmbeddings.forward")
