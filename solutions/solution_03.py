"""Step 03: layer normalization.

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
        # Begin as the plain normalization: weight all ones, bias all zeros, both [dim].
        self.weight = Tensor.ones([dim])
        self.bias = Tensor.zeros([dim])
        # Keep eps a plain number: a Tensor attribute would become a parameter.
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # Normalize the last axis, eps added inside the root; weight scales, bias shifts.
        return F.layer_norm(x, gamma=self.weight, beta=self.bias, epsilon=self.eps)
