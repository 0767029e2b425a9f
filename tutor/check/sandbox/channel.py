"""What passes between a check and the process of the code under check: JSON, never pickles."""

import base64
import io
import json
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tutor.check.sizes import Config

LARGEST = 2**24  # bytes of a message; the largest that a check needs has 1.4 million


def pack(message: dict[str, Any]) -> bytes:
    """A message of plain values, arrays and configurations.

    Raises TypeError for other values, ValueError for more than can be received.
    """
    packed = json.dumps(message, default=_pack).encode()
    if len(packed) > LARGEST:
        raise ValueError(f"{len(packed):,} bytes are more than a check can take")
    return packed


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Pack a message and send it."""
    connection.send_bytes(pack(message))


def receive(connection: Connection) -> dict[str, Any]:
    """The next message. Raises EOFError or OSError if there is none, ValueError for a bad one."""
    message = json.loads(connection.recv_bytes(LARGEST), object_hook=_unpack)
    if not isinstance(message, dict):
        raise ValueError("a message has to be an object")
    return message


def _pack(value: object) -> object:
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        np.lib.format.write_array(file, value, allow_pickle=False)
        return {"array": base64.b64encode(file.getvalue()).decode()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Config):
        return {"config": asdict(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _unpack(value: dict[str, Any]) -> Any:
    if value.keys() == {"array"}:
        file = io.BytesIO(base64.b64decode(value["array"]))
        return np.lib.format.read_array(file, allow_pickle=False)
    if value.keys() == {"config"}:
        return Config(**value["config"])
    return value
