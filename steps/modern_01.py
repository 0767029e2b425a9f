"""Modern 01: the configuration of a Llama, in the words of its config.json.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m1   or   uv run tutor book m1
Check:   pixi run m01   or   uv run tutor check m1

Source: the config.json of TinyLlama, SmolLM2, Llama 3.2, Mistral 7B, Qwen2.5 and Qwen3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# TODO: For each of the families llama, mistral, qwen2 and qwen3, list the fields that its
#   config.json leaves unsaid: qwen2 has qkv_bias, qwen3 has qk_norm, the others have nothing of the
#   kind.


@dataclass
class LlamaConfig:
    """The sizes of a Llama; the defaults are those of the first one, with 7 billion parameters.

    Raises ValueError, naming field and value, for sizes that no model can have.
    """

    # TODO: Declare vocab_size 32000, hidden_size 4096, intermediate_size 11008, num_hidden_layers
    #   32, num_attention_heads 32, num_key_value_heads None, head_dim None, max_position_embeddings
    #   2048, rms_norm_eps 1e-6, rope_theta 10000.0, rope_scaling None, tie_word_embeddings False,
    #   qkv_bias False and qk_norm False, each with its type.

    def __post_init__(self) -> None:
        # TODO: Raise ValueError for one of the six plain sizes below 1, with its name and its
        #   value.
        # TODO: If num_key_value_heads is None, set it to the number of heads. If head_dim is None,
        #   set it to hidden_size divided by the heads.
        # TODO: Raise ValueError, too, for a num_key_value_heads that is below 1 or does not divide
        #   the heads, and for a head_dim that is below 1 or odd: its numbers will be taken in
        #   pairs.
        raise NotImplementedError("modern 01: LlamaConfig.__post_init__")

    @property
    def n_positions(self) -> int:
        """How many tokens the model can see, by the name that the loops of generation ask for."""
        # TODO: Return max_position_embeddings.
        raise NotImplementedError("modern 01: LlamaConfig.n_positions")


def read_config(entries: Mapping[str, Any]) -> LlamaConfig:
    """The configuration that the entries of a config.json describe.

    Raises ValueError, naming it, for a model_type that is none of the four families.
    """
    # TODO: Refuse a model_type that is none of the families.
    # TODO: Start from what the family has and the entries that are not null: null counts as absent.
    # TODO: Look into rope_parameters, where transformers 5 keeps rope_theta and the scaling, and
    #   into rope_scaling, where version 4 keeps the scaling alone. Its kind is called rope_type,
    #   and type in older files; if that is missing or "default", there is no scaling.
    # TODO: Make the configuration from those entries that are fields of it.
    # TODO: End before a sliding_window hides the first token, unless use_sliding_window switches it
    #   off.
    raise NotImplementedError("modern 01: read_config")
