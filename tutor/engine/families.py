"""The families of models that the engine runs: a row for each model_type."""

import dataclasses
from dataclasses import replace
from typing import Any

from tutor.engine.entries import (
    LONGEST,
    Entries,
    above_zero,
    one_of,
    optional,
    rotation_fault,
    small,
    truth,
    unread,
    whole,
    window_fault,
)
from tutor.engine.experts import Experts, with_experts
from tutor.engine.family import Family


def fill_config(step: Any, entries: Entries) -> Any:
    """A GPT2Config from the entries that are fields of it."""
    names = [field.name for field in dataclasses.fields(step.GPT2Config)]
    return step.GPT2Config(**{name: entries[name] for name in names if name in entries})


AS_GPT2 = ", as in the GPT-2 of this course"

GPT2 = Family(
    label="GPT-2",
    rules={
        "activation_function": one_of("gelu_new", "gelu_pytorch_tanh", why=AS_GPT2),
        "scale_attn_weights": one_of(True, why=AS_GPT2),
        "scale_attn_by_inverse_layer_idx": one_of(False, why=AS_GPT2),
        "add_cross_attention": one_of(False, why=AS_GPT2),
        "quantization_config": unread,
        **dict.fromkeys(("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"), whole()),
        "n_inner": optional(whole()),
        "layer_norm_epsilon": small,
    },
    needed=(),
    counts=("n_layer",),
    fault=lambda _: "",
    trunk="transformer.",
    is_trunk_needed=False,
    body=("wte", "wpe", "h", "ln_f"),
    buffers=r".*\.attn\.(bias|masked_bias|mask|causal_mask|tril)|(.*\.)?position_ids",
    transposed="c_attn.weight",
    dtypes=("F16", "F32", "F64", "U8", "BOOL"),  # the last two in buffers
    skipped=(".attn.bias", ".attn.masked_bias"),
    reads_many=False,
    sizes="sizes",
    make_config=fill_config,
    positions="n_positions",
    columns=lambda config: 2 * config.n_layer * config.n_embd,
    model="model",
    make_model=lambda step, config, _: step.MaxGPT2LMHeadModel(config),
    loads="loads",
    load=lambda step, folder, device: step.load_pretrained(folder, device=device),
    convert=lambda step, state, config: step.convert_state_dict(state, config),
    caches="caches",
    cached_model="CachedModel",
    batch_model="BatchModel",
)

AS_LLAMA = ", as in the Llama of this course"
AS_QWEN3 = ", as in the Qwen3-MoE of this course"
SIZES = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
    "num_attention_heads",
)

LLAMA = replace(
    GPT2,
    label="Llama",
    rules={
        "hidden_act": one_of("silu", "swish", why=AS_LLAMA),
        "attention_bias": one_of(False, None, why=AS_LLAMA),
        "mlp_bias": one_of(False, None, why=AS_LLAMA),
        "partial_rotary_factor": one_of(1, None, why=AS_LLAMA),
        "rope_interleaved": one_of(False, None, why=AS_LLAMA),
        "quantization_config": unread,
        **dict.fromkeys(SIZES, whole()),
        "num_key_value_heads": optional(whole()),
        "head_dim": optional(whole()),
        "max_position_embeddings": whole(LONGEST),
        "sliding_window": optional(whole(LONGEST)),
        "use_sliding_window": optional(truth),
        "tie_word_embeddings": optional(truth),
        "rms_norm_eps": small,
        "rope_theta": above_zero,
    },
    needed=(*SIZES, "max_position_embeddings"),
    counts=("num_hidden_layers",),
    fault=lambda entries: rotation_fault(entries) or window_fault(entries),
    trunk="model.",
    is_trunk_needed=True,
    body=("embed_tokens", "layers", "norm"),
    buffers=r"(.*\.)?(rotary_emb\.[^.]+|position_ids)",
    transposed="",
    dtypes=("F16", "F32", "BF16"),
    skipped=(".rotary_emb.inv_freq",),
    reads_many=True,
    sizes="llama_sizes",
    make_config=lambda step, entries: step.read_config(entries),
    positions="max_position_embeddings",
    columns=lambda config: (
        2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    ),
    model="llama_model",
    make_model=lambda step, config, _: step.MaxLlamaLMHeadModel(config),
    loads="llama_loads",
    caches="llama_caches",
    cached_model="LlamaCachedModel",
    batch_model="",
)


def mixtral_fault(entries: Entries) -> str:
    """What is wrong with several entries; somewhere they must say how fast positions turn."""
    if fault := LLAMA.fault(entries):
        return fault
    has_speed = "rope_theta" in {**entries, **(entries.get("rope_parameters") or {})}
    return "" if has_speed else "no rope_theta, which is needed for Mixtral"


# What transformers takes for an entry that is absent differs by family: such entries are needed.
MISTRAL = replace(
    LLAMA, label="Mistral", needed=(*LLAMA.needed, "num_key_value_heads", "sliding_window")
)
QWEN2 = replace(LLAMA, label="Qwen2", needed=(*LLAMA.needed, "num_key_value_heads"))
QWEN3 = replace(
    QWEN2,
    label="Qwen3",
    needed=(*QWEN2.needed, "head_dim"),
    rules={**LLAMA.rules, "head_dim": whole()},
)
MIXTRAL = with_experts(
    replace(MISTRAL, needed=(*MISTRAL.needed, "rms_norm_eps"), fault=mixtral_fault),
    "Mixtral",
    Experts(like="mistral", width="intermediate_size", norm=None),
    num_local_experts=whole(),
)
QWEN3_MOE = with_experts(
    QWEN3,
    "Qwen3-MoE",
    Experts(like="qwen3", width="moe_intermediate_size", norm="norm_topk_prob"),
    moe_intermediate_size=whole(),
    norm_topk_prob=truth,
    decoder_sparse_step=one_of(1, why=AS_QWEN3),
    mlp_only_layers=one_of([], None, why=AS_QWEN3),
    shared_expert_intermediate_size=one_of(None, 0, why=AS_QWEN3),
)

FAMILIES = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "mixtral": MIXTRAL,
    "qwen3_moe": QWEN3_MOE,
}
