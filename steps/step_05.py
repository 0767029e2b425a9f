"""Step 05: token embeddings, a learned vector for every entry of the vocabulary.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 5   or   uv run tutor book 5
Check:   pixi run s05   or   uv run tutor check 5

Source: Radford et al., "Improving Language Understanding by Generative Pre-Training", section 3.1.
"""

from max.experimental.nn import Embedding, Module
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config


class GPT2Embeddings(Module[[Tensor], Tensor]):
    """Look up the vector of each token id. Shape: [B, T] int64 -> [B, T, C]."""

    def __init__(self, config: GPT2Config) -> None:
        # TODO: Make wte, an Embedding of vocab_size vectors of dim n_embd.
        raise NotImplementedError("step 05: GPT2Embeddings.__init__")

    def forward(self, input_ids: Tensor) -> Tensor:
        # TODO: Look up the ids.
        raise NotImplementedError("step 05: GPT2Embeddings.forward")
