"""Small stand-ins for services that are not here: an image service of another make, and a Keystone.

Real sockets and real HTTP; they keep what they were sent so that a test can look at it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Answer = tuple[int, Mapping[str, str], bytes]


def said(status: int, body: Any = None, **headers: str) -> Answer:
    """An answer with a JSON body."""
    return status, {"Content-Type": "application/json", **headers}, b"" if body is None else json.dumps(body).encode()


class Service:
    """Answers by (verb, path); a list of answers is used up one by one, its last one stays."""

    def __init__(self, answers: dict[tuple[str, str], list[Answer]]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.url = ""

    def answer(self, verb: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.requests.append((verb, path, headers, body))
        left = self.answers.get((verb, path), [said(404, {"error": {"message": f"no {verb} {path}"}})])
        return left.pop(0) if len(left) > 1 else left[0]

    def sent(self, verb: str, path: str) -> list[tuple[Mapping[str, str], bytes]]:
        return [(headers, body) for v, p, headers, body in self.requests if (v, p) == (verb, path)]


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    class Speaker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        speaks: ClassVar[Service] = service

        def log_message(self, *args: object) -> None: ...

        def speak(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answered, text = self.speaks.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = speak  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Speaker)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
