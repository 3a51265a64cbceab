"""One connection of a fetch: reads whole blocks, each within the pace its source is held to."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

import httpcore

from gateway.methods import refusals
from gateway.methods.lines import Lines
from gateway.methods.location import Location
from gateway.methods.pace import BODY_READ, Pace
from gateway.model.errors import SourceRefused


class PacedStream(httpcore.NetworkStream):
    """One connection whose reads obey a Pace; the timeouts and sizes of the layers above are not asked.

    `line` is the same connection as `lines` holds it. Raises what they were cut with.
    """

    def __init__(
        self, connection: socket.socket, location: Location, pace: Pace, lines: Lines, line: socket.socket
    ) -> None:
        self._connection = connection
        self._location = location
        self._pace = pace
        self._lines = lines
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `Pace.read_size` bytes, b"" at the end. httpcore's parser takes more than it asked for."""
        patience = self._pace.patience()
        started = time.monotonic()
        try:
            self._connection.settimeout(patience)
            received = self._receive(self._pace.read_size)
        except TimeoutError:
            raise self._pace.exhausted() from None
        except OSError as error:
            self._lines.check()
            raise httpcore.ReadError(str(error)) from error
        self._lines.check()
        self._pace.count(len(received), time.monotonic() - started)
        return received

    def _receive(self, size: int) -> bytes:
        return self._connection.recv(size)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        patience = self._pace.patience()
        try:
            self._connection.settimeout(patience)
            self._connection.sendall(buffer)
        except TimeoutError:
            raise self._pace.exhausted() from None
        except OSError as error:
            self._lines.check()
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._connection.close()
        self._lines.let_go(self._line)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._connection.settimeout(self._pace.patience())
            secured = ssl_context.wrap_socket(self._connection, server_hostname=server_hostname)
        except (OSError, SourceRefused) as error:
            self.close()
            self._lines.check()
            raise refusals.untrusted(self._location) from error
        return SecuredStream(secured, self._location, self._pace, self._lines, self._line)

    def get_extra_info(self, info: str) -> Any:
        """Nothing: no layer above needs the socket."""
        return None


class SecuredStream(PacedStream):
    """TLS hands out records of 16 KiB; what has arrived already is gathered, or each record would cost a full parse."""

    def __init__(
        self, connection: socket.socket, location: Location, pace: Pace, lines: Lines, line: socket.socket
    ) -> None:
        super().__init__(connection, location, pace, lines, line)
        self._buffer = memoryview(bytearray(BODY_READ))

    def _receive(self, size: int) -> bytes:
        filled = self._connection.recv_into(self._buffer[:size])
        self._connection.settimeout(0)
        while 0 < filled < size and (more := self._waiting(self._buffer[filled:size])):
            filled += more
        return bytes(self._buffer[:filled])

    def _waiting(self, free: memoryview) -> int:
        try:
            return self._connection.recv_into(free)
        except OSError:  # nothing there yet, or an error that the next read meets again
            return 0
