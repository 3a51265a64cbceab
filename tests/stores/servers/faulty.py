"""A way to an HTTP server that fails when it is told to: it counts requests, and spoils those it was told to."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


def answer(status: str, body: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def error(code: str) -> str:
    """As Amazon's servers tell it, after the blanks they send while they work."""
    return " " * 2000 + f"<Error><Code>{code}</Code></Error>"


ANSWERS = {
    "200": answer("200 OK", "<a/>"),
    "200 no text": answer("200 OK", "<?xml version='1.0' encoding='foo'?><a/>"),
    "200 InternalError": answer("200 OK", error("InternalError")),
    "200 InvalidPart": answer("200 OK", error("InvalidPart")),
    "401": answer("401 Unauthorized"),
    "403": answer("403 Forbidden"),
    "404 NoSuchUpload": answer("404 Not Found", error("NoSuchUpload")),
    "503": answer("503 Service Unavailable"),
}
RUN = 1 << 16


class Faulty:
    """`url` leads to the server behind. `verbs` are those of the requests from the last `plan` on."""

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self._there = (there.hostname, there.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._lines: set[socket.socket] = set()
        self._free = threading.Event()
        self.url = there._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self.plan()

    def plan(
        self,
        *,
        at: int = 0,
        verb: str = "",
        fault: str | Sequence[str] = "",
        lasting: bool = False,
        after: int = 0,
        holding: bool = False,
    ) -> None:
        """Spoil request number `at`, of those with this verb where one is given, and with more faults than one those
        after it; with `lasting` all of them. With `holding` those after it wait for the next plan.

        One of:

        `reset` before the server hears of it; `lost answer`: the server has done it; `stall`: nothing comes, ever;
        `cut` after so many bytes of the answer; `flip`: a bit of a long body is another one; a status; `403 unread`: an
        answer to a request whose body nobody reads.
        """
        with self._lock:
            self.verbs: list[str] = []
            self._faults = (fault,) if isinstance(fault, str) else fault
            self._at, self._lasting, self._after = at, lasting, after
            self._verb, self._holding = verb, holding
            self._free.set()
            self._free = threading.Event()

    @property
    def requests(self) -> int:
        return len(self.verbs)

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                line = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def close(self) -> None:
        self.plan()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for line in self._lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._there) as far:
            with self._lock:
                self._lines |= {near, far}
            with suppress(OSError):
                self._relay(near, far)
            with self._lock:
                self._lines -= {near, far}

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        """One direction at a time is enough to tell requests apart: bytes after an answer begin the next one."""
        fault = Fault(near, far)
        answering = threading.Thread(target=fault.answer, daemon=True)
        answering.start()
        try:
            while run := near.recv(RUN):
                if fault.answered:
                    fault.begin(*self._next(run))
                if not fault.ask(run):
                    return
        finally:
            with suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)
            answering.join()

    def _next(self, run: bytes) -> tuple[str, int]:
        with self._lock:
            self.verbs.append(run.partition(b" ")[0].decode())
            meant = not self._verb or self._verb == self.verbs[-1]
            number = self.verbs.count(self._verb) if self._verb else self.requests
            since, free = number - self._at, self._free
            spoiled = meant and since >= 0 and (self._lasting or since < len(self._faults))
            found = (self._faults[min(since, len(self._faults) - 1)] if spoiled else ""), self._after
            waits = self._holding and since > 0
        if waits:
            free.wait()
        return found


class Fault:
    """What happens to the requests of one connection."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._near = near
        self._far = far
        self._kind = ""
        self._after = 0
        self.answered = True

    def begin(self, kind: str, after: int) -> None:
        self._kind, self._after, self.answered = kind, after, False

    def ask(self, run: bytes) -> bool:
        """Hand a part of a request on. False where the connection has to end."""
        if self._kind == "403 unread":
            self._near.sendall(ANSWERS["403"])
            left = select.poll()
            left.register(self._near, select.POLLRDHUP)
            left.poll(10_000)
            return False
        if self._kind in ANSWERS:
            self._near.sendall(ANSWERS[self._kind])
            self._drain()
            return False
        if self._kind == "reset":
            self._reset()
            return False
        if self._kind == "flip" and len(run) == RUN:
            self._kind, middle = "", RUN // 2
            run = run[:middle] + bytes([run[middle] ^ 1]) + run[middle + 1 :]
        if self._kind != "stall":
            self._far.sendall(run)
        return True

    def answer(self) -> None:
        with suppress(OSError):
            while run := self._far.recv(RUN):
                if self._kind == "lost answer":
                    self._reset()
                    return
                if self._kind == "cut":
                    run = run[: self._after]
                    self._after -= len(run)
                    if not run:
                        # What was sent arrives: a reset would take back as much as the client has not read yet.
                        self._near.shutdown(socket.SHUT_WR)
                        return
                self.answered = True
                self._near.sendall(run)
        with suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)

    def _drain(self) -> None:
        """An answer to a half-sent request arrives only if the rest is taken."""
        self._near.shutdown(socket.SHUT_WR)
        self._near.settimeout(5)
        while self._near.recv(RUN):
            pass

    def _reset(self) -> None:
        """Shut down as well: the other thread may be waiting on the same socket, which keeps it open."""
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty(url: str) -> Iterator[Faulty]:
    """A way to the server of `url` that does nothing but count, until it is given a plan."""
    front = Faulty(url)
    accepting = threading.Thread(target=front.accept, daemon=True)
    accepting.start()
    try:
        yield front
    finally:
        front.close()
        accepting.join()
