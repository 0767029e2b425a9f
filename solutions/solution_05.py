"""Step 05: token embeddings, a learned vector for every entry of the vocabulary.

Source: Radford et al., "Improving Language Understanding by Generative Pre-Training", section 3.1.
"""

from max.experimental.nn import Embedding, Module
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config


class GPT2Embeddings(Module[[Tensor], Tensor]):
    """Look up the vector of each token id. Shape: [B, T] int64 -> [B, T, C]."""

    def __init__(self, config: GPT2Config) -> None:
        # Make wte, an Embedding of vocab_size vectors of dim n_embd.
        self.wte = Embedding(config.vocab_size, dim=config.n_embd)

    def forward(self, input_ids: Tensor) -> Tensor:
        # Look up the ids.
        return self.wte(input_ids)
