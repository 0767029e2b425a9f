"""Modern 01, the configuration of a Llama: its sizes, and how config.json files state them."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tests.samples import varied
from tutor.check.expectations import expect_entries, expect_refusals
from tutor.check.sandbox.workbench import Workbench

FACTOR = varied(1, range(3, 20, 2), seed=20)
MORE = FACTOR - 1  # tokens and layers than the real models have
DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "head_dim": 128,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "qkv_bias": False,
    "qk_norm": False,
}
# No two of these agree, nor with a default; head_dim is not what the width and the heads make.
SIZES = {
    "vocab_size": 61 * FACTOR,
    "hidden_size": 85 * FACTOR,
    "intermediate_size": 52 * FACTOR,
    "num_hidden_layers": 5 * FACTOR,
    "num_attention_heads": 6 * FACTOR,
    "num_key_value_heads": 2 * FACTOR,
    "head_dim": 10 * FACTOR,
    "max_position_embeddings": 16 * FACTOR,
}
GIVEN: dict[str, Any] = {**SIZES, "rms_norm_eps": 0.05 * FACTOR, "rope_theta": 100.0 * FACTOR}
GIVEN |= {"rope_scaling": {"rope_type": "linear", "factor": 2.0 * FACTOR}}
GIVEN |= dict.fromkeys(("tie_word_embeddings", "qkv_bias", "qk_norm"), True)

# What transformers 4 wrote for six models on the Hub: the entries that matter, and a few others.
FILES: dict[str, dict[str, Any]] = json.loads("""{
    "TinyLlama-1.1B": {
        "attention_bias": false, "hidden_size": 2048, "intermediate_size": 5632,
        "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 32,
        "num_hidden_layers": 22, "num_key_value_heads": 4, "rms_norm_eps": 1e-05,
        "rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": false,
        "vocab_size": 32000},
    "SmolLM2-135M": {
        "attention_bias": false, "hidden_size": 576, "intermediate_size": 1536,
        "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 9,
        "num_hidden_layers": 30, "num_key_value_heads": 3, "rms_norm_eps": 1e-05,
        "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
        "vocab_size": 49152},
    "Llama-3.2-1B": {
        "attention_bias": false, "head_dim": 64, "hidden_size": 2048,
        "intermediate_size": 8192, "max_position_embeddings": 131072, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0,
        "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type":
        "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256},
    "Mistral-7B-v0.1": {
        "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768,
        "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
        "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 32000},
    "Qwen2.5-0.5B": {
        "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768,
        "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
        "sliding_window": 32768, "tie_word_embeddings": true, "use_sliding_window": false,
        "vocab_size": 151936},
    "Qwen3-0.6B": {
        "attention_bias": false, "head_dim": 128, "hidden_size": 1024,
        "intermediate_size": 3072, "max_position_embeddings": 40960, "model_type": "qwen3",
        "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
        "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false,
        "vocab_size": 151936}
}""")
# What these models have and their files do not say, or say in other words.
UNSAID: dict[str, dict[str, Any]] = {
    "TinyLlama-1.1B": {"head_dim": 64},
    "SmolLM2-135M": {"head_dim": 64},
    "Llama-3.2-1B": {},
    "Mistral-7B-v0.1": {"head_dim": 128, "max_position_embeddings": 4096},
    "Qwen2.5-0.5B": {"head_dim": 64, "qkv_bias": True},
    "Qwen3-0.6B": {"qk_norm": True},
}
# Changes to these files, as other models have them, and what follows from each.
OLDER: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "TinyLlama-1.1B",
        {"num_key_value_heads": None, "head_dim": None},
        {"num_key_value_heads": 32},
    ),
    (
        "TinyLlama-1.1B",
        {"rope_scaling": {"type": "linear", "factor": 4.0}},
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    ),
    ("Mistral-7B-v0.1", {"sliding_window": None}, {"max_position_embeddings": 32768}),
    ("Mistral-7B-v0.1", {"sliding_window": 65536}, {"max_position_embeddings": 32768}),
    ("Qwen2.5-0.5B", {"sliding_window": 8192}, {}),
    (
        "Qwen2.5-0.5B",
        {"sliding_window": 8192, "use_sliding_window": True},
        {"max_position_embeddings": 8192},
    ),
]


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration where what means the same is the same, as 10000 and 10000.0."""
    values = dict(config)
    if type(values.get("rope_theta")) is int:
        values["rope_theta"] = float(values["rope_theta"])
    if isinstance(scaling := values.get("rope_scaling"), dict):
        # Beside the scaling there may be rope_theta, and its kind under the name in the file.
        kept = {name: scaling[name] for name in scaling if name not in ("rope_theta", "type")}
        values["rope_scaling"] = kept if kept.get("rope_type", "default") != "default" else None
    return values


def expect_config(
    what: str, got: dict[str, Any], expected: dict[str, Any], *, observed: object = None
) -> None:
    expected = expected | {"n_positions": expected["max_position_embeddings"]}
    expect_entries(f"in {what},", comparable(got), comparable(expected), observed=observed)


def expect_files(step: Workbench, cases: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    """Expect what follows from the entries of each file; a mistake is recognized by all of them."""
    got = [comparable(step.read_config(entries)) for _, entries, _ in cases]
    for (what, _, expected), config in zip(cases, got, strict=True):
        expect_config(what, config, expected, observed=got)


def entries_of(name: str) -> dict[str, Any]:
    """What the file of a model says; with a seed of its own, of one with more tokens and layers."""
    entries = dict(FILES[name])
    entries["vocab_size"] += MORE
    entries["num_hidden_layers"] += MORE
    return entries


def expected_of(name: str) -> dict[str, Any]:
    """What is to be read in the file of a model."""
    entries = entries_of(name)
    found = {each: entries[each] for each in DEFAULTS.keys() & entries.keys()}
    return DEFAULTS | found | UNSAID[name]


def as_version_5_writes(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The same file, read and saved again by transformers 5: of its changes, those that matter."""
    moved = ("rope_theta", "rope_scaling", "torch_dtype")
    rope = {"rope_theta": entries["rope_theta"], "rope_type": "default"}
    return {
        "dtype": "bfloat16",
        **{name: entries[name] for name in entries if name not in moved},
        "rope_parameters": rope | (entries.get("rope_scaling") or {}),
        "transformers_version": "5.12.1",
    }


def test_defaults(step: Workbench) -> None:
    expect_config("LlamaConfig()", step.llama_config(), DEFAULTS)


def test_resolved(step: Workbench) -> None:
    width, heads, groups = 84 * FACTOR, SIZES["num_attention_heads"], SIZES["num_key_value_heads"]
    plain = {"hidden_size": width, "num_attention_heads": heads}
    named = f"LlamaConfig(hidden_size={width}, num_attention_heads={heads}"
    resolved = DEFAULTS | plain | {"num_key_value_heads": heads, "head_dim": 14}
    expect_config(f"{named})", step.llama_config(**plain), resolved)
    grouped = plain | {"num_key_value_heads": groups}
    got = step.llama_config(**grouped)
    expect_config(f"{named}, num_key_value_heads={groups})", got, resolved | grouped)
    expect_config("LlamaConfig(…), with all fields given", step.llama_config(**GIVEN), GIVEN)


def test_refused(step: Workbench) -> None:
    cases: dict[str, tuple[Callable[[], object], list[object]]] = {}
    sizes = [(name, value) for value in (0, -7 * FACTOR, -8 * FACTOR) for name in SIZES]
    groups = [("num_key_value_heads", size * FACTOR) for size in (4, 5, 12)]
    for name, value in (*sizes, *groups, ("head_dim", 10 * FACTOR + 1)):
        observe = partial(step.llama_config, **GIVEN | {name: value})
        cases[f"LlamaConfig({name}={value}, …)"] = observe, [name, value]
    heads = partial(step.llama_config, num_attention_heads=0)
    cases["LlamaConfig(num_attention_heads=0)"] = heads, ["num_attention_heads", 0]
    expect_refusals(cases)
    ones = dict.fromkeys(SIZES, 1) | {"head_dim": 2}
    got = step.llama_config(**ones)
    expect_config("LlamaConfig(…), with 1 for all sizes but head_dim=2", got, DEFAULTS | ones)


def test_files(step: Workbench) -> None:
    real = [(f"the file of {name}", entries_of(name), expected_of(name)) for name in FILES]
    older = [
        (f"the file of {name} with {changes}", entries_of(name) | changes, expected_of(name) | new)
        for name, changes, new in OLDER
    ]
    expect_files(step, real + older)
    cases: dict[str, tuple[Callable[[], object], list[object]]] = {}
    for family in ("gpt2", "gemma"):
        entries = entries_of("TinyLlama-1.1B") | {"model_type": family}
        cases[f"a file with model_type {family}"] = partial(step.read_config, entries), [family]
    expect_refusals(cases)


def test_new_files(step: Workbench) -> None:
    saved = {name: as_version_5_writes(entries_of(name)) for name in FILES}
    what = "the file of {} as transformers 5 writes it"
    expect_files(step, [(what.format(name), saved[name], expected_of(name)) for name in FILES])
