"""Modern 02: RMSNorm, a norm that leaves the mean alone.

Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", section 4.
"""

from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor
from max.graph import DimLike


class RMSNorm(Module[[Tensor], Tensor]):
    """Bring every vector to a root mean square of 1, then scale it.

    y = x / sqrt(mean(x²) + eps) * weight, over the last axis.
    Shape: [..., dim] -> [..., dim].
    """

    def __init__(self, dim: DimLike, *, eps: float = 1e-6) -> None:
        # Begin as the plain normalization: weight all ones, [dim].
        self.weight = Tensor.ones([dim])
        # Keep eps a plain number: a Tensor attribute would become a parameter.
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # Divide by the root of the mean square of the last axis, eps added inside the root; weight
        # scales the result.
        return F.rms_norm(x, self.weight, self.eps)
