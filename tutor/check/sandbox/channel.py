"""What passes between a check and the process of the code under check: JSON, never pickles."""

import base64
import json
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tutor.check.sizes import Config

LARGEST = 2**22  # bytes of a message; the largest that a check needs has 1.4 million
NUMBERS = "?bhilqBHILQefdFD"  # NumPy's codes of the dtypes that can be sent


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
        if value.dtype.char not in NUMBERS:
            raise TypeError(f"an array of {value.dtype} cannot be sent")
        native = np.ascontiguousarray(value, value.dtype.newbyteorder("="))
        data = base64.b64encode(native.tobytes()).decode()
        return {"array": data, "dtype": value.dtype.char, "shape": value.shape}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Config):
        return {"config": asdict(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _unpack(value: dict[str, Any]) -> Any:
    if value.keys() == {"array", "dtype", "shape"}:
        if value["dtype"] not in list(NUMBERS):
            raise ValueError("an array of what are no numbers")
        # The data says how large it is, and a shape that does not fit it is refused.
        data = np.frombuffer(base64.b64decode(value["array"]), value["dtype"])
        return data.reshape([int(size) for size in value["shape"]]).copy()
    if value.keys() == {"config"}:
        return Config(**value["config"])
    return value
