"""The weights of a Hugging Face folder, as step 11 converts them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from max.graph.weights import WeightData, Weights

from solutions.solution_01 import GPT2Config
from solutions.solution_11 import convert_state_dict


def to_config(huggingface_config: Any) -> GPT2Config:
    """Our configuration, from that of transformers."""
    return GPT2Config(**{x.name: getattr(huggingface_config, x.name) for x in fields(GPT2Config)})


def convert_weights(
    state: Mapping[str, Weights], huggingface_config: Any, **_: Any
) -> dict[str, WeightData]:
    """The weights by the names of PagedGPT2, in float32."""
    arrays = {name: np.from_dlpack(weights.data()) for name, weights in state.items()}
    converted = convert_state_dict(arrays, to_config(huggingface_config))
    # Arrays of the file are read-only, so MAX could not share them: copy.
    return {name: WeightData.from_numpy(x.copy(), name) for name, x in converted.items()}
