"""A cable between the gateway and PostgreSQL that breaks at one commit: before it has arrived, or before its answer."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import make_url

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message as libpq sends it (https://www.postgresql.org/docs/current/protocol-message-formats.html)."""


@dataclass(slots=True)
class Cable:
    """Counts the commits of one application. `break_at` names one by its number, from 1 on."""

    server: int
    application: str = "import-gateway"
    commits: int = 0
    break_at: int | None = None
    arrives: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self, number: int, *, arrives: bool) -> None:
        """Break at the commit with this number from now on; `arrives` says whether the server hears of it."""
        with self._lock:
            self.commits, self.break_at, self.arrives = 0, number, arrives

    def carry(self, near: socket.socket) -> None:
        with closing(near), closing(socket.create_connection(("127.0.0.1", self.server))) as far:
            mine = False
            while True:
                for one in select.select([near, far], [], [])[0]:
                    message = one.recv(1 << 16)
                    if not message:
                        return
                    mine = mine or (one is near and self.application.encode() in message)
                    if mine and one is near and message == _COMMIT and self._breaks():
                        self._end(far, message)
                        return
                    (far if one is near else near).sendall(message)

    def _breaks(self) -> bool:
        with self._lock:
            self.commits += 1
            return self.commits == self.break_at

    def _end(self, far: socket.socket, message: bytes) -> None:
        if self.arrives:
            far.sendall(message)
            far.recv(1 << 16)


@contextmanager
def cable(url: str) -> Iterator[tuple[Cable, str]]:
    """The cable, and the URL of the same database through it."""
    to = make_url(url)
    made = Cable(to.port or 5432)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(made, listening), daemon=True).start()
        yield made, to.set(port=listening.getsockname()[1]).render_as_string(hide_password=False)
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _accept(made: Cable, listening: socket.socket) -> None:
    while True:
        try:
            near, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_carried, args=(made, near), daemon=True).start()


def _carried(made: Cable, near: socket.socket) -> None:
    with suppress(OSError):
        made.carry(near)
