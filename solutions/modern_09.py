"""Modern 09: a mixture of experts in place of the MLP, as in Mixtral and Qwen3-MoE.

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

from solutions.modern_01 import LlamaConfig, read_config
from solutions.modern_03 import LlamaMLP
from solutions.modern_06 import MaxLlamaLMHeadModel
from solutions.modern_07 import read_tensors

# Say which family each of the two, mixtral and qwen3_moe, would be without its experts: mistral and
# qwen3. Our names are those of Qwen3-MoE, so say what Mixtral's are here: block_sparse_moe is mlp,
# w1 is gate_proj, w3 is up_proj, and w2 is down_proj.
WITHOUT_EXPERTS = {"mixtral": "mistral", "qwen3_moe": "qwen3"}
NAMES = {"block_sparse_moe": "mlp", "w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}


@dataclass
class MoEConfig:
    """The experts of a block: how many there are, how many a token uses, and how wide each is.

    norm_topk_prob says whether the shares of a token are divided by their sum, so they sum to 1.
    """

    # Declare num_experts, num_experts_per_tok and intermediate_size, each an int, and
    # norm_topk_prob, a bool.
    num_experts: int
    num_experts_per_tok: int
    intermediate_size: int
    norm_topk_prob: bool


class MixtureOfExperts(Module[[Tensor], Tensor]):
    """The sum of the outputs of some MLPs, each times its share. Shape: [B, T, C] -> [B, T, C]."""

    def __init__(self, hidden_size: int, config: MoEConfig) -> None:
        # Keep the config. Make gate, from hidden_size to one score per expert, without a bias, and
        # the experts, each an MLP of modern 03.
        self.config = config
        self.gate = Linear(hidden_size, config.num_experts, bias=False)
        sizes = hidden_size, config.intermediate_size
        self.experts = Sequential(*(LlamaMLP(*sizes) for _ in range(config.num_experts)))

    def forward(self, x: Tensor) -> Tensor:
        # Run every expert on x, multiply its output by its share, and add up the results.
        shares = self.route(x)
        parts = [shares[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts)]
        return sum(parts[1:], parts[0])

    def route(self, x: Tensor) -> Tensor:
        """The share of each expert in the output for each token. Shape: [B, T, C] -> [B, T, E]."""
        # Take the softmax of the scores of all experts. Keep the num_experts_per_tok largest, and
        # whose they are; divide them by their sum if norm_topk_prob says so.
        count = self.config.num_experts_per_tok
        best, ids = F.top_k(F.softmax(self.gate(x)), k=count, axis=-1)  # [B, T, E] -> 2 [B, T, K]
        if self.config.norm_topk_prob:
            best = best / F.sum(best, axis=-1)
        # Put each at the place of its expert, and 0 everywhere else.
        experts = Tensor.arange(self.config.num_experts, dtype=ids.dtype, device=x.device)
        chosen = (ids.unsqueeze(-1) == experts).cast(best.dtype)  # [B, T, K] -> [B, T, K, E]
        return F.sum(chosen * best.unsqueeze(-1), axis=-2).squeeze(-2)  # -> [B, T, E]


class MaxMoELMHeadModel(MaxLlamaLMHeadModel):
    """A Llama with a mixture of experts in each block. Shape: [B, T] int64 -> [B, T, V]."""

    def __init__(self, config: LlamaConfig, moe: MoEConfig) -> None:
        # Make a Llama, and put a mixture of experts in place of each layer's mlp.
        super().__init__(config)
        for layer in self.model.layers:
            layer.mlp = MixtureOfExperts(config.hidden_size, moe)


def load_moe(path: str | Path, *, device: Device | None = None) -> MaxMoELMHeadModel:
    """The model in a Hugging Face folder of the family mixtral or qwen3_moe, in float32.

    Raises ValueError, naming it, for another model_type.
    """
    # Read config.json, and refuse a model_type that is neither of the two.
    entries = json.loads((Path(path) / "config.json").read_text())
    family = entries.get("model_type")
    if family not in WITHOUT_EXPERTS:
        raise ValueError(f"model_type must be mixtral or qwen3_moe, but is {family!r}")
    # Give read_config the same entries, but as model_type the family without experts.
    config = read_config(entries | {"model_type": WITHOUT_EXPERTS[family]})
    # Make the MoEConfig. Mixtral has num_local_experts and intermediate_size, and its shares always
    # sum to 1. Qwen3-MoE has num_experts, or in newer files num_local_experts, and
    # moe_intermediate_size and norm_topk_prob.
    mixtral = family == "mixtral"
    moe = MoEConfig(
        num_experts=entries.get("num_local_experts", entries.get("num_experts")),
        num_experts_per_tok=entries["num_experts_per_tok"],
        intermediate_size=entries["intermediate_size" if mixtral else "moe_intermediate_size"],
        norm_topk_prob=mixtral or entries["norm_topk_prob"],
    )
    # Read the weights, and give each part of each name the name that it has here.
    state = {
        ".".join(NAMES.get(part, part) for part in name.split(".")): array
        for name, array in read_tensors(path).items()
    }
    # Tie the head if the config says so, build the model lazily, and load it.
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    with F.lazy(), default_device(device or CPU()), default_dtype(DType.float32):
        model = MaxMoELMHeadModel(config, moe)
    model.load_state_dict(state)
    return model
