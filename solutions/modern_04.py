"""Modern 04: rotary positions, which turn queries and keys by where they stand.

Source: Su et al., "RoFormer", section 3.2.2; the scaling llama3 is that of Llama 3.1's own code.
"""

import math

import numpy as np
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.modern_01 import LlamaConfig


def rotary_speeds(config: LlamaConfig) -> NDArray[np.float32]:
    """How far each pair of a head turns from one position to the next, in radians.

    Shape: [D / 2]. Raises ValueError, naming it, for a rope_type other than linear and llama3.
    """
    # Give pair i the speed rope_theta to the power of -2i / D.
    speeds = config.rope_theta ** -(np.arange(0, config.head_dim, 2) / config.head_dim)
    # rope_scaling is None or a dictionary. If its rope_type is "linear", divide all speeds by its
    # factor.
    scaling = config.rope_scaling or {}
    kind = scaling.get("rope_type", "default")
    if kind == "linear":
        speeds = speeds / scaling["factor"]
    # If it is "llama3", ask how many turns a pair makes in original_max_position_embeddings
    # positions. With low_freq_factor turns or fewer its speed is divided by the factor, with
    # high_freq_factor or more it is kept, and in between it goes from the one to the other in
    # proportion to the turns.
    elif kind == "llama3":
        turns = scaling["original_max_position_embeddings"] * speeds / (2 * math.pi)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        kept = np.clip((turns - low) / (high - low), 0, 1)
        speeds = kept * speeds + (1 - kept) * speeds / scaling["factor"]
    # Raise the error for any other but "default", which means no scaling; return float32.
    elif kind != "default":
        raise ValueError(f"rope_type must be default, linear or llama3, but is {kind!r}")
    return speeds.astype(np.float32)


def rotary_table(positions: Tensor, speeds: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle of every pair at every position, as float32.

    Shape: [B, T] int64, [D / 2] -> 2 [B, T, D / 2].
    """
    # Multiply each position by each speed, all in float32.
    rates = Tensor(speeds, dtype=DType.float32, device=positions.device)
    angles = positions.cast(DType.float32).unsqueeze(-1) * rates  # [B, T] -> [B, T, D / 2]
    # Return the cosine and the sine of these angles, from the positions as they are, however large.
    return F.cos(angles), F.sin(angles)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs of every head; number i of the first half is paired with i of the second.

    Shape: [B, H, T, D], 2 [B, T, D / 2] -> [B, H, T, D].
    """
    # Give the table an axis for the heads, which all turn alike.
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)  # [B, T, D / 2] -> [B, 1, T, D / 2]
    # Take the halves of the last axis as the two coordinates of points, turn these, and put the
    # new coordinates side by side again.
    first, second = F.chunk(x, 2, axis=-1)  # [B, H, T, D] -> 2 [B, H, T, D / 2]
    return F.concat([first * cos - second * sin, second * cos + first * sin], axis=-1)
