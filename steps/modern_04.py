"""Modern 04: rotary positions, which turn queries and keys by where they stand.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m4   or   uv run tutor book m4
Check:   pixi run m04   or   uv run tutor check m4

Source: Su et al., "RoFormer", section 3.2.2; the scaling llama3 is that of Llama 3.1's own code.
"""

import math

import numpy as np
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from steps.modern_01 import LlamaConfig


def rotary_speeds(config: LlamaConfig) -> NDArray[np.float32]:
    """How far each pair of a head turns from one position to the next, in radians.

    Shape: [D / 2]. Raises ValueError, naming it, for a rope_type other than linear and llama3.
    """
    # TODO: Give pair i the speed rope_theta to the power of -2i / D.
    # TODO: rope_scaling is None or a dictionary. If its rope_type is "linear", divide all speeds by
    #   its factor.
    # TODO: If it is "llama3", ask how many turns a pair makes in original_max_position_embeddings
    #   positions. With low_freq_factor turns or fewer its speed is divided by the factor, with
    #   high_freq_factor or more it is kept, and in between it goes from the one to the other in
    #   proportion to the turns.
    # TODO: Raise the error for any other but "default", which means no scaling; return float32.
    raise NotImplementedError("modern 04: rotary_speeds")


def rotary_table(positions: Tensor, speeds: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle of every pair at every position, as float32.

    Shape: [B, T] int64, [D / 2] -> 2 [B, T, D / 2].
    """
    # TODO: Multiply each position by each speed, all in float32.
    # TODO: Return the cosine and the sine of these angles, from the positions as they are, however
    #   large.
    raise NotImplementedError("modern 04: rotary_table")


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs of every head; number i of the first half is paired with i of the second.

    Shape: [B, H, T, D], 2 [B, T, D / 2] -> [B, H, T, D].
    """
    # TODO: Give the table an axis for the heads, which all turn alike.
    # TODO: Take the halves of the last axis as the two coordinates of points, turn these, and put
    #   the new coordinates side by side again.
    raise NotImplementedError("modern 04: rotate")
