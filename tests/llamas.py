"""What the suites of the modern track share: sizes of two small Llamas, and their parameters."""

from typing import Any

from tests.samples import varied

Options = dict[str, Any]  # what a LlamaConfig is made of

# No two of these sizes agree, and a head has more numbers than the width by the heads. The base is
# small, so that slow pairs turn, too, and epsilon is large enough to be seen anywhere.
LLAMA: Options = {
    "vocab_size": 61,
    "hidden_size": 30,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "head_dim": 8,
    "max_position_embeddings": 16,
    "rms_norm_eps": 0.05,
    "rope_theta": varied(80.0, [60.0, 90.0, 120.0], seed=26),
}
# One with all that a Llama itself lacks.
OTHER_LLAMA: Options = {
    "vocab_size": 43,
    "hidden_size": 24,
    "intermediate_size": 52,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 11,
    "rms_norm_eps": 0.02,
    "rope_theta": 300.0,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "qkv_bias": True,
    "qk_norm": True,
}


def block_shapes(options: Options) -> dict[str, list[int]]:
    """The parameters of one block, named as in the checkpoint."""
    width, inner = options["hidden_size"], options["intermediate_size"]
    head_dim = options["head_dim"]
    sizes = {"q": options["num_attention_heads"] * head_dim}
    sizes |= dict.fromkeys("kv", options["num_key_value_heads"] * head_dim)
    biases = {f"self_attn.{part}_proj.bias": [size] for part, size in sizes.items()}
    norms = {f"self_attn.{part}_norm.weight": [head_dim] for part in "qk"}
    return {
        "input_layernorm.weight": [width],
        **{f"self_attn.{part}_proj.weight": [size, width] for part, size in sizes.items()},
        **(biases if options.get("qkv_bias") else {}),
        "self_attn.o_proj.weight": [width, sizes["q"]],
        **(norms if options.get("qk_norm") else {}),
        "post_attention_layernorm.weight": [width],
        "mlp.gate_proj.weight": [inner, width],
        "mlp.up_proj.weight": [inner, width],
        "mlp.down_proj.weight": [width, inner],
    }


def parameter_shapes(options: Options) -> dict[str, list[int]]:
    """The parameters of a whole Llama with its head."""
    table = [options["vocab_size"], options["hidden_size"]]
    block, layers = block_shapes(options), range(options["num_hidden_layers"])
    return {
        "model.embed_tokens.weight": table,
        **{f"model.layers.{i}.{name}": shape for i in layers for name, shape in block.items()},
        "model.norm.weight": table[1:],
        "lm_head.weight": table,
    }
