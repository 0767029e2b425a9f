"""Step 02: the causal mask, which keeps every token from seeing the ones after it.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 2   or   uv run tutor book 2
Check:   pixi run s02   or   uv run tutor check 2

Source: Vaswani et al., "Attention Is All You Need", section 3.2.3.
"""

import math

from max.driver import Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from max.graph import Dim, DimLike


def causal_mask(
    sequence_length: DimLike, num_tokens: DimLike, *, dtype: DType, device: Device
) -> Tensor:
    """0 where query i sees key j, which is where j <= i + num_tokens; -inf elsewhere.

    The queries follow `num_tokens` cached tokens. Either length may be a symbol, known only later.
    Shape: [sequence_length, num_tokens + sequence_length].
    """
    # TODO: Number the positions of all keys: cached tokens first, then the new ones.
    # TODO: Take the positions of the queries, from num_tokens on, as a column [length, 1].
    # TODO: Put -inf where a key comes after the query, and 0 elsewhere.
    raise NotImplementedError("step 02: causal_mask")
