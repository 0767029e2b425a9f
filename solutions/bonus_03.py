"""Bonus 03: a KV cache, so that a token costs the same however long the text is.

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 2.
"""

import math

import numpy as np
from max.driver import CPU, Buffer, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor, TensorType
from max.graph import BufferType, Dim, TensorValue
from numpy.typing import NDArray

from solutions.bonus_02 import Tokens, positions_and_mask
from solutions.solution_10 import MaxGPT2LMHeadModel


def linear(layer: Linear, x: Tensor) -> Tensor:
    """x W^T + b, computed as (W x^T)^T + b. Shape: [B, N, in] -> [B, N, out].

    For one token this is a matrix times a column, which MAX does as fast as memory can be read;
    a row times a matrix takes twice as long.
    """
    # Put all tokens side by side as columns, multiply, and give them the shape of x again.
    batch, new, width = x.shape
    columns = x.reshape([batch * new, width]).T  # [B, N, in] -> [in, B * N]
    rows = (layer.weight @ columns).T  # [out, in] @ [in, B * N] -> [B * N, out]
    return rows.reshape([batch, new, layer.weight.shape[0]]) + layer.bias


def remember(cache: Tensor, layer: int, new: Tensor, length: Dim) -> Tensor:
    """Write new columns into a layer of the cache, the last of `length`, and take all of these.

    Shape: [B, H, N, D] -> [B, H, T, D].
    """
    # Write in place; MAX wants the bounds of what is written as values in the graph.
    count = new.shape[2]
    begin, end = (TensorValue(Tensor.from_dim(bound)) for bound in (length - count, length))
    cache[layer, :, :, (slice(begin, end), count)] = new
    return cache[layer, :, :, :length]


class GPT2CachedHead(Module[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]):
    """The logits after the last of N new columns, in float32; the mask is over all T columns.

    Keys and values of the other T - N columns are in the cache, and those of the new ones are
    written there.
    Shape: [B, N] int64, [B, N] int64, [B, N, T], 2 [n_layer, B, H, n_positions, D] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model: its weights are the only ones.
        self.model = model

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        # Do as the model does, but with linear of this step, and with keys and values from the
        # cache.
        body, length = self.model.transformer, mask.shape[-1]
        mask = mask.unsqueeze(1)  # [B, N, T] -> [B, 1, N, T]
        x = body.wte(input_ids) + body.wpe(positions)  # [B, N] -> [B, N, C]
        for layer, block in enumerate(body.h):
            query, key, value = self._split_heads(linear(block.attn.c_attn, block.ln_1(x)))
            key = remember(keys, layer, key, length)
            value = remember(values, layer, value, length)
            # In the last block go on with the last column alone: no one asks for the others.
            if layer == self.model.config.n_layer - 1:
                x, query, mask = x[:, -1:], query[:, :, -1:], mask[:, :, -1:]
            scores = query @ key.transpose(-1, -2) / math.sqrt(int(query.shape[-1]))
            mixed = F.softmax(scores + mask) @ value  # [B, H, N, T] @ [B, H, T, D]
            x = x + linear(block.attn.c_proj, mixed.transpose(1, 2).reshape(x.shape))
            inner = F.gelu(linear(block.mlp.c_fc, block.ln_2(x)), approximate="tanh")
            x = x + linear(block.mlp.c_proj, inner)
        # Score the vocabulary after the last column.
        last = body.ln_f(x[:, -1])  # [B, N, C] -> [B, C]
        return (self.model.lm_head.weight @ last.T).T.cast(DType.float32)

    def _split_heads(self, projected: Tensor) -> list[Tensor]:
        """Queries, keys and values of all heads. Shape: [B, N, 3C] -> 3 [B, H, N, D]."""
        # Split the last axis into three, then each into heads.
        config = self.model.config
        batch, new, _ = projected.shape
        heads = [batch, new, config.n_head, config.n_embd // config.n_head]
        parts = F.split(projected, [config.n_embd] * 3, axis=-1)
        return [part.reshape(heads).transpose(1, 2) for part in parts]


class CachedModel:
    """The head compiled, with its cache: left-padded ids and starts -> logits [B, V].

    It takes the place of BatchModel: what it was shown before, it does not compute again.
    """

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # Compile the head for any batch, any number of new columns, and any number in all.
        self.config, self.device = model.config, device or CPU()
        self.dtype = model.lm_head.weight.dtype
        tokens = TensorType(DType.int64, ["batch", "new"], device=self.device)
        mask = TensorType(DType.float32, ["batch", "new", "length"], device=self.device)
        cache = BufferType(self.dtype, self._cache_shape("batch"), device=self.device)
        self.head = GPT2CachedHead(model).compile(tokens, tokens, mask, cache, cache)
        # Begin with an empty cache.
        self._clear(0)

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]:
        # Find how many columns are in the cache already, at least the last one left out: they
        # have the same ids, and their rows the same starts.
        length = input_ids.shape[1]
        if not np.array_equal(start, self.start):
            self._clear(len(start))
        known = min(length - 1, self.seen.shape[1])
        same = (input_ids[:, :known] == self.seen[:, :known]).all(axis=0)
        past = known if same.all() else int(same.argmin())
        # Show the head the others.
        positions, mask = positions_and_mask(start, length, length - past)
        inputs = (np.ascontiguousarray(input_ids[:, past:]), positions, mask)
        tensors = (Tensor.from_dlpack(x).to(self.device) for x in inputs)
        logits = self.head(*tensors, *self.cache)
        self.seen, self.start = input_ids.copy(), start.copy()
        return logits.to_numpy()

    def _clear(self, batch: int) -> None:
        """Forget everything, and make room for so many rows."""
        self.seen = np.zeros((batch, 0), dtype=np.int64)
        self.start = np.zeros(batch, dtype=np.int64)
        self.cache = [Buffer.zeros(self._cache_shape(batch), self.dtype, self.device) for _ in "kv"]

    def _cache_shape(self, batch: int | str) -> list[int | str]:
        """[n_layer, B, H, n_positions, D]."""
        config = self.config
        head_dim = config.n_embd // config.n_head
        return [config.n_layer, batch, config.n_head, config.n_positions, head_dim]
