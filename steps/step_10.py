"""Step 10: the language-model head, which scores every token as the next one.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 10   or   uv run tutor book 10
Check:   pixi run s10   or   uv run tutor check 10

Source: Press and Wolf, "Using the Output Embedding to Improve Language Models".
"""

from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config
from steps.step_09 import MaxGPT2Model


class MaxGPT2LMHeadModel(Module[[Tensor], Tensor]):
    """GPT-2 with logits, scores before a softmax, for the token after every position.

    Shape: [B, T] int64 -> [B, T, V].
    """

    def __init__(self, config: GPT2Config) -> None:
        # TODO: Keep the config: generation asks it for n_positions.
        # TODO: Make transformer, the stack of step 09, and lm_head, from n_embd to vocab_size
        #   without bias. Loading gives lm_head the weights of wte.
        raise NotImplementedError("step 10: MaxGPT2LMHeadModel.__init__")

    def forward(self, input_ids: Tensor) -> Tensor:
        # TODO: Score the whole vocabulary at every position, and apply no softmax.
        raise NotImplementedError("step 10: MaxGPT2LMHeadModel.forward")
