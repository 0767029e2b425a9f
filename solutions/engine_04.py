"""Engine 04: a KV cache, so that a token costs the same however long the text is.

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 2.
"""

from typing import Any

import numpy as np
from max.driver import CPU, Buffer, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor, TensorType
from max.graph import BufferType, DeviceRef, Dim, TensorValue

from solutions.engine_02 import Tokens
from solutions.engine_03 import Floats, attend, positions_and_mask, split_heads
from solutions.solution_10 import MaxGPT2LMHeadModel


def linear(layer: Linear, x: Tensor) -> Tensor:
    """The layer's x W^T + b, or W x + b for a single column: [B, N, in] -> [B, N, out].

    MAX multiplies a matrix by one column twice as fast as one row by a matrix.
    """
    # Leave it to the layer, unless the graph is for one column of one row.
    batch, new, width = x.shape
    if not batch == new == 1:
        return layer(x)
    product = layer.weight @ x.reshape([width, 1])  # [out, in] @ [in, 1] -> [out, 1]
    return product.reshape([1, 1, layer.weight.shape[0]]) + layer.bias


def remember(cache: Tensor, new: Tensor, length: Dim) -> Tensor:
    """Write new columns into a cache as the last of `length`, and take all of these.

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
    """The logits after S of N new columns, in float32; the caches hold the other T - N columns.

    Shape: [B, N] int64, [B, N] int64, [B, N, T], [S] int64, which of the N columns to score, and
    2 n_layer [B, H, n_positions, D] -> [B, S, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model; the head has no weights of its own.
        self.model = model

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, scored: Tensor, *caches: Tensor
    ) -> Tensor:
        # Do as GPT2BatchHead does, but multiply with linear of this step, and attend to all that
        # each block remembers: the caches are for the keys of each block, then for the values.
        body, layers, length = self.model.transformer, len(caches) // 2, mask.shape[-1]
        mask = mask.unsqueeze(1)  # [B, N, T] -> [B, 1, N, T]
        x = body.wte(input_ids) + body.wpe(positions)  # [B, N] -> [B, N, C]
        for layer, block in enumerate(body.h):
            projected = linear(block.attn.c_attn, block.ln_1(x))  # [B, N, C] -> [B, N, 3C]
            query, key, value = split_heads(projected, self.model.config.n_head)
            key = remember(caches[layer], key, length)
            value = remember(caches[layers + layer], value, length)
            # In the last block, continue with the scored columns alone: nothing needs the others.
            if layer == layers - 1:
                x, query, mask = (F.gather(each, scored, axis=-2) for each in (x, query, mask))
            x = x + linear(block.attn.c_proj, attend(query, key, value, mask))
            inner = F.gelu(linear(block.mlp.c_fc, block.ln_2(x)), approximate="tanh")
            x = x + linear(block.mlp.c_proj, inner)
        # Score the vocabulary after these columns.
        return linear(self.model.lm_head, body.ln_f(x)).cast(DType.float32)


class CachedModel:
    """In place of BatchModel: it computes only the columns that it was not shown before."""

    def __init__(self, model: Any, *, device: Device | None = None) -> None:
        # Keep the config, the device, and the dtype of the weights, which the caches share.
        self.config, self.device = model.config, device or CPU()
        self.dtype = model.lm_head.weight.dtype
        # Compile two graphs with the same weights: one for any number of rows, of new columns, and
        # of scored ones, and one for a single column of a single row.
        head = self.make_head(model)
        self.head = self._compile(head, "batch", "new", "scored")
        self.column_head = self._compile(head, 1, 1, 1)
        # Remember what was shown last: nothing, and no rows.
        self.seen, self.start = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)

    def _compile(self, head: Any, batch: int | str, new: int | str, scored: int | str) -> Any:
        """The head compiled for so many rows, new columns, and scored ones; a name means any."""
        # A cache is a BufferType, which the graph can write to.
        tokens = TensorType(DType.int64, [batch, new], device=self.device)
        mask = TensorType(DType.float32, [batch, new, "length"], device=self.device)
        columns = TensorType(DType.int64, [scored], device=self.device)
        count, *shape = self.cache_shape(batch)
        cache = BufferType(self.dtype, shape, DeviceRef.from_device(self.device))
        return head.compile(tokens, tokens, mask, columns, *[cache] * count)

    def make_head(self, model: Any) -> Module[..., Tensor]:
        """The head for such a model; another architecture has another one."""
        # Make the head of this step.
        return GPT2CachedHead(model)

    def cache_shape(self, batch: int | str) -> list[Any]:
        """The shape of all caches together: [2 n_layer, B, H, n_positions, D]."""
        # Take the sizes from the config; the number of rows can be a name, which means any.
        config = self.config
        head_dim = config.n_embd // config.n_head
        return [2 * config.n_layer, batch, config.n_head, config.n_positions, head_dim]

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> Floats:
        # Score the last column alone.
        return self.score(input_ids, start, 1)[:, 0]

    def score(self, input_ids: Tokens, start: Tokens, count: int) -> Floats:
        """The logits after each of the last `count` columns: [B, T], [B] -> [B, count, V]."""
        # Make new caches for another number of rows; nothing is read there before it is written.
        batch, length = input_ids.shape
        if batch != len(self.start):
            caches, *shape = self.cache_shape(batch)
            self.caches = [Buffer(self.dtype, shape, self.device) for _ in range(caches)]
        # Show a head the columns that are not in the caches, and those to score in any case, with
        # their positions and mask.
        new = max(length - self._count_known(input_ids, start), count)
        positions, mask = positions_and_mask(start, length, new)
        arrays = input_ids[:, length - new :], positions, mask, np.arange(new - count, new)
        tensors = (Tensor.from_dlpack(np.ascontiguousarray(array)) for array in arrays)
        head = self.column_head if (batch, new) == (1, 1) else self.head
        logits = head(*(x.to(self.device) for x in tensors), *self.caches).to_numpy()
        # Remember a copy of what was shown.
        self.seen, self.start = input_ids.copy(), start.copy()
        return logits

    def _count_known(self, input_ids: Tokens, start: Tokens) -> int:
        """How many columns are as before, from the first one on."""
        # None are in rows that start elsewhere than before.
        if not np.array_equal(start, self.start):
            return 0
        most = min(input_ids.shape[1], self.seen.shape[1])
        same = (input_ids[:, :most] == self.seen[:, :most]).all(axis=0)
        return most if same.all() else int(same.argmin())
