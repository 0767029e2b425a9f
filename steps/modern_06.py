"""Modern 06: the block, the model, and its head.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m6   or   uv run tutor book m6
Check:   pixi run m06   or   uv run tutor check m6

Source: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", section 2.2.
"""

from collections.abc import Sequence

from max.dtype import DType
from max.experimental.nn import Embedding, Linear, Module, Sequential
from max.experimental.tensor import Tensor

from steps.modern_01 import LlamaConfig
from steps.modern_02 import RMSNorm
from steps.modern_03 import LlamaMLP
from steps.modern_04 import rotary_speeds, rotary_table
from steps.modern_05 import LlamaAttention, Remember
from steps.step_02 import causal_mask


class LlamaBlock(Module[..., Tensor]):
    """Attention, then the MLP; each reads a normalized x, and its output is added to x.

    Shape: [B, T, C], cos and sin [B, T, D / 2], mask [B, T, S] -> [B, T, C].
    """

    def __init__(self, config: LlamaConfig) -> None:
        # TODO: Make input_layernorm and self_attn, then post_attention_layernorm and mlp; both
        #   norms have the config's rms_norm_eps.
        raise NotImplementedError("modern 06: LlamaBlock.__init__")

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, remember: Remember | None = None
    ) -> Tensor:
        # TODO: Normalize x with input_layernorm, run self_attn on it, and add the output to x.
        # TODO: Do the same with post_attention_layernorm and mlp.
        raise NotImplementedError("modern 06: LlamaBlock.forward")


class MaxLlamaModel(Module[..., Tensor]):
    """From token ids to one vector per position: norm(layers(embed_tokens(ids))).

    Shape: [B, T] int64, positions [B, T] int64, mask [B, T, S] -> [B, T, C]. There are as many
    memories as layers, or none at all.
    """

    def __init__(self, config: LlamaConfig) -> None:
        # TODO: Make embed_tokens, num_hidden_layers blocks as layers, and norm; positions need no
        #   embedding. Keep the speeds of the rotation as they are, in NumPy.
        raise NotImplementedError("modern 06: MaxLlamaModel.__init__")

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        memories: Sequence[Remember | None] = (),
    ) -> Tensor:
        # TODO: Unless you are given others, number the positions 0, 1, …, and hide later tokens
        #   with step 02's mask; both need an axis for the batch.
        # TODO: Make the table once, for all layers; each layer has its own memory, or none.
        raise NotImplementedError("modern 06: MaxLlamaModel.forward")


class MaxLlamaLMHeadModel(Module[[Tensor], Tensor]):
    """The model, and a score for each token that could come next.

    Shape: [B, T] int64 -> [B, T, V].
    """

    def __init__(self, config: LlamaConfig) -> None:
        # TODO: Keep the config, and make model and lm_head, which has no bias.
        raise NotImplementedError("modern 06: MaxLlamaLMHeadModel.__init__")

    def forward(self, input_ids: Tensor) -> Tensor:
        # TODO: Run the model, and score the whole vocabulary at every position.
        raise NotImplementedError("modern 06: MaxLlamaLMHeadModel.forward")
