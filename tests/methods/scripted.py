"""Sources whose answers are told by the path that is asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from tests.methods.conftest import Source

Reply = bytes | Callable[[str], bytes]
"""What is sent, or what makes it of the request's whole head."""


def reply(body: bytes = b"", status: str = "200 OK", **fields: str) -> bytes:
    """A response with a Content-Length; `_` in names of fields stand for `-`."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines])
    return f"{head}\r\n\r\n".encode() + body


def scripted(serve: Callable[..., Source], replies: Mapping[str, Reply], **more: Any) -> Source:
    """A source that answers by path, and 404 elsewhere; `replies` may grow while it runs."""
    made: list[Source] = []

    def answer(connection: socket.socket, line: str) -> None:
        found = replies.get(line.split(" ")[1].partition("?")[0], reply(status="404 Not Found"))
        connection.sendall(found(made[0].heads[-1]) if callable(found) else found)

    made.append(serve(answer, **more))
    return made[0]


def field(head: str, name: str) -> str:
    """A header field of a request; empty where it is not there."""
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return next((value.strip() for key, _, value in lines if key.lower() == name.lower()), "")
