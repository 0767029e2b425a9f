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
    """What is wrong with a request, as status of the answer, message, field and code."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None

    def body(self) -> dict[str, Any]:
        """The answer: an object called error, with message, type, param and code."""
        # TODO: Its type is server_error from status 500 on, and invalid_request_error below.
        raise NotImplementedError("engine 07: ApiError.body")


class CompletionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a client can ask for; msgspec refuses another type, and numbers out of range."""

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
    """The request, of this kind, in a body. Raises ApiError: 400, or 404 for another model."""
    # TODO: msgspec says which field is wrong, as in "at `$.n`" or "required field `prompt`": take
    #   it for the param. Bytes that are no UTF-8 raise a UnicodeDecodeError. Another model than
    #   this one is "model_not_found".
    raise NotImplementedError("engine 07: parse_request")


def make_rows(request: CompletionRequest, ids: Sequence[int], ends: Sequence[int]) -> list[Row]:
    """The n rows of a request whose prompt has these ids; row k draws with seed + k."""
    # TODO: Without a seed, draw one.
    raise NotImplementedError("engine 07: make_rows")


class Text:
    """The text of a row, which goes out piece by piece as it becomes certain."""

    def __init__(self, row: Row, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        raise NotImplementedError("engine 07: Text.__init__")

    def read(self) -> str:
        """The next piece; a stop text is cut off, and ends the row."""
        # TODO: Decode prompt and new tokens together, since a token may be part of a character, and
        #   may lose its space at the start. Take what comes after the text of the prompt.
        # TODO: Cut it before the first stop text, and end the row with "stop". Until a row has
        #   ended, hold back what may change: an unfinished character, which decodes to U+FFFD, and
        #   the longest end of the text that a stop text begins with.
        raise NotImplementedError("engine 07: Text.read")


class Completion:
    """The answer to a request: chunks as its rows are written, or all in one."""

    def __init__(self, request: CompletionRequest, rows: list[Row], tokenizer: Tokenizer) -> None:
        # TODO: Make the Text of each row, with a list of stop texts, also where there is but one.
        # TODO: Every answer has an id of its own, object, created (the time in seconds), and the
        #   model.
        raise NotImplementedError("engine 07: Completion.__init__")

    def _choice(self, index: int, text: str) -> dict[str, Any]:
        """A text of a row, with its index, no logprobs, and why it has ended, or None."""
        raise NotImplementedError("engine 07: Completion._choice")

    def chunk(self, row: Row) -> dict[str, Any] | None:
        """What a step has added to a row; None if that is nothing and the row goes on."""
        # TODO: Put the row's choice into a list called choices, after the head.
        raise NotImplementedError("engine 07: Completion.chunk")

    def usage(self) -> dict[str, int]:
        """The tokens of the prompt, which counts once, of all rows together, and of both."""
        raise NotImplementedError("engine 07: Completion.usage")

    def whole(self) -> dict[str, Any]:
        """All that was sent, in one piece: the choices of all rows, and the usage."""
        raise NotImplementedError("engine 07: Completion.whole")


def encode_event(data: dict[str, Any] | None) -> bytes:
    """A server-sent event with this JSON; None is the end of the stream, [DONE]."""
    raise NotImplementedError("engine 07: encode_event")
