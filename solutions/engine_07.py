"""Engine 07: requests in and events out, in the form that OpenAI's clients know.

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

from solutions.engine_02 import Sampling
from solutions.engine_06 import Row
from solutions.solution_12 import Tokenizer


@dataclass
class ApiError(Exception):
    """What is wrong with a request: the status of the answer, a message, the field, and a code."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None

    def body(self) -> dict[str, Any]:
        """The answer: an object called error, with message, type, param and code."""
        # The type is server_error from status 500 on, and invalid_request_error below.
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        entries = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": entries}


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
    # msgspec names the wrong field, as in "at `$.n`" or "required field `prompt`": make that the
    # param. Bytes that aren't UTF-8 raise a UnicodeDecodeError. For any other model than this one,
    # the code is "model_not_found".
    try:
        request: CompletionRequest = msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        field = re.search(r"(?:at `\$\.|field `)(\w+)", str(error))
        raise ApiError(400, f"Bad request: {error}", field[1] if field else None) from None
    if request.model != model:
        raise ApiError(
            404, f"There is no {request.model}, only {model}", "model", "model_not_found"
        )
    return request


def make_rows(request: CompletionRequest, ids: Sequence[int], ends: Sequence[int]) -> list[Row]:
    """The n rows of a request whose prompt has these ids; row k draws with seed + k."""
    # If the request has no seed, draw one.
    seed = secrets.randbits(32) if request.seed is None else request.seed
    sampling = Sampling(request.temperature, request.top_k, request.top_p)
    rngs = [np.random.default_rng(seed + number) for number in range(request.n)]
    return [Row(ids, rng, request.max_tokens, sampling, ends) for rng in rngs]


class Text:
    """The text of a row, which goes out piece by piece as it becomes certain."""

    def __init__(self, row: Row, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self.row, self.tokenizer, self.stops, self.sent = row, tokenizer, stops, ""

    def read(self) -> str:
        """The next piece; a stop text is cut off, and ends the row."""
        # Decode the prompt and the new tokens together, since a token may be part of a character,
        # and may lose its space at the start of a text. Take what comes after the prompt's text.
        before = self.tokenizer.decode([*self.row.prompt])
        text = self.tokenizer.decode([*self.row.prompt, *self.row.new])[len(before) :]
        # Until the row has ended, hold back what may still change: first an unfinished character,
        # which decodes to U+FFFD. Cut the text before the first stop text, and end the row with
        # "stop"; where there is none, hold back the longest end that a stop text begins with.
        if not self.row.ended:
            text = text.rstrip("\ufffd")
        if places := [place for stop in self.stops if (place := text.find(stop)) >= 0]:
            text, self.row.ended = text[: min(places)], "stop"
        elif not self.row.ended:
            begun = [stop[:size] for stop in self.stops for size in range(len(stop))]
            kept = max((len(each) for each in begun if text.endswith(each)), default=0)
            text = text[: len(text) - kept]
        piece, self.sent = text[len(self.sent) :], text
        return piece


class Completion:
    """The answer to a request: chunks while its rows are written, or the whole at once."""

    def __init__(self, request: CompletionRequest, rows: list[Row], tokenizer: Tokenizer) -> None:
        # Make the Text of each row. A Text takes a list of stop texts, even if there is only one.
        stops = [request.stop] if isinstance(request.stop, str) else request.stop
        self.rows, self.texts = rows, [Text(row, tokenizer, stops) for row in rows]
        # Every answer has its own id, the object, created (the time in seconds), and the model.
        self.head: dict[str, Any] = {"id": f"cmpl-{secrets.token_hex(12)}"}
        self.head |= {"object": "text_completion", "created": int(time.time())}
        self.head["model"] = request.model

    def _choice(self, index: int, text: str) -> dict[str, Any]:
        """A row's text, with its index, no logprobs, and why the row has ended, or None."""
        reason = self.rows[index].ended or None
        return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}

    def chunk(self, row: Row) -> dict[str, Any] | None:
        """What a step has added to a row; None if that is nothing and the row continues."""
        # Add a list called choices to the head, with the row's choice in it.
        index = self.rows.index(row)
        piece = self.texts[index].read()
        return self.head | {"choices": [self._choice(index, piece)]} if piece or row.ended else None

    def usage(self) -> dict[str, int]:
        """The tokens of the prompt, counted once, the new tokens of all rows, and their sum."""
        prompt, new = len(self.rows[0].prompt), sum(len(row.new) for row in self.rows)
        counts = {"prompt_tokens": prompt, "completion_tokens": new}
        return counts | {"total_tokens": prompt + new}

    def whole(self) -> dict[str, Any]:
        """Everything that was sent, in one piece: the choices of all rows, and the usage."""
        choices = [self._choice(index, text.sent) for index, text in enumerate(self.texts)]
        return self.head | {"choices": choices, "usage": self.usage()}


def encode_event(data: dict[str, Any] | None) -> bytes:
    """A server-sent event with this JSON; for None, the end of the stream, [DONE]."""
    return b"data: " + (b"[DONE]" if data is None else msgspec.json.encode(data)) + b"\n\n"
