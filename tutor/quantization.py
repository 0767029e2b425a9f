"""Four-bit weights (Q4_0): a seventh of the bytes to read for each token, and a little off.

A block of 32 numbers of a row is a scale in float16 and a whole number from -8 to 7 for each.
Source: the format of that name in llama.cpp.
"""

from typing import Any

import numpy as np
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor
from max.graph.quantization import QuantizationEncoding
from numpy.typing import NDArray

from tutor.errors import InputError

BLOCK = 32  # numbers with one scale; MAX wants the rows of a matrix in so many, too


class QuantizedWeight(Module[[Tensor], Tensor]):
    """A matrix [out, in] that can be multiplied as engine 04 does it: weight @ columns."""

    dtype = DType.float32  # of what is computed with it

    def __init__(self, weight: NDArray[np.float32]) -> None:
        self.shape = weight.shape
        padding = -weight.shape[0] % BLOCK
        self.packed = Tensor.from_dlpack(pack(np.pad(weight, ((0, padding), (0, 0)))))

    def __matmul__(self, columns: Tensor) -> Tensor:
        return self(columns)

    def forward(self, columns: Tensor) -> Tensor:
        """Shape: [in, N] -> [out, N]."""
        rows = F.qmatmul(QuantizationEncoding.Q4_0, None, columns.T, self.packed)
        product: Tensor = rows[:, : self.shape[0]].T
        return product


def pack(weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A matrix in Q4_0, each block as its scale and 16 bytes.

    Shape: [out, in] -> [out, in / 32 * 18].
    """
    rows, columns = weight.shape
    blocks = weight.reshape(rows, columns // BLOCK, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1)[..., None], axis=-1)
    scale = (largest / -8).astype(np.float16)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.rint(blocks / scale.astype(np.float32))
    numbers = (np.nan_to_num(whole).clip(-8, 7) + 8).astype(np.uint8)
    halves = numbers[..., : BLOCK // 2] | numbers[..., BLOCK // 2 :] << 4
    packed = np.concatenate([scale.view(np.uint8).reshape(*blocks.shape[:2], 2), halves], axis=-1)
    return packed.reshape(rows, -1)


def quantize(model: Any) -> None:
    """Put four-bit weights into all linear layers of a model and into its head."""
    layers = [
        layer
        for block in model.transformer.h
        for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)
    ]
    for layer in (*layers, model.lm_head):
        weight = layer.weight.to_numpy()
        if weight.shape[1] % BLOCK:
            raise InputError(
                f"--dtype q4_0 needs a model whose widths are multiples of {BLOCK}; leave it out"
            )
        layer.weight = QuantizedWeight(weight)
