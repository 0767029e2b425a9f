"""Step 02: the causal mask, which keeps every token from seeing the ones after it.

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
    # Number the positions of all keys: cached tokens first, then the new ones.
    keys = Tensor.arange(Dim(num_tokens) + sequence_length, dtype=DType.int64, device=device)
    # Take the positions of the queries, from num_tokens on, as a column [length, 1].
    queries = keys[num_tokens:].unsqueeze(1)
    # Put -inf where a key comes after the query, and 0 elsewhere.
    hidden = Tensor(-math.inf, dtype=dtype, device=device)
    seen = Tensor(0.0, dtype=dtype, device=device)
    return F.where(keys > queries, hidden, seen)
