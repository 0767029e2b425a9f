"""Modern 09: a mixture of experts in place of the MLP, as in Mixtral and Qwen3-MoE.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: book/src/modern_09.md
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

# TODO: Name the family that each of the two, mixtral and qwen3_moe, would be without its experts;
#   and what Mixtral calls the parts that are ours by the names of Qwen3-MoE: block_sparse_moe, w1,
#   w3, w2 for mlp, gate_proj, up_proj and down_proj.


@dataclass
class MoEConfig:
    """The experts of a block: how many there are, how many a token uses, and how wide each is.

    norm_topk_prob says whether the shares of those that a token uses are made to sum to 1.
    """

    # TODO: Declare num_experts, num_experts_per_tok and intermediate_size, and norm_topk_prob.


class MixtureOfExperts(Module[[Tensor], Tensor]):
    """The sum of the outputs of some MLPs, each times its share. Shape: [B, T, C] -> [B, T, C]."""

    def __init__(self, hidden_size: int, config: MoEConfig) -> None:
        # TODO: Keep the config. Make gate, from hidden_size to one score per expert, without a
        #   bias, and the experts, each an MLP of step modern 03.
        raise NotImplementedError("modern 09: MixtureOfExperts.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Run every expert, multiply its output by its share, which is 0 for most, and sum up.
        raise NotImplementedError("modern 09: MixtureOfExperts.forward")

    def route(self, x: Tensor) -> Tensor:
        """The share of each expert in the output for each token. Shape: [B, T, C] -> [B, T, E]."""
        # TODO: Take the softmax of the scores of all experts, and of that the num_experts_per_tok
        #   largest and which ones these are; divide them by their sum if norm_topk_prob says so.
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
    # TODO: Under the name of the family that it would be without experts, read_config knows it.
    # TODO: Mixtral has num_local_experts, and always makes the shares sum to 1; Qwen3-MoE has
    #   num_experts, in newer files num_local_experts, moe_intermediate_size and norm_topk_prob.
    # TODO: Read the weights, and give each part of each name the name that it has here.
    # TODO: Tie the head if the config says so, build the model lazily, and load it.
    raise NotImplementedError("modern 09: load_moe")
