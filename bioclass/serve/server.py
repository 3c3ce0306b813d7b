"""The process that serves: its socket, its signals."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from bioclass.errors import InputError

CONNECTIONS = 512
"""Open at a time; more are turned away."""
GOODBYE = 3
"""Seconds that requests have to end in, once the server is asked to."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any free one.

    Raises:
        InputError: the port is taken or not allowed, or there is no such host.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError, OverflowError):
        raise InputError(f"--host {host} is no name or address of this machine.") from None
    found = socket.socket(family, kind)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(128)
    except OSError as problem:
        found.close()
        raise InputError(_reason(problem, host, port)) from None
    return found


def _reason(problem: OSError, host: str, port: int) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use: name another with --port, or 0 for any that is free."
    if problem.errno == errno.EACCES:
        return f"Port {port} is for the system alone: name one above 1023 with --port."
    if problem.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is no address of this machine."
    return f"{host}, port {port}, cannot be listened on: {problem.strerror}."


def address(listening: socket.socket) -> str:
    """Return where a browser finds what listens."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM, at once where one comes twice; ``ready`` is called at the start."""
    asyncio.run(_serve(server(app, ready), listening))


def server(app: ASGIApp, ready: Callable[[], None]) -> uvicorn.Server:
    """Return what answers requests, with the limits of its connections."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GOODBYE,
    )
    return _Server(config, ready)


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    def stop() -> None:
        # What is given up from now on is no mistake to be told of.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.force_exit, server.should_exit = server.should_exit, True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Leaves signals alone: uvicorn's own way raises them again in the end, which would not be a clean one."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
