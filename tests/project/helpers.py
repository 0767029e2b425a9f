"""The way from NumPy to MAX and back."""

from typing import Any

import numpy as np
from max.experimental.tensor import Tensor
from numpy.typing import NDArray


def tensor(values: NDArray[Any]) -> Tensor:
    """A tensor of a copy: int64 for whole numbers, float32 for the others."""
    whole = np.issubdtype(values.dtype, np.integer)
    return Tensor.from_dlpack(values.astype(np.int64 if whole else np.float32))


def array(values: Tensor) -> NDArray[Any]:
    return np.array(values.to_numpy())
