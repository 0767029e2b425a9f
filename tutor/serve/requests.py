"""What clients may ask for beyond engine 07: lists of prompts, token ids, echo, logprobs."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tutor.serve.model import Served

MOST_BYTES = 1_000_000  # of a request
MOST_STOPS = 4
MOST_LOGPROBS = 5


class StreamOptions(msgspec.Struct, frozen=True):
    """What else a stream should bring."""

    include_usage: bool = False


# Fields that engine 07 doesn't know, or takes fewer kinds of values for.
MORE: list[Any] = [
    ("prompt", str | list[Any]),
    ("echo", bool, False),
    ("logprobs", Annotated[int, Meta(ge=0, le=MOST_LOGPROBS)] | None, None),
    ("stream_options", StreamOptions, StreamOptions()),
    ("user", str, ""),
    # What only OpenAI supports: accepted if it changes nothing.
    ("best_of", int | None, None),
    ("suffix", str, ""),
    ("logit_bias", dict[str, float], {}),
    ("presence_penalty", float, 0.0),
    ("frequency_penalty", float, 0.0),
]
NEUTRAL = {"suffix": "", "logit_bias": {}, "presence_penalty": 0, "frequency_penalty": 0}


class Reader:
    """Reads requests for a model; raises engine 07's ApiError for those it cannot serve."""

    def __init__(self, served: Served, most_tokens: int, most_rows: int) -> None:
        self.served, self.most_tokens, self.most_rows = served, most_tokens, most_rows
        self.error = served.answers.ApiError
        base = served.answers.CompletionRequest
        self.kind = msgspec.defstruct("Request", MORE, bases=(base,), forbid_unknown_fields=True)

    def read(self, body: bytes) -> Any:
        """The request in a body; a field that is null counts as left out."""
        try:
            fields = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            fields = None  # engine 07 says what is wrong with it
        if isinstance(fields, dict):
            given = {name: value for name, value in fields.items() if value is not None}
            body = msgspec.json.encode(given)
        request = self.served.answers.parse_request(body, self.served.name, self.kind)
        self._check(request)
        return request

    def prompts(self, request: Any) -> list[str | list[int]]:
        """The prompts of a request: one, or a list of them, each as a text or as token ids."""
        prompts = request.prompt
        if isinstance(prompts, str) or (prompts and all(type(each) is int for each in prompts)):
            prompts = [prompts]
        for prompt in prompts:
            if not isinstance(prompt, str) and not is_ids(prompt):
                said = "prompt must be a text, token ids, or a list of either"
                raise self.error(400, said, "prompt")
        if not 1 <= len(prompts) * request.n <= self.most_rows:
            said = f"prompt and n ask for {len(prompts) * request.n} texts; ask for 1"
            raise self.error(400, f"{said} to {self.most_rows}", "prompt")
        return list(prompts)

    def _check(self, request: Any) -> None:
        size = self.served.engine.config.vocab_size
        stops = [request.stop] if isinstance(request.stop, str) else request.stop
        not_here = [name for name, value in NEUTRAL.items() if getattr(request, name) != value]
        if request.best_of not in (None, 1, request.n):
            not_here.append("best_of")
        if not_here:
            said = f"{not_here[0]} is not supported here; leave it out"
            raise self.error(400, said, not_here[0], "unsupported_parameter")
        for field, is_wrong, said in (
            ("max_tokens", request.max_tokens > self.most_tokens, f"at most {self.most_tokens}"),
            ("top_k", (request.top_k or 1) > size, f"at most {size}, the size of the vocabulary"),
            ("stop", len(stops) > MOST_STOPS, f"at most {MOST_STOPS} texts"),
            ("stop", "" in stops, "a text that is not empty, or a list of such texts"),
            (
                "logprobs",
                request.echo and request.logprobs is not None,
                "left out when echo is true",
            ),
            (
                "stream_options",
                request.stream_options.include_usage and not request.stream,
                "left out when stream is false",
            ),
        ):
            if is_wrong:
                raise self.error(400, f"{field} must be {said}", field)


def is_ids(prompt: object) -> bool:
    """Whether a prompt is a list of token ids."""
    return isinstance(prompt, Sequence) and all(type(each) is int for each in prompt)
