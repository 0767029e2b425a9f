"""Step 03: layer normalization.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 3   or   uv run tutor book 3
Check:   pixi run s03   or   uv run tutor check 3

Source: Ba et al., "Layer Normalization", section 3.
"""

from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor
from max.graph import DimLike


class LayerNorm(Module[[Tensor], Tensor]):
    """Bring every vector to mean 0 and variance 1, then scale and shift it.

    y = (x - mean) / sqrt(variance + eps) * weight + bias, over the last axis.
    Shape: [..., dim] -> [..., dim].
    """

    def __init__(self, dim: DimLike, *, eps: float = 1e-5) -> None:
        # TODO: Begin as the plain normalization: weight all ones, bias all zeros, both [dim].
        # TODO: Keep eps a plain number: a Tensor attribute would become a parameter.
        raise NotImplementedError("step 03: LayerNorm.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Normalize the last axis, eps added inside the root; weight scales, bias shifts.
        raise NotImplementedError("step 03: LayerNorm.forward")
