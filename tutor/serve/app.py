"""The routes of the server, in Starlette: OpenAI's API for completions, health, metrics, a page."""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import prometheus_client as prometheus
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tutor.serve.jobs import Job, make_job
from tutor.serve.model import Served
from tutor.serve.requests import MOST_BYTES, Reader
from tutor.serve.worker import StoppedError, Worker

PAGE = Path(__file__).with_name("page.html")
CLOSED = 499  # the status in the metrics for a client that has gone


class Service:
    """A model on a worker, and the requests for it."""

    def __init__(self, served: Served, slots: int, queue: int, most_tokens: int) -> None:
        self.served, self.most_rows = served, slots + queue
        self.reader = Reader(served, most_tokens, self.most_rows)
        self.worker = Worker(served.make_batch(slots), served.engine.tree)
        self.created, self.pending = int(time.time()), 0
        self.is_stopping = threading.Event()
        self.registry = prometheus.CollectorRegistry()
        self.requests = self._metric(prometheus.Counter, "requests", "Requests", ["status"])
        self.tokens = self._metric(prometheus.Counter, "tokens", "Tokens", ["kind"])
        said = "Seconds from a request to its first token"
        self.first = self._metric(prometheus.Histogram, "first_token_seconds", said)
        self.rows = self._metric(prometheus.Gauge, "rows", "Rows in the batch", ["state"])

    def _metric(self, kind: Any, name: str, *given: Any) -> Any:
        return kind(f"tutor_{name}", *given, registry=self.registry)

    def error(self, status: int, message: str, *more: str | None) -> Exception:
        """An ApiError of engine 07."""
        error: Exception = self.served.answers.ApiError(status, message, *more)
        return error

    # Routes

    async def page(self, _: Request) -> Response:
        text = PAGE.read_text(encoding="utf-8").replace("MODEL", self.served.name)
        return HTMLResponse(text)

    async def health(self, _: Request) -> Response:
        said = "stopping" if self.is_stopping.is_set() else "failed" if self.worker.failed else "ok"
        return JSONResponse({"status": said}, 200 if said == "ok" else 503)

    async def metrics(self, _: Request) -> Response:
        for state, count in zip(("running", "waiting"), self.worker.rows, strict=True):
            self.rows.labels(state).set(count)
        text = prometheus.generate_latest(self.registry)
        return Response(text, media_type=prometheus.CONTENT_TYPE_LATEST)

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name != self.served.name:
            said = f"there is no {name}, only {self.served.name}"
            raise self.error(404, said, "model", "model_not_found")
        return JSONResponse(self._model())

    def _model(self) -> dict[str, Any]:
        known = {"id": self.served.name, "object": "model"}
        return {**known, "created": self.created, "owned_by": "you"}

    async def chat(self, _: Request) -> Response:
        said = "this model only continues texts and cannot chat; send a prompt to /v1/completions"
        raise self.error(400, said, "messages", "chat_not_supported")

    async def completions(self, request: Request) -> Response:
        begin = time.perf_counter()
        if self.is_stopping.is_set():
            raise self.error(503, "the server is stopping", None, "stopping")
        if self.worker.failed:
            raise self.error(503, "the engine has failed", None, "engine_failed")
        asked = self.reader.read(await self._body(request))
        seed = secrets.randbits(32) if asked.seed is None else asked.seed
        job = make_job(self.served, self.reader, asked, seed)
        if self.pending + len(job.rows) > self.most_rows:
            said = f"{self.pending} texts are being written or waiting; try again soon"
            raise self.error(429, said, None, "queue_full")
        job.tell = self._clock(job, begin)
        if asked.stream:
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            events = self._events(job)
            await anext(events)  # from here on the job counts, and always ends
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        return await self._whole(request, job)

    def _clock(self, job: Job, begin: float) -> Any:
        def tell() -> None:
            self.first.observe(time.perf_counter() - begin)
            job.tell = lambda: None

        return tell

    # One request

    async def _body(self, request: Request) -> bytes:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise self.error(413, f"the request is longer than {MOST_BYTES} bytes")
        return body

    @contextlib.contextmanager
    def _served(self, job: Job) -> Iterator[None]:
        """Let the worker write a job; whatever happens, its rows leave and get counted."""
        self.pending += len(job.rows)
        self.worker.jobs.put(job)
        try:
            yield
        finally:
            job.cancel()
            self.pending -= len(job.rows)
            usage = job.usage()
            for kind in ("prompt", "completion"):
                self.tokens.labels(kind).inc(usage[f"{kind}_tokens"])

    async def _events(self, job: Job) -> AsyncGenerator[bytes]:
        encode, usage = self.served.answers.encode_event, job.request.stream_options.include_usage
        more = {"usage": None} if usage else {}
        with self._served(job):
            yield b""
            for chunk in job.echoes():
                yield encode(chunk | more)
            while (news := await job.inbox.get()) is not None:
                if isinstance(news, Exception):
                    yield encode(self.lost(news).body())
                    return
                yield encode(news | more)
            if usage:
                yield encode(job.parts[0].head | {"choices": [], "usage": job.usage()})
            yield encode(None)

    async def _whole(self, request: Request, job: Job) -> Response:
        async def collect() -> None:
            while (news := await job.inbox.get()) is not None:
                if isinstance(news, Exception):
                    raise self.lost(news)

        async def leave() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        with self._served(job):
            tasks = [asyncio.create_task(collect()), asyncio.create_task(leave())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if not task.done():
                    task.cancel()
            if not tasks[0].done():
                return Response(status_code=CLOSED)
            tasks[0].result()
            return JSONResponse(job.whole())

    def lost(self, error: Exception) -> Any:
        """The ApiError for what ended a job."""
        known = isinstance(error, StoppedError)
        return self.error(503 if known else 500, str(error), None, "stopped" if known else None)


def make_app(service: Service) -> Starlette:
    """The application; every error has the shape that engine 07 gives it."""

    def answer(error: Any) -> Response:
        headers = {"Retry-After": "1"} if error.status in (429, 503) else {}
        return JSONResponse(error.body(), error.status, headers=headers)

    async def refused(request: Request, error: Exception) -> Response:
        response: Response
        if isinstance(error, HTTPException):
            said = f"{request.method} {request.url.path}: {error.detail}"
            response = answer(service.error(error.status_code, said))
            response.headers.update(error.headers or {})
        elif isinstance(error, service.reader.error):
            response = answer(error)
        else:
            response = answer(service.error(500, "something went wrong; see the server's log"))
        service.requests.labels(response.status_code).inc()
        return response

    async def completions(request: Request) -> Response:
        response = await service.completions(request)
        service.requests.labels(response.status_code).inc()
        return response

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        service.worker.start()
        yield
        service.worker.is_cut.set()
        service.worker.jobs.put(None)

    routes = [
        Route("/", service.page),
        Route("/healthz", service.health),
        Route("/metrics", service.metrics),
        Route("/v1/models", service.models),
        Route("/v1/models/{name:path}", service.model),
        Route("/v1/completions", completions, methods=["POST"]),
        Route("/v1/chat/completions", service.chat, methods=["POST"]),
    ]
    handlers: Any = dict.fromkeys([service.reader.error, HTTPException, Exception], refused)
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=life)
