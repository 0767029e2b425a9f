"""Keeps MAX's compiler from losing the causal mask of an attention."""

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor


def keep_softmax_apart() -> None:
    """Keep MAX from fusing a compiled attention into one kernel where that loses the causal mask.

    On the CPU, MAX 26.7 turns softmax(q @ k.T + mask) @ v into a flash attention that ignores a
    mask computed in the same graph: every token sees all others. A mask that is an input of the
    graph is safe. Scores whose maximum is subtracted do not match that pattern, and their softmax
    is the same.
    """
    from max.experimental import functional as F

    softmax = F.softmax

    @functools.wraps(softmax)
    def softmax_of_finished_scores(value: "Tensor", axis: int = -1) -> "Tensor":
        if F.in_graph_context() and not adds_an_input(value):
            value = value - F.max(value, axis=axis)
        result: Tensor = softmax(value, axis)
        return result

    F.softmax = softmax_of_finished_scores


def adds_an_input(value: "Tensor") -> bool:
    """Whether a value is the sum of an input of its graph, of whatever shape, and something."""
    from max._core import Block
    from max._core.dialects import rmo
    from max.graph import TensorValue

    def is_input(source: Any) -> bool:
        while isinstance(source.owner, rmo.ReshapeOp | rmo.SliceOp):
            source = source.owner.operands[0].value
        return isinstance(source.owner, Block)

    added = TensorValue(value)._mlir_value.owner
    return isinstance(added, rmo.AddOp) and any(is_input(term.value) for term in added.operands)
