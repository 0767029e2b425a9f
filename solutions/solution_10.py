"""Step 10: the language-model head, which scores every token as the next one.

Source: Press and Wolf, "Using the Output Embedding to Improve Language Models".
"""

from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config
from solutions.solution_09 import MaxGPT2Model


class MaxGPT2LMHeadModel(Module[[Tensor], Tensor]):
    """GPT-2 with logits, scores before a softmax, for the token after every position.

    Shape: [B, T] int64 -> [B, T, V].
    """

    def __init__(self, config: GPT2Config) -> None:
        # Keep the config: generation asks it for n_positions.
        self.config = config
        # Make transformer, the stack of step 09, and lm_head, from n_embd to vocab_size
        # without bias. Loading gives lm_head the weights of wte.
        self.transformer = MaxGPT2Model(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        # Score the whole vocabulary at every position, and apply no softmax.
        return self.lm_head(self.transformer(input_ids))  # [B, T] -> [B, T, C] -> [B, T, V]
