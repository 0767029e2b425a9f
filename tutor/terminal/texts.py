"""Texts that a user gives, on the command line or on standard input."""

import sys

from tutor.errors import InputError


def text_argument(value: str) -> str:
    """An argument that is a text; - is what comes from standard input."""
    if value == "-":
        return as_text(read_standard_input().rstrip(b"\r\n"))
    return as_text(value.encode(errors="surrogateescape"))


def read_standard_input() -> bytes:
    """All of it, or nothing if it is closed."""
    return sys.stdin.buffer.read() if sys.stdin else b""


def as_text(prompt: bytes) -> str:
    """A prompt as it was given. Raises InputError if it is no text."""
    try:
        text = prompt.decode()
    except UnicodeDecodeError:
        raise InputError("the prompt is not text in UTF-8; convert it first") from None
    if not text:
        raise InputError("the prompt is empty; give the model at least a word to go on from")
    return text
