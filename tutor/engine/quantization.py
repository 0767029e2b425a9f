"""Four-bit weights (Q4_0): a seventh of the bytes to read for each token, and a little off.

A block of 32 numbers of a row is a scale in float16 and a whole number from -8 to 7 for each.
Source: the format of that name in llama.cpp.
"""

from typing import Any

import numpy as np
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor
from max.graph.quantization import QuantizationEncoding
from numpy.typing import NDArray

from tutor.errors import InputError

BLOCK = 32  # numbers with one scale; MAX wants the rows of a matrix in so many, too
ROWS = 64  # that are packed at a time


class QuantizedWeight(Module[[Tensor], Tensor]):
    """A matrix [out, in], by which rows or, as engine 04 does it, a column can be multiplied."""

    dtype = DType.float32  # of what is computed with it

    def __init__(self, weight: NDArray[np.float32]) -> None:
        self.shape = weight.shape
        padding = -weight.shape[0] % BLOCK
        self.packed = Tensor.from_dlpack(np.pad(pack(weight), ((0, padding), (0, 0))))

    def __matmul__(self, columns: Tensor) -> Tensor:
        """Shape: [in, N] -> [out, N]."""
        product: Tensor = self(columns.T).T
        return product

    def forward(self, rows: Tensor) -> Tensor:
        """Shape: [N, in] -> [N, out]."""
        padded = F.qmatmul(QuantizationEncoding.Q4_0, None, rows, self.packed)
        product: Tensor = padded[:, : self.shape[0]]
        return product


class QuantizedLinear(Module[[Tensor], Tensor]):
    """A linear layer with a four-bit weight."""

    def __init__(self, layer: Linear) -> None:
        self.weight, self.bias = QuantizedWeight(layer.weight.to_numpy()), layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Shape: [B, N, in] -> [B, N, out]."""
        batch, new, width = x.shape
        rows = self.weight(x.reshape([batch * new, width]))
        return rows.reshape([batch, new, self.weight.shape[0]]) + self.bias


def pack(weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A matrix in Q4_0, each block as its scale and 16 bytes.

    Shape: [out, in] -> [out, in / 32 * 18].
    """
    # Some rows at a time, which the processor's cache holds: that takes a third of the time.
    parts = range(0, len(weight), ROWS)
    return np.concatenate([pack_rows(weight[first : first + ROWS]) for first in parts])


def pack_rows(weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A few rows in Q4_0."""
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


def quantize(model: Module[..., Any]) -> None:
    """Put four-bit weights into all linear layers of a model, its head among them."""
    if not can_quantize(model):
        raise InputError(
            f"--dtype q4_0 needs a model whose widths are multiples of {BLOCK}; leave it out"
        )
    for parent, name, layer in find_linear(model):
        setattr(parent, name, QuantizedLinear(layer))


def can_quantize(model: Module[..., Any]) -> bool:
    """Whether all rows of all its matrices are of whole blocks."""
    return all(int(layer.in_dim) % BLOCK == 0 for _, _, layer in find_linear(model))


def find_linear(model: Module[..., Any]) -> list[tuple[Module[..., Any], str, Linear]]:
    """The linear layers of a model, each with the module that has it, and its name there."""
    return [
        (parent, name, layer)
        for parent in [model, *(module for _, module in model.descendants)]
        for name, layer in parent.children
        if isinstance(layer, Linear)
    ]
