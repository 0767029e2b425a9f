"""The settings of a model folder: its JSON files, of which family it is, and what ends a text."""

import json
import reprlib
from pathlib import Path
from typing import Any

from tutor.engine.families import FAMILIES
from tutor.engine.family import Family
from tutor.errors import InputError, reason

CONFIG, GENERATION = "config.json", "generation_config.json"

LARGEST_FILE = 16 * 2**20  # bytes; the index of a model in many files has less than a tenth


def read_text(path: Path) -> str:
    """A text as editors and shells save it: UTF-8 or UTF-16, with a byte order mark or without."""
    content = path.read_bytes()
    return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")


def read_json(path: Path) -> dict[str, Any]:
    """The entries of a small JSON file."""
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise InputError(f"{path} has {size >> 20} MB, but holds only settings; fetch it anew")
    try:
        entries = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({reason(error)}); fetch it anew") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path} holds no settings; fetch it anew")
    return entries


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a config.json, if they are of a model that the steps can make."""
    entries = read_json(path)
    if fault := find_fault(entries):
        raise InputError(f"{path} has {fault}; choose another model")
    return entries


def find_fault(entries: dict[str, Any]) -> str:
    """What is wrong with the entries of a config.json, or nothing."""
    family = family_of(entries)
    if family is None:
        *most, last = map(repr, FAMILIES)
        return f"model_type {shown(entries['model_type'])}, not {', '.join(most)} or {last}"
    if missing := [name for name in family.needed if name not in entries]:
        return f"no {missing[0]}, which is needed for {family.label}"
    for name, value in entries.items():
        if wanted := family.rules[name](value) if name in family.rules else "":
            return f"{name} {shown(value)}, not {wanted}"
    return family.fault(entries)


def family_of(entries: dict[str, Any]) -> Family | None:
    """The family that the entries of a config.json name; those of GPT-2 need not."""
    name = entries.get("model_type", "gpt2")
    return FAMILIES.get(name) if isinstance(name, str) else None


def find_family(folder: Path) -> Family:
    """The family of a model folder."""
    found = family_of(read_config(folder / CONFIG))
    assert found
    return found


def shown(value: Any) -> str:
    """A value of a config.json, which may be long."""
    return reprlib.repr(value)


def find_ends(folder: Path, vocab_size: int) -> list[int]:
    """The tokens that end a text, as generation_config.json says, or else config.json.

    None are named where neither has one that the model knows.
    """
    for file in (GENERATION, CONFIG):
        if not (folder / file).is_file():
            continue
        value = read_json(folder / file).get("eos_token_id")
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(each) is int for each in ids):
            raise InputError(
                f"{folder / file} has eos_token_id {reprlib.repr(value)}; "
                "make it a token id, a list of them, or null"
            )
        if known := [each for each in ids if 0 <= each < vocab_size]:
            return known
    return []
