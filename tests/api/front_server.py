"""A tiny service behind the real guard under a real uvicorn, spoken to with raw bytes."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.api.errors import exception_handlers
from gateway.api.framing import FrontLimits
from gateway.api.guard import Guard
from gateway.api.request_id import request_id
from gateway.api.verbs import resource
from gateway.model.errors import BrokenUpload, Forbidden, NotAuthenticated, RangeNotSatisfiable, WrongMediaType
from tests.serving.process import LONGEST

LIMITS = FrontLimits(idle=2.0, rate=1000, grace=0.4)

BROKEN: queue.Queue[str] = queue.Queue()
"""Why uploads broke, as the service was told."""


async def show(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "id": request_id(request.scope)})


async def count(request: Request) -> Response:
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
    except BrokenUpload as broken:
        BROKEN.put(broken.code)
        raise
    return JSONResponse({"bytes": size})


async def refuse(request: Request) -> Response:
    refusals = {
        "403": Forbidden("No such luck.", remedy="Ask nicely.", code="denied", decision="d-1"),
        "401": NotAuthenticated("Who are you?"),
        "416": RangeNotSatisfiable("Too far.", size=5),
        "415": WrongMediaType("Not this."),
        "surrogate": Forbidden("half \ud800"),
    }
    raise refusals[request.path_params["how"]]


async def boom(request: Request) -> Response:
    raise RuntimeError("secret detail")


async def half(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("broken in the middle")

    return StreamingResponse(parts())


ROUTES = [
    resource("/v2", get=show),
    resource("/healthcheck", get=show),
    resource("/v2/images", get=show, post=count),
    resource("/v2/images/{image_id}", get=show, patch=show, delete=show),
    resource("/v2/images/{image_id}/file", get=show, put=count),
    resource("/refuse/{how}", get=refuse, patch=refuse),
    resource("/boom", get=boom),
    resource("/half", get=half),
]


def service() -> Guard:
    app = Starlette(routes=ROUTES, exception_handlers=exception_handlers(lambda: 'Basic realm="images"'))
    app.router.redirect_slashes = False
    return Guard(app, limits=LIMITS)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


@contextmanager
def serving() -> Iterator[int]:
    """The port of a running server."""
    config = uvicorn.Config(service(), port=0, ws="none", log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def exchange(port: int, sent: bytes) -> Answer:
    """Send raw bytes, read one answer to the connection's end or its Content-Length."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(sent)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    while len(body) < int(headers.get("content-length", "0")):
        body += _more(connection)
    return Answer(int(lines[0].split()[1]), headers, body)


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    assert chunk, "the connection closed before the answer was whole"
    return chunk


def get(port: int, path: str, *headers: str, verb: str = "GET") -> Answer:
    lines = [f"{verb} {path} HTTP/1.1", "Host: images.example", *headers, "", ""]
    if verb == "HEAD":
        return _headless(port, "\r\n".join(lines).encode())
    return exchange(port, "\r\n".join(lines).encode())


def _headless(port: int, sent: bytes) -> Answer:
    """A HEAD answer announces a length and sends no body."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(sent)
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += _more(connection)
    lines = received.decode().rstrip().split("\r\n")
    return Answer(int(lines[0].split()[1]), dict(_pair(line) for line in lines[1:]), b"")


def _pair(line: str) -> tuple[str, str]:
    name, value = line.split(": ", 1)
    return name.lower(), value
