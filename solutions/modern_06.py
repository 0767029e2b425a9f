"""Modern 06: the block, the model, and its head.

Source: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", section 2.2.
"""

from collections.abc import Sequence

from max.dtype import DType
from max.experimental.nn import Embedding, Linear, Module, Sequential
from max.experimental.tensor import Tensor

from solutions.modern_01 import LlamaConfig
from solutions.modern_02 import RMSNorm
from solutions.modern_03 import LlamaMLP
from solutions.modern_04 import rotary_speeds, rotary_table
from solutions.modern_05 import LlamaAttention, Remember
from solutions.solution_02 import causal_mask


class LlamaBlock(Module[..., Tensor]):
    """Attention, then the MLP; each reads a normalized x, and its output is added to x.

    Shape: [B, T, C], cos and sin [B, T, D / 2], mask [B, T, S] -> [B, T, C].
    """

    def __init__(self, config: LlamaConfig) -> None:
        # Make input_layernorm and self_attn, then post_attention_layernorm and mlp; both norms
        # have the config's rms_norm_eps.
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = LlamaAttention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp: Module[[Tensor], Tensor] = LlamaMLP(config.hidden_size, config.intermediate_size)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, remember: Remember | None = None
    ) -> Tensor:
        # Normalize x with input_layernorm, run self_attn on it, and add the output to x.
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, remember)
        # Do the same with post_attention_layernorm and mlp.
        return x + self.mlp(self.post_attention_layernorm(x))


class MaxLlamaModel(Module[..., Tensor]):
    """From token ids to one vector per position: norm(layers(embed_tokens(ids))).

    Shape: [B, T] int64, positions [B, T] int64, mask [B, T, S] -> [B, T, C]. There are as many
    memories as layers, or none at all.
    """

    def __init__(self, config: LlamaConfig) -> None:
        # Make embed_tokens, num_hidden_layers blocks as layers, and norm; positions need no
        # embedding. Keep the speeds of the rotation as they are, in NumPy.
        self.embed_tokens = Embedding(config.vocab_size, dim=config.hidden_size)
        self.layers = Sequential(*(LlamaBlock(config) for _ in range(config.num_hidden_layers)))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.speeds = rotary_speeds(config)

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        memories: Sequence[Remember | None] = (),
    ) -> Tensor:
        # Unless you are given others, number the positions 0, 1, …, and hide later tokens with
        # step 02's mask; both need an axis for the batch.
        x, length = self.embed_tokens(input_ids), input_ids.shape[1]
        if positions is None:
            positions = Tensor.arange(length, dtype=DType.int64, device=x.device).unsqueeze(0)
        if mask is None:
            mask = causal_mask(length, 0, dtype=x.dtype, device=x.device).unsqueeze(0)
        # Make the table once, for all layers; each layer has its own memory, or none.
        cos, sin = rotary_table(positions, self.speeds)
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, mask, memories[i] if memories else None)
        return self.norm(x)


class MaxLlamaLMHeadModel(Module[[Tensor], Tensor]):
    """The model, and a score for each token that could come next.

    Shape: [B, T] int64 -> [B, T, V].
    """

    def __init__(self, config: LlamaConfig) -> None:
        # Keep the config, and make model and lm_head, which has no bias.
        self.config = config
        self.model = MaxLlamaModel(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        # Run the model, and score the whole vocabulary at every position.
        return self.lm_head(self.model(input_ids))
