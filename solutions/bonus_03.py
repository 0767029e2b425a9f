"""Bonus 03: a KV cache, so that a token costs the same however long the text is.

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 2.
"""

import math
from typing import Any

import numpy as np
from max.driver import CPU, Buffer, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor, TensorType
from max.graph import BufferType, DeviceRef, Dim, TensorValue
from numpy.typing import NDArray

from solutions.bonus_02 import Tokens, positions_and_mask
from solutions.solution_10 import MaxGPT2LMHeadModel


def linear(layer: Linear, x: Tensor) -> Tensor:
    """The layer's x W^T + b, computed as (W x^T)^T + b. Shape: [B, N, in] -> [B, N, out].

    For one token this is a matrix times a column, which MAX does as fast as memory can be read;
    a row times a matrix takes twice as long.
    """
    # Put all tokens side by side as columns, multiply, and give them the shape of x again.
    batch, new, width = x.shape
    columns = x.reshape([batch * new, width]).T  # [B, N, in] -> [in, B * N]
    rows = (layer.weight @ columns).T  # [out, in] @ [in, B * N] -> [B * N, out]
    return rows.reshape([batch, new, layer.weight.shape[0]]) + layer.bias


def remember(cache: Tensor, new: Tensor, length: Dim) -> Tensor:
    """Write new columns into a cache, as the last of `length`, and take all of these.

    Shape: [B, H, n_positions, D], [B, H, N, D] -> [B, H, T, D].
    """
    # Write them in place, to (slice(begin, end), count) on the axis of the columns; MAX wants the
    # two bounds as values of the graph, TensorValue(Tensor.from_dim(…)).
    count = new.shape[2]
    begin, end = (TensorValue(Tensor.from_dim(bound)) for bound in (length - count, length))
    cache[:, :, (slice(begin, end), count)] = new
    # Take the columns up to the last new one.
    return cache[:, :, :length]


class GPT2CachedHead(Module[..., Tensor]):
    """The logits after the last of N new columns, in float32; the mask is over all T columns.

    The caches, of the keys of each layer and then of the values of each, hold the other T - N
    columns; the new ones are written there.
    Shape: [B, N] int64, [B, N] int64, [B, N, T], 2 n_layer times [B, H, n_positions, D] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model: its weights are the only ones.
        self.model = model

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, *caches: Tensor
    ) -> Tensor:
        # Do as the model does, but with linear of this step, and with the keys and values that
        # each layer remembers. The mask is float32: cast the softmax to the dtype of the values.
        body, layers, length = self.model.transformer, len(caches) // 2, mask.shape[-1]
        mask = mask.unsqueeze(1)  # [B, N, T] -> [B, 1, N, T]
        x = body.wte(input_ids) + body.wpe(positions)  # [B, N] -> [B, N, C]
        for layer, block in enumerate(body.h):
            query, key, value = self._split_heads(linear(block.attn.c_attn, block.ln_1(x)))
            key = remember(caches[layer], key, length)
            value = remember(caches[layers + layer], value, length)
            # In the last block go on with the last column alone: no one asks for the others.
            if layer == layers - 1:
                x, query, mask = x[:, -1:], query[:, :, -1:], mask[:, :, -1:]
            scores = query @ key.transpose(-1, -2) / math.sqrt(int(query.shape[-1]))
            weights = F.softmax(scores + mask).cast(value.dtype)
            mixed = weights @ value  # [B, H, N, T] @ [B, H, T, D]
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
        head_dim = config.n_embd // config.n_head
        parts = F.split(projected, [config.n_embd] * 3, axis=-1)
        return [
            part.reshape([batch, new, config.n_head, head_dim]).transpose(1, 2) for part in parts
        ]


class CachedModel:
    """The head compiled, with its cache: left-padded ids and starts -> logits [B, V].

    It takes the place of BatchModel: what it was shown before, it does not compute again.
    """

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # Keep the config, the device, and the dtype of the weights, which the caches share.
        self.config, self.device = model.config, device or CPU()
        self.dtype = model.lm_head.weight.dtype
        # Compile the head for any number of rows, of new columns, and of all columns; a cache is a
        # BufferType, which the graph can write to.
        tokens = TensorType(DType.int64, ["batch", "new"], device=self.device)
        mask = TensorType(DType.float32, ["batch", "new", "length"], device=self.device)
        cache = BufferType(
            self.dtype, self._cache_shape("batch"), DeviceRef.from_device(self.device)
        )
        caches = [cache] * 2 * self.config.n_layer
        self.head = GPT2CachedHead(model).compile(tokens, tokens, mask, *caches)
        # Remember what was shown last: nothing, and no rows.
        self.seen, self.start = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]:
        # Make new caches for another number of rows; nothing is read there before it is written.
        batch, length = input_ids.shape
        if batch != len(self.start):
            shape = self._cache_shape(batch)
            self.caches = [
                Buffer(self.dtype, shape, self.device) for _ in range(2 * self.config.n_layer)
            ]
        # Show the head the columns that the caches do not hold, as contiguous arrays, with their
        # positions and mask.
        past = self._count_known(input_ids, start)
        positions, mask = positions_and_mask(start, length, length - past)
        inputs = (np.ascontiguousarray(input_ids[:, past:]), positions, mask)
        tensors = (Tensor.from_dlpack(x).to(self.device) for x in inputs)
        logits = self.head(*tensors, *self.caches).to_numpy()
        # Remember a copy of what was shown.
        self.seen, self.start = input_ids.copy(), start.copy()
        return logits

    def _count_known(self, input_ids: Tokens, start: Tokens) -> int:
        """How many columns need not be computed; the last one always is."""
        # Count those that are as before, from the first on, in rows that start where they did.
        if not np.array_equal(start, self.start):
            return 0
        most = min(input_ids.shape[1] - 1, self.seen.shape[1])
        same = (input_ids[:, :most] == self.seen[:, :most]).all(axis=0)
        return most if same.all() else int(same.argmin())

    def _cache_shape(self, batch: int | str) -> list[Any]:
        """What a layer keeps of its keys, or of its values: [B, H, n_positions, D]."""
        # Take the sizes from the config; the number of rows can be a name, for the type of a cache.
        config = self.config
        return [batch, config.n_head, config.n_positions, config.n_embd // config.n_head]
