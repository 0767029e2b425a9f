"""Step 09: the stack of blocks, from token ids to one vector per position.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 9   or   uv run tutor book 9
Check:   pixi run s09   or   uv run tutor check 9

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

from max.dtype import DType
from max.experimental.nn import Module, Sequential
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config
from steps.step_03 import LayerNorm
from steps.step_05 import GPT2Embeddings
from steps.step_06 import GPT2PositionEmbeddings
from steps.step_08 import GPT2Block


class MaxGPT2Model(Module[[Tensor], Tensor]):
    """ln_f(blocks(wte(ids) + wpe(positions))). Shape: [B, T] int64 -> [B, T, C]."""

    def __init__(self, config: GPT2Config) -> None:
        # TODO: Make wte and wpe: take the table out of each embedding of steps 05 and 06, so that
        #   the weights are named as in the checkpoint, wte.weight and wpe.weight.
        # TODO: Make h, a sequence of n_layer blocks, each with weights of its own.
        # TODO: Make ln_f, the last norm.
        raise NotImplementedError("step 09: MaxGPT2Model.__init__")

    def forward(self, input_ids: Tensor) -> Tensor:
        # TODO: Number the positions 0, 1, … on the device of the ids.
        # TODO: Add the vector of each token and the vector of its position.
        # TODO: Pass the sum through the blocks, then the last norm.
        raise NotImplementedError("step 09: MaxGPT2Model.forward")
