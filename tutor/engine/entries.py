"""What the entries of a config.json ought to be: each rule says it of a value that is not that."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Entries = Mapping[str, Any]
# What an entry ought to be; nothing if it is that.
Rule = Callable[[Any], str]

LARGEST = 10**6  # no model has more of anything but positions
LONGEST = 10**9  # positions; only as many as there is room for are used

# What each kind of slower rotation needs to know.
SCALINGS: dict[Any, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        *("factor", "low_freq_factor", "high_freq_factor"),
        "original_max_position_embeddings",
    ),
}
LAYERS = ("full_attention", "sliding_attention")


def one_of(*values: Any, why: str = "") -> Rule:
    """One of these values; the first stands for all in what is said."""
    return lambda value: "" if value in values else f"{values[0]!r}{why}"


def whole(most: int = LARGEST) -> Rule:
    """A size."""
    return lambda value: (
        "" if type(value) is int and 1 <= value <= most else f"a whole number from 1 to {most:,}"
    )


def optional(rule: Rule) -> Rule:
    """What another rule says, or null."""
    return lambda value: "" if value is None else rule(value)


def is_positive(value: Any) -> bool:
    """Whether a value is a number above 0."""
    return type(value) in (int, float) and 0 < value < math.inf


def small(value: Any) -> str:
    """What is added to a variance."""
    return "" if is_positive(value) else "a small number above 0"


def above_zero(value: Any) -> str:
    """What positions are turned by."""
    return "" if is_positive(value) else "a number above 0"


def unread(value: Any) -> str:
    """What quantized weights come with."""
    return "" if value is None else "null: quantized weights are not read"


def truth(value: Any) -> str:
    """A switch."""
    return "" if type(value) is bool else "true or false"


def rotation_fault(entries: Entries) -> str:
    """What is wrong with how a config.json has positions turned, or nothing."""
    for place in ("rope_scaling", "rope_parameters"):
        given = entries.get(place)
        if given is None:
            continue
        if not isinstance(given, dict):
            return f"{place} {given!r:.40}, not null or its settings"
        kind = given.get("rope_type", given.get("type", "default"))
        if not (isinstance(kind, str) and kind in SCALINGS):
            return f"{place} of the type {kind!r:.40}, not 'default', 'linear' or 'llama3'"
        for name in (*SCALINGS[kind], *({"rope_theta"} & given.keys())):
            if not is_positive(given.get(name)):
                return f"{place} with {name} {given.get(name)!r:.40}, not a number above 0"
        if kind == "llama3" and given["low_freq_factor"] >= given["high_freq_factor"]:
            return f"{place} whose low_freq_factor is not below its high_freq_factor"
        if (part := given.get("partial_rotary_factor", 1)) != 1:
            return f"{place} with partial_rotary_factor {part!r:.40}, not 1"
    return ""


def window_fault(entries: Entries) -> str:
    """What is wrong with the kinds of layers, or nothing.

    Sliding layers are as the others, as long as no text is longer than their window.
    """
    kinds = entries.get("layer_types")
    if kinds is None:
        return ""
    if not isinstance(kinds, list):
        return f"layer_types {kinds!r:.40}, not null or a list"
    if strange := [kind for kind in kinds if kind not in LAYERS]:
        return f"layer_types with {strange[0]!r:.40}, not 'full_attention'"
    has_window = entries.get("sliding_window") and entries.get("use_sliding_window", True)
    if LAYERS[1] in kinds and not has_window:
        return f"layer_types with {LAYERS[1]!r}, but no sliding_window that is used"
    return ""
