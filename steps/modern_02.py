"""Modern 02: RMSNorm, a norm that leaves the mean alone.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m2   or   uv run tutor book m2
Check:   pixi run m02   or   uv run tutor check m2

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
        # TODO: Begin as the plain normalization: weight all ones, [dim].
        # TODO: Keep eps a plain number: a Tensor attribute would become a parameter.
        raise NotImplementedError("modern 02: RMSNorm.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Divide by the root of the mean square of the last axis, eps added inside the root;
        #   weight scales the result.
        raise NotImplementedError("modern 02: RMSNorm.forward")
