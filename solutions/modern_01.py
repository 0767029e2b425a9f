"""Modern 01: the configuration of a Llama, in the words of its config.json.

Source: the config.json of TinyLlama, SmolLM2, Llama 3.2, Mistral 7B, Qwen2.5 and Qwen3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# For each of the families llama, mistral, qwen2 and qwen3, list the fields that its config.json
# leaves unsaid: qwen2 has qkv_bias, qwen3 has qk_norm, the others have nothing of the kind.
FAMILIES: dict[Any, dict[str, Any]] = {
    "llama": {},
    "mistral": {},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"qk_norm": True},
}


@dataclass
class LlamaConfig:
    """The sizes of a Llama; the defaults are those of the first one, with 7 billion parameters.

    Raises ValueError, naming field and value, for sizes that no model can have.
    """

    # Declare vocab_size 32000, hidden_size 4096, intermediate_size 11008, num_hidden_layers 32,
    # num_attention_heads 32, num_key_value_heads None, head_dim None, max_position_embeddings 2048,
    # rms_norm_eps 1e-6, rope_theta 10000.0, rope_scaling None, tie_word_embeddings False,
    # qkv_bias False and qk_norm False, each with its type.
    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    tie_word_embeddings: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False

    def __post_init__(self) -> None:
        # Raise ValueError for one of the six plain sizes below 1, with its name and its value.
        for name in (
            *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
            *("num_attention_heads", "max_position_embeddings"),
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        # If num_key_value_heads is None, set it to the number of heads. If head_dim is None, set it
        # to hidden_size divided by the heads.
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.head_dim is None:
            self.head_dim = self.hidden_size // self.num_attention_heads
        # Raise ValueError, too, for a num_key_value_heads that is below 1 or does not divide the
        # heads, and for a head_dim that is below 1 or odd: its numbers will be taken in pairs.
        if self.num_key_value_heads < 1 or self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads must divide num_attention_heads "
                f"({self.num_attention_heads}), but is {self.num_key_value_heads}"
            )
        if self.head_dim < 1 or self.head_dim % 2:
            raise ValueError(f"head_dim must be even and above 0, but is {self.head_dim}")

    @property
    def n_positions(self) -> int:
        """How many tokens the model can see, by the name that the loops of generation ask for."""
        # Return max_position_embeddings.
        return self.max_position_embeddings


def read_config(entries: Mapping[str, Any]) -> LlamaConfig:
    """The configuration that the entries of a config.json describe.

    Raises ValueError, naming it, for a model_type that is none of the four families.
    """
    # Refuse a model_type that is none of the families.
    family = entries.get("model_type")
    if family not in FAMILIES:
        raise ValueError(f"model_type must be one of {', '.join(FAMILIES)}, but is {family!r}")
    # Start from what the family has and the entries that are not null: null counts as absent.
    given = {name: value for name, value in entries.items() if value is not None}
    found = given | FAMILIES[family]
    # Look into rope_parameters, where transformers 5 keeps rope_theta and the scaling, and into
    # rope_scaling, where version 4 keeps the scaling alone. Its kind is called rope_type, and type
    # in older files; if that is missing or "default", there is no scaling.
    rope = found.get("rope_scaling", {}) | found.get("rope_parameters", {})
    rope = {"rope_type": rope.get("type", "default")} | rope
    found |= rope
    found["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    # Make the configuration from those entries that are fields of it.
    names = {field.name for field in fields(LlamaConfig)} & found.keys()
    config = LlamaConfig(**{name: found[name] for name in names})
    # End before a sliding_window hides the first token, unless use_sliding_window switches it off.
    if "sliding_window" in found and found.get("use_sliding_window", True):
        config.max_position_embeddings = min(
            config.max_position_embeddings, found["sliding_window"]
        )
    return config
