"""A request in progress: its rows, and what its client hears while they are written."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from tutor.engine.generation import Story
from tutor.serve.model import Served
from tutor.serve.requests import Reader

Chunk = dict[str, Any]


class Job:
    """One request: the worker reports each row that has a new token, and a client reads chunks."""

    def __init__(self, served: Served, request: Any, stories: list[Story], seed: int) -> None:
        """The stories bring the prompts; the rows of each prompt count up from the same seed."""
        self.request, self.tokenizer = request, served.engine.tokenizer
        ends, code = served.engine.find_ends(), served.answers
        request.seed = seed
        self.parts = []
        for story in stories:
            rows = code.make_rows(request, story.prompt_ids, ends)
            self.parts.append(code.Completion(request, rows, served.engine.tokenizer))
        self.prompts = [story.prompt for story in stories for _ in range(request.n)]
        self.rows = [row for part in self.parts for row in part.rows]
        self.scores: list[list[Any]] = [[] for _ in self.rows]  # of tokens that no chunk has yet
        self.lengths = [len(prompt) if request.echo else 0 for prompt in self.prompts]
        self.kept: list[list[Any]] = [[] for _ in self.rows]  # of all tokens that were sent
        # From the worker to the client: a chunk, None once all rows have ended, or an error.
        self.inbox: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.tell: Callable[[], None] = lambda: None  # that the first token is there

    def put(self, news: Chunk | Exception | None) -> None:
        """Tell the client something, from any thread."""
        self._loop.call_soon_threadsafe(self.inbox.put_nowait, news)

    def took(self, row: Any) -> None:
        """A row has a new token, or has ended."""
        self.tell()
        number = self.rows.index(row)
        part = self.parts[number // self.request.n]
        if self.request.logprobs is not None and row.ended != "stop":
            self.scores[number].append(self._score(row))
        chunk = part.chunk(row)
        if chunk is not None:
            sent = part.texts[number % self.request.n].sent
            self.put(self._numbered(chunk, number, self._scored(number, len(sent))))
        if all(row.ended for row in self.rows):
            self.put(None)

    def cancel(self) -> None:
        """Cancel the rows that have not ended."""
        for row in self.rows:
            row.ended = row.ended or "cancelled"

    def echoes(self) -> list[Chunk]:
        """The prompts as the first chunks, where the request wants them."""
        if not self.request.echo:
            return []
        head = self.parts[0].head
        return [head | {"choices": [choice(number, p)]} for number, p in enumerate(self.prompts)]

    def whole(self) -> Chunk:
        """The answer in one piece."""
        choices = []
        for number, row in enumerate(self.rows):
            part = self.parts[number // self.request.n]
            sent = part.texts[number % self.request.n].sent
            text = (self.prompts[number] if self.request.echo else "") + sent
            scores = self._listed(self.kept[number]) if self.request.logprobs is not None else None
            choices.append(choice(number, text, scores, row.ended))
        return {**self.parts[0].head, "choices": choices, "usage": self.usage()}

    def usage(self) -> dict[str, int]:
        """The tokens of all prompts and of all rows."""
        usages = [part.usage() for part in self.parts]
        return {name: sum(each[name] for each in usages) for name in usages[0]}

    def _numbered(self, chunk: Chunk, number: int, scores: Any) -> Chunk:
        """A chunk with the number of the row in the whole request, and its logprobs."""
        choices = [{**each, "index": number, "logprobs": scores} for each in chunk["choices"]]
        return {**chunk, **self.parts[0].head, "choices": choices}

    def _score(self, row: Any) -> list[Any]:
        """The last token's text, its log-probability, and those of the most likely tokens."""
        logits = row.logits.astype(np.float64)
        logits -= logits.max()
        logits -= np.log(np.exp(logits).sum())
        best = np.argsort(-logits, kind="stable")[: self.request.logprobs].tolist()
        show, token = self.tokenizer.show, row.new[-1]
        return [
            show(token),
            float(logits[token]),
            {show(each): float(logits[each]) for each in best},
        ]

    def _scored(self, number: int, end: int) -> Any:
        """The logprobs of a chunk's tokens: of those that begin in the text sent so far."""
        if self.request.logprobs is None:
            return None
        scores, self.scores[number] = self.scores[number], []
        told = []
        for text, chance, best in scores:
            at = self.lengths[number]
            if at < end + (len(self.prompts[number]) if self.request.echo else 0):
                told.append([text, chance, best, at])
            self.lengths[number] += len(text)
        self.kept[number] += told
        return self._listed(told)

    def _listed(self, told: list[Any]) -> dict[str, list[Any]]:
        names = "tokens", "token_logprobs", "top_logprobs", "text_offset"
        return {name: [each[place] for each in told] for place, name in enumerate(names)}


def choice(number: int, text: str, scores: Any = None, ended: str = "") -> dict[str, Any]:
    """A choice of an answer, as engine 07 has it."""
    return {"index": number, "text": text, "logprobs": scores, "finish_reason": ended or None}


def make_job(served: Served, reader: Reader, request: Any, seed: int) -> Job:
    """A job for a request; raises ApiError for prompts that the model cannot continue."""
    from tutor.errors import InputError

    stories = []
    for prompt in reader.prompts(request):
        try:
            stories.append(served.engine.story(prompt, seed))
        except InputError as error:
            code = "context_length_exceeded" if "at most" in str(error) else None
            raise reader.error(400, str(error), "prompt", code) from None
    return Job(served, request, stories, seed)
