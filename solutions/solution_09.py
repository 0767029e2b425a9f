"""Step 09: the stack of blocks, from token ids to one vector per position.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

from max.dtype import DType
from max.experimental.nn import Module, Sequential
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config
from solutions.solution_03 import LayerNorm
from solutions.solution_05 import GPT2Embeddings
from solutions.solution_06 import GPT2PositionEmbeddings
from solutions.solution_08 import GPT2Block


class MaxGPT2Model(Module[[Tensor], Tensor]):
    """ln_f(blocks(wte(ids) + wpe(positions))). Shape: [B, T] int64 -> [B, T, C]."""

    def __init__(self, config: GPT2Config) -> None:
        # Make wte and wpe: take the table out of each embedding of steps 05 and 06, so that the
        # weights are named as in the checkpoint, wte.weight and wpe.weight.
        self.wte = GPT2Embeddings(config).wte
        self.wpe = GPT2PositionEmbeddings(config).wpe
        # Make h, a sequence of n_layer blocks, each with weights of its own.
        self.h = Sequential(*(GPT2Block(config) for _ in range(config.n_layer)))
        # Make ln_f, the last norm.
        self.ln_f = LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)

    def forward(self, input_ids: Tensor) -> Tensor:
        # Number the positions 0, 1, … on the device of the ids.
        length = input_ids.shape[1]
        positions = Tensor.arange(length, dtype=DType.int64, device=input_ids.device)
        # Add the vector of each token and the vector of its position.
        x = self.wte(input_ids) + self.wpe(positions)  # [B, T, C] + [T, C]
        # Pass the sum through the blocks, then the last norm.
        return self.ln_f(self.h(x))
