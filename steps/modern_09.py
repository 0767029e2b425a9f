"""Modern 09: a mixture of experts in place of the MLP, as in Mixtral and Qwen3-MoE.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m9   or   uv run tutor book m9
Check:   pixi run m09   or   uv run tutor check m9

Source: Jiang et al., "Mixtral of Experts", section 2.1.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from max.driver import CPU, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module, Sequential
from max.experimental.tensor import Tensor, default_device, default_dtype

from steps.modern_01 import LlamaConfig, read_config
from steps.modern_03 import LlamaMLP
from steps.modern_06 import MaxLlamaLMHeadModel
from steps.modern_07 import read_tensors

# TODO: Say which family each of the two, mixtral and qwen3_moe, would be without its experts:
#   mistral and qwen3. Our names are those of Qwen3-MoE, so say what Mixtral's are here:
#   block_sparse_moe is mlp, w1 is gate_proj, w3 is up_proj, and w2 is down_proj.


@dataclass
class MoEConfig:
    """The experts of a block: how many there are, how many a token uses, and how wide each is.

    norm_topk_prob says whether the shares of a token are divided by their sum, so they sum to 1.
    """

    # TODO: Declare num_experts, num_experts_per_tok and intermediate_size, each an int, and
    #   norm_topk_prob, a bool.


class MixtureOfExperts(Module[[Tensor], Tensor]):
    """The sum of the outputs of some MLPs, each times its share. Shape: [B, T, C] -> [B, T, C]."""

    def __init__(self, hidden_size: int, config: MoEConfig) -> None:
        # TODO: Keep the config. Make gate, from hidden_size to one score per expert, without a
        #   bias, and the experts, each an MLP of modern 03.
        raise NotImplementedError("modern 09: MixtureOfExperts.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Run every expert on x, multiply its output by its share, and add up the results.
        raise NotImplementedError("modern 09: MixtureOfExperts.forward")

    def route(self, x: Tensor) -> Tensor:
        """The share of each expert in the output for each token. Shape: [B, T, C] -> [B, T, E]."""
        # TODO: Take the softmax of the scores of all experts. Keep the num_experts_per_tok largest,
        #   and whose they are; divide them by their sum if norm_topk_prob says so.
        # TODO: Put each at the place of its expert, and 0 everywhere else.
        raise NotImplementedError("modern 09: MixtureOfExperts.route")


class MaxMoELMHeadModel(MaxLlamaLMHeadModel):
    """A Llama with a mixture of experts in each block. Shape: [B, T] int64 -> [B, T, V]."""

    def __init__(self, config: LlamaConfig, moe: MoEConfig) -> None:
        # TODO: Make a Llama, and put a mixture of experts in place of each layer's mlp.
        raise NotImplementedError("modern 09: MaxMoELMHeadModel.__init__")


def load_moe(path: str | Path, *, device: Device | None = None) -> MaxMoELMHeadModel:
    """The model in a Hugging Face folder of the family mixtral or qwen3_moe, in float32.

    Raises ValueError, naming it, for another model_type.
    """
    # TODO: Read config.json, and refuse a model_type that is neither of the two.
    # TODO: Give read_config the same entries, but as model_type the family without experts.
    # TODO: Make the MoEConfig. Mixtral has num_local_experts and intermediate_size, and its shares
    #   always sum to 1. Qwen3-MoE has num_experts, or in newer files num_local_experts, and
    #   moe_intermediate_size and norm_topk_prob.
    # TODO: Read the weights, and give each part of each name the name that it has here.
    # TODO: Tie the head if the config says so, build the model lazily, and load it.
    raise NotImplementedError("modern 09: load_moe")
