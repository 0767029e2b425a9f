"""Step 06: position embeddings, a learned vector for every place in the context.

Source: Radford et al., "Improving Language Understanding by Generative Pre-Training", section 3.1.
"""

from max.experimental.nn import Embedding, Module
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config


class GPT2PositionEmbeddings(Module[[Tensor], Tensor]):
    """Look up the vector of each position. Shape: [T] int64 -> [T, C]."""

    def __init__(self, config: GPT2Config) -> None:
        # Make wpe, an Embedding of n_positions vectors of dim n_embd.
        self.wpe = Embedding(config.n_positions, dim=config.n_embd)

    def forward(self, positions: Tensor) -> Tensor:
        # Look up the positions.
        return self.wpe(positions)
