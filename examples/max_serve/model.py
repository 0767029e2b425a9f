"""The model of step 10 for rows of any lengths, whose keys and values are kept in pages."""

import math

from max import tree
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from max.nn.attention import MHAMaskVariant
from max.nn.kernels import flash_attention_ragged, store_k_cache_ragged, store_v_cache_ragged
from max.nn.kv_cache import KVCacheInputsPerDevice, KVCacheParams, PagedCacheValues
from max.pipelines.lib import ModuleV3Outputs

from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel

flash_attention = F.functional(flash_attention_ragged)
store_keys = F.functional(store_k_cache_ragged)
store_values = F.functional(store_v_cache_ragged)


class PagedGPT2(MaxGPT2LMHeadModel):
    """The logits after the last token of each row; the pages have what came before.

    The N new tokens of all rows stand one after the other, without padding: those of row b from
    offsets[b] to offsets[b + 1]. The second input, a number of logits, is for other architectures.
    Shape: [N] int64, [1] int64, [B + 1] uint32, pages -> [B, V].
    """

    def __init__(self, config: GPT2Config, kv_params: KVCacheParams) -> None:
        super().__init__(config)
        self.kv_params = kv_params

    def forward(
        self, tokens: Tensor, _: Tensor, offsets: Tensor, *pages: Tensor
    ) -> ModuleV3Outputs:
        inputs = self.kv_params.unflatten_kv_inputs(iter(x._graph_value for x in pages))
        cache = tree.leaves(inputs, leaf=KVCacheInputsPerDevice)[0]
        body = self.transformer
        x = body.wte(tokens) + body.wpe(positions(tokens, offsets, cache))  # [N] -> [N, C]
        for layer, block in enumerate(body.h):
            projected = block.attn.c_attn(block.ln_1(x))  # [N, C] -> [N, 3C]
            x = x + block.attn.c_proj(self.attend(projected, layer, offsets, cache))
            x = x + block.mlp(block.ln_2(x))
        last = F.gather(x, offsets[1:].cast(DType.int64) - 1, axis=0)  # [N, C] -> [B, C]
        return ModuleV3Outputs(next_token_logits=self.lm_head(body.ln_f(last)))

    def attend(
        self, projected: Tensor, layer: int, offsets: Tensor, cache: PagedCacheValues
    ) -> Tensor:
        """Write new keys and values to the pages, and attend to all of the row: [N, 3C] -> [N, C].

        MAX's kernel computes what attend of engine 03 does, and knows where each row ends.
        """
        count, width, heads = projected.shape[0], self.config.n_embd, self.config.n_head
        parts = F.split(projected, [width] * 3, axis=-1)
        query, key, value = (part.reshape([count, heads, width // heads]) for part in parts)
        index = F.constant(layer, DType.uint32, device=CPU())
        store_keys(cache, key, offsets, index)
        store_values(cache, value, offsets, index)
        mixed = flash_attention(
            self.kv_params,
            input=query,
            input_row_offsets=offsets,
            kv_collection=cache,
            layer_idx=index,
            mask_variant=MHAMaskVariant.CAUSAL_MASK,
            scale=1 / math.sqrt(width // heads),
        )
        return mixed.reshape([count, width])  # [N, H, D] -> [N, C]


def positions(tokens: Tensor, offsets: Tensor, cache: PagedCacheValues) -> Tensor:
    """The place of each token in its own row, after what the pages have of it: [N] -> [N]."""
    offsets = offsets.cast(DType.int64)
    begins, ends = offsets[:-1], offsets[1:]
    numbers = Tensor.arange(tokens.shape[0], dtype=DType.int64, device=tokens.device)
    cached = Tensor.from_graph_value(cache.cache_lengths).cast(DType.int64)
    row = F.sum((numbers.unsqueeze(1) >= ends).cast(DType.int64), axis=1).squeeze(1)  # [N]
    return numbers - F.gather(begins, row, axis=0) + F.gather(cached, row, axis=0)
