"""Starts a server, says where it is, and stops it in time."""

import contextlib
import ipaddress
import signal
import socket
import threading
import time
from types import FrameType
from typing import Any

import click
import uvicorn

from tutor.engine.checkpoint import BUNDLED_MODEL, local_folder
from tutor.engine.start import compile_engine, start_engine
from tutor.errors import InputError
from tutor.serve.app import Service, make_app
from tutor.serve.model import prepare

GRACE = 2.0  # seconds for texts to end by themselves once the server has to stop
IDLE = 75  # that a connection may be; clients drop theirs after 5, and must not find it closed


def serve(
    model: str | None, tree: str, host: str, port: int, slots: int, queue: int, most_tokens: int
) -> None:
    """Serve a model until Ctrl-C or SIGTERM."""
    listening = listen(host, port)
    choice: dict[str, Any] = {"model": model, "tree": tree, "device": "cpu", "cache": True}
    name = local_folder(model).name or BUNDLED_MODEL.name  # "." has no name
    served = prepare(start_engine(**choice), name)
    if served.stand_ins:
        named = ", ".join(step.label for step in served.stand_ins)
        click.echo(f"The reference stands in for {named}, not finished in {tree}/.", err=True)
    compile_engine(served.engine, **choice)
    service = Service(served, slots, queue, most_tokens)
    listening.listen()  # so that a client can connect as soon as the line is printed
    place, number = listening.getsockname()[:2]
    shown = f"[{place}]" if ":" in place else place
    click.echo(f"Serving {served.name} at http://{shown}:{number}/v1 (Ctrl-C stops it)")
    if not is_loopback(place):
        click.echo("Anyone who reaches this machine can use it without a key.", err=True)
    config = uvicorn.Config(
        make_app(service),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=1,
    )
    Server(config, service).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address, before anything is loaded."""
    try:
        (family, *_, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        said = error.strerror or str(error)
        raise InputError(f"cannot listen at {host}, port {port} ({said}); choose another") from None
    return found


def is_loopback(place: str) -> bool:
    """Whether only this machine reaches an address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(place).is_loopback
    return False


class Server(uvicorn.Server):
    """Uvicorn, but it keeps running for a moment after a signal, so that texts can end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Refuse new requests, wait for running texts, then cut them off, and stop."""
        if self.service.is_stopping.is_set():
            super().handle_exit(sig, frame)
            return
        self.service.is_stopping.set()

        def stop() -> None:
            until = time.monotonic() + GRACE
            while self.service.pending and time.monotonic() < until:
                time.sleep(0.02)
            self.service.worker.is_cut.set()
            while self.service.pending and time.monotonic() < until + 0.5:
                time.sleep(0.02)
            if sig == signal.SIGINT:  # the command says so by its exit code
                self._captured_signals.append(sig)
            self.should_exit = True

        threading.Thread(target=stop, daemon=True).start()
