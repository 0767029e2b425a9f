"""The folder that a training writes: what is on record in it, and its model card."""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tutor import files
from tutor.errors import InputError
from tutor.train.data import Data
from tutor.train.plan import Plan, Wanted
from tutor.train.settings import Settings

RECORD, CHECKPOINT = "training.json", "checkpoint.safetensors"

Record = dict[str, Any]


def request(wanted: Wanted, texts: Sequence[str]) -> Record:
    """What makes two trainings the same one."""
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return {"texts": digest, **dataclasses.asdict(wanted)}


def look(folder: Path, asked: Record) -> Record | None:
    """What is on record in a folder; None if nothing is there yet.

    Raises InputError if the folder holds anything else than this training.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        record: Record = json.loads((folder / RECORD).read_bytes())
        begun = dict(record["request"])
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            f"{folder} holds something else, which is left alone; give another --output"
        ) from None
    if different := [name for name in asked if begun.get(name) != asked[name]]:
        name = "texts" if different[0] == "texts" else f"--{different[0].replace('_', '-')}"
        raise InputError(
            f"{folder} was begun with other {name}; use the same command as then to continue, or "
            "give another --output"
        )
    return record


def begin(folder: Path, asked: Record, plan: Plan) -> Record:
    """Put a training on record, before its first step."""
    record = {
        "request": asked,
        "finished": False,
        "seconds_per_step": round(plan.seconds, 3),
        "options": dataclasses.asdict(plan.settings),
        "history": [],
    }
    keep(folder, record)
    return record


def plan_of(record: Record) -> Plan:
    """The plan that a training was begun with."""
    return Plan(Settings(**record["options"]), record["seconds_per_step"])


def keep(folder: Path, record: Record) -> None:
    """Write what is on record."""
    files.write(folder / RECORD, (json.dumps(record, indent=1) + "\n").encode())


def report(
    history: Sequence[Mapping[str, float]], data: Data, parameters: int, torch: str
) -> Record:
    """What a training measured: the lowest held-out loss, by token and by byte, and the curve."""
    loss = min(entry["heldout_loss"] for entry in history)
    return {
        "heldout_nats_per_token": round(loss, 4),
        "heldout_nats_per_byte": round(loss * len(data.heldout_ids) / data.heldout_bytes, 4),
        "heldout_tokens": len(data.heldout_ids),
        "train_tokens": len(data.train_ids),
        "parameters": parameters,
        "torch": torch.partition("+")[0],
        "python": platform.python_version(),
        "history": list(history),
    }
