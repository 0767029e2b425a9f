"""Step 08: the transformer block.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

from max.experimental.nn import Module
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config
from solutions.solution_03 import LayerNorm
from solutions.solution_04 import GPT2MLP
from solutions.solution_07 import GPT2MultiHeadAttention


class GPT2Block(Module[[Tensor], Tensor]):
    """Attention, then the MLP; each reads a normalized copy of x, and its output is added to x.

    Shape: [B, T, C] -> [B, T, C].
    """

    def __init__(self, config: GPT2Config) -> None:
        # Make ln_1 and attn, then ln_2 and mlp; the norms use layer_norm_epsilon.
        self.ln_1 = LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = GPT2MultiHeadAttention(config)
        self.ln_2 = LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = GPT2MLP(config.n_inner, config)

    def forward(self, x: Tensor) -> Tensor:
        # Normalize x with ln_1, run attn on it, and add the output to x.
        x = x + self.attn(self.ln_1(x))
        # Normalize the result with ln_2, run mlp on it, and add the output to it.
        return x + self.mlp(self.ln_2(x))
