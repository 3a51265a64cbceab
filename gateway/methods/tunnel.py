"""A connection through the operator's HTTP proxy (CONNECT, RFC 9110 9.3.6)."""

from __future__ import annotations

import socket
import time

MAX_ANSWER = 8192


def connect(connection: socket.socket, host: str, port: int, fields: dict[str, str], timeout: float) -> None:
    """Make a connection to the proxy one to `host` and `port`, within so many seconds. Raises OSError."""
    until = time.monotonic() + timeout
    name = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}", *(f"{key}: {fields[key]}" for key in fields)]
    connection.settimeout(timeout)
    connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    _check(_answer(connection, until))


def _answer(connection: socket.socket, until: float) -> bytes:
    """The head alone: the source speaks only once it is asked, so nothing may follow."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        left = until - time.monotonic()
        if left <= 0 or len(head) > MAX_ANSWER:
            raise OSError("the proxy does not come to an end")
        connection.settimeout(left)
        received = connection.recv(MAX_ANSWER)
        if not received:
            raise OSError("the proxy hung up")
        head += received
    return head


def _check(head: bytes) -> None:
    """Raises OSError unless the status is 2xx, and the answer is a head without a body behind it."""
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/1.") or rest[:1] != b"2" or head.count(b"\r\n\r\n") != 1:
        raise OSError("the proxy refuses")
