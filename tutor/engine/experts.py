"""Families whose blocks have a mixture of experts in place of an MLP."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tutor.engine.entries import Entries, Rule, whole
from tutor.engine.family import Family, State

# What Mixtral calls the parts that have other names in Qwen3-MoE, and in modern 09.
NAMES = {"block_sparse_moe": "mlp", "w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
COUNTS = ("num_local_experts", "num_experts")  # which of the two differs by family and by age
USED = "num_experts_per_tok"


@dataclass(frozen=True)
class Experts:
    """How the config.json of such a family says what its experts are."""

    like: str  # the model_type that it would have without them
    width: str  # the entry with their inner size
    norm: str | None  # the entry that says whether shares are made to sum to 1; without, they are


def with_experts(family: Family, label: str, experts: Experts, **rules: Rule) -> Family:
    """The family that another one becomes with experts; `rules` are for more of its entries."""
    sizes = dict.fromkeys((*COUNTS, USED), whole())
    return replace(
        family,
        label=label,
        rules={**family.rules, **sizes, **rules},
        needed=(*family.needed, *filter(None, (USED, experts.width, experts.norm))),
        counts=(*family.counts, *COUNTS),
        fault=lambda entries: family.fault(entries) or expert_fault(entries),
        skipped=(),
        make_config=lambda step, entries: step.read_config({**entries, "model_type": experts.like}),
        model="mixes",
        make_model=partial(make_model, experts),
        loads="mixes",
        load=lambda step, folder, device: step.load_moe(folder, device=device),
        convert=convert,
    )


def count(entries: Entries) -> Any:
    """How many experts a block has."""
    return next((entries[name] for name in COUNTS if name in entries), None)


def expert_fault(entries: Entries) -> str:
    """What is wrong with the numbers of experts, or nothing."""
    have, used = count(entries), entries[USED]
    if have is None:
        return f"neither {' nor '.join(COUNTS)}"
    return f"{USED} {used}, but no more than {have} experts" if used > have else ""


def make_model(experts: Experts, step: Any, config: Any, entries: Entries) -> Any:
    """The model as modern 09 makes it."""
    norm = experts.norm is None or entries[experts.norm]
    sizes = step.MoEConfig(count(entries), entries[USED], entries[experts.width], norm)
    return step.MaxMoELMHeadModel(config, sizes)


def convert(_: Any, state: State, config: Any) -> State:
    """The weights as modern 09 names them, which converts only what it reads itself."""
    named = {
        ".".join(NAMES.get(part, part) for part in name.split(".")): array
        for name, array in state.items()
    }
    if config.tie_word_embeddings:
        named["lm_head.weight"] = named["model.embed_tokens.weight"]
    return {name: np.ascontiguousarray(array, np.float32) for name, array in named.items()}
