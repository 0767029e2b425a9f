"""Engine 07: requests in and events out, in the form that OpenAI's clients know.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e7   or   uv run tutor book e7
Check:   pixi run e07   or   uv run tutor check e7

Source: OpenAI, "API reference", section Completions; WHATWG, "HTML", section Server-sent events.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from steps.engine_02 import Sampling
from steps.engine_06 import Row
from steps.step_12 import Tokenizer


@dataclass
class ApiError(Exception):
    """What is wrong with a request: the status of the answer, a message, the field, and a code."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None

    def body(self) -> dict[str, Any]:
        """The answer: an object called error, with message, type, param and code."""
        # TODO: The type is server_error from status 500 on, and invalid_request_error below.
        raise NotImplementedError("engine 07: ApiError.body")


class CompletionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a client can ask for; msgspec refuses wrong types, and numbers out of range."""

    model: str
    prompt: str
    max_tokens: Annotated[int, Meta(ge=1)] = 16
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=16)] = 1
    seed: Annotated[int, Meta(ge=0)] | None = None
    stop: str | list[str] = []
    stream: bool = False


def parse_request(body: bytes, model: str, kind: Any = CompletionRequest) -> CompletionRequest:
    """The request in a body, as a `kind`. Raises ApiError: 400, or 404 for another model."""
    # TODO: msgspec names the wrong field, as in "at `$.n`" or "required field `prompt`": make that
    #   the param. Bytes that aren't UTF-8 raise a UnicodeDecodeError. For any other model than this
    #   one, the code is "model_not_found".
    raise NotImplementedError("engine 07: parse_request")


def make_rows(request: CompletionRequest, ids: Sequence[int], ends: Sequence[int]) -> list[Row]:
    """The n rows of a request whose prompt has these ids; row k draws with seed + k."""
    # TODO: If the request has no seed, draw one.
    raise NotImplementedError("engine 07: make_rows")


class Text:
    """The text of a row, which goes out piece by piece as it becomes certain."""

    def __init__(self, row: Row, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        raise NotImplementedError("engine 07: Text.__init__")

    def read(self) -> str:
        """The next piece; a stop text is cut off, and ends the row."""
        # TODO: Decode the prompt and the new tokens together, since a token may be part of a
        #   character, and may lose its space at the start of a text. Take what comes after the
        #   prompt's text.
        # TODO: Until the row has ended, hold back what may still change: first an unfinished
        #   character, which decodes to U+FFFD. Cut the text before the first stop text, and end the
        #   row with "stop"; where there is none, hold back the longest end that a stop text begins
        #   with.
        raise NotImplementedError("engine 07: Text.read")


class Completion:
    """The answer to a request: chunks while its rows are written, or the whole at once."""

    def __init__(self, request: CompletionRequest, rows: list[Row], tokenizer: Tokenizer) -> None:
        # TODO: Make the Text of each row. A Text takes a list of stop texts, even if there is only
        #   one.
        # TODO: Every answer has its own id, the object, created (the time in seconds), and the
        #   model.
        raise NotImplementedError("engine 07: Completion.__init__")

    def _choice(self, index: int, text: str) -> dict[str, Any]:
        """A row's text, with its index, no logprobs, and why the row has ended, or None."""
        raise NotImplementedError("engine 07: Completion._choice")

    def chunk(self, row: Row) -> dict[str, Any] | None:
        """What a step has added to a row; None if that is nothing and the row continues."""
        # TODO: Add a list called choices to the head, with the row's choice in it.
        raise NotImplementedError("engine 07: Completion.chunk")

    def usage(self) -> dict[str, int]:
        """The tokens of the prompt, counted once, the new tokens of all rows, and their sum."""
        raise NotImplementedError("engine 07: Completion.usage")

    def whole(self) -> dict[str, Any]:
        """Everything that was sent, in one piece: the choices of all rows, and the usage."""
        raise NotImplementedError("engine 07: Completion.whole")


def encode_event(data: dict[str, Any] | None) -> bytes:
    """A server-sent event with this JSON; for None, the end of the stream, [DONE]."""
    raise NotImplementedError("engine 07: encode_event")
