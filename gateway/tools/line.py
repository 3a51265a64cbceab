"""One connection to a tool on a socket: bytes out, one short answer back, each by a moment of the monotonic clock."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from gateway.model.errors import Unavailable
from gateway.ports import Block

Address = Path | tuple[str, int]
"""A unix socket, or host and port."""

LONGEST = 4096
"""Bytes of an answer. Whoever says more is not what it should be."""

ENDS = (b"\0", b"\n")


class Line:
    """Raises Unavailable, whatever goes wrong. `what` is the tool's name in that refusal, such as `malware scanner`."""

    def __init__(self, what: str, address: Address, until: float) -> None:
        self._what = what
        with self._said():
            self._socket = socket.socket(socket.AF_UNIX) if isinstance(address, Path) else _inet(address, until)
        try:
            with self._said():
                self._socket.settimeout(left(until))
                if isinstance(address, Path):
                    self._socket.connect(str(address))
        except BaseException:  # goes on to the caller; only the socket must not stay open
            self._socket.close()
            raise

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, run: Block, until: float) -> None:
        with self._said():
            self._socket.settimeout(left(until))
            self._socket.sendall(run)

    def speaks(self, until: float = 0.0) -> bool:
        """Whether there is something to read, or the other end hung up, by then."""
        with self._said():
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(max(0.0, until - monotonic()) * 1000))

    def answer(self, until: float) -> str:
        """What it says, up to the end of it (NUL or a new line), which is left out."""
        said = bytearray()
        while not said.endswith(ENDS):
            if len(said) > LONGEST:
                raise self._fails("it says too much")
            with self._said():
                self._socket.settimeout(left(until))
                run = self._socket.recv(LONGEST)
            if not run:
                raise self._fails("it hung up in the middle")
            said += run
        return bytes(said[:-1]).decode(errors="replace")

    def hang_up(self) -> None:
        """From any thread: whoever waits for it, in `send` or `answer`, fails."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise self._fails("it takes too long") from None
        except (OSError, ValueError) as error:
            raise self._fails(str(error.strerror or error) if isinstance(error, OSError) else "it is closed") from error

    def _fails(self, why: str) -> Unavailable:
        return failing(self._what, why)


def _inet(address: tuple[str, int], until: float) -> socket.socket:
    found = socket.create_connection(address, timeout=left(until))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def left(until: float) -> float:
    """Seconds until then. Raises TimeoutError where none are left."""
    seconds = until - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def failing(what: str, why: str) -> Unavailable:
    return Unavailable(
        f"The {what} does not do its work: {why}.",
        remedy=f"Try again later. The operator sees at /healthcheck?detailed whether the {what} is well.",
        code="stage-unavailable",
    )
