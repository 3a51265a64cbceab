"""Connections that never wait for ever: each wait is bounded, and so is each exchange as a whole."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import httpcore

READ = 256 << 10
CONNECT_SECONDS = 5.0
LOOK_SECONDS = 1.0


class Patience(threading.local):
    """How long this thread waits: `silence` seconds for one answer of the network, and to the end of `limited`."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._until = inf

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        before, self._until = self._until, min(self._until, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._until = before

    def left(self) -> float:
        """Seconds for the next wait. Raises TimeoutError once there are none."""
        left = min(self._silence, self._until - time.monotonic())
        if left <= 0:
            raise TimeoutError("the time is up")
        return left


class Line(httpcore.NetworkStream):
    """One connection. The timeouts and sizes of the layers above are not asked."""

    def __init__(self, connection: socket.socket, patience: Patience, most: int) -> None:
        self._connection = connection
        self._patience = patience
        self._most = most

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `most` bytes: httpcore's parser takes more than it asked for."""
        try:
            self._connection.settimeout(self._patience.left())
            return self._connection.recv(self._most)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("no answer in time") from error
        except OSError as error:
            raise httpcore.ReadError(error.strerror or str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """A server that takes no more and has answered is a WriteError: httpcore reads the answer then."""
        left = memoryview(buffer)
        try:
            while left:
                left = left[self._taken(left) :]
        except TimeoutError as error:
            if self._is_readable():
                raise httpcore.WriteError("it answers before it has heard all") from error
            raise httpcore.WriteTimeout("nothing is taken any more") from error
        except OSError as error:
            raise httpcore.WriteError(error.strerror or str(error)) from error

    def _taken(self, content: memoryview) -> int:
        """How many bytes. Raises TimeoutError; an answer in the clear is seen within a second."""
        until = time.monotonic() + self._patience.left()
        secured = isinstance(self._connection, ssl.SSLSocket)  # what can be read there may be no answer
        while True:
            wait = min(self._patience.left(), until - time.monotonic())
            try:
                self._connection.settimeout(max(0.001, wait if secured else min(LOOK_SECONDS, wait)))
                return self._connection.send(content)
            except TimeoutError:
                if secured or self._is_readable() or time.monotonic() >= until:
                    raise

    def close(self) -> None:
        self._connection.close()

    def __del__(self) -> None:
        self.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._connection.settimeout(min(CONNECT_SECONDS, self._patience.left()))
            secured = ssl_context.wrap_socket(self._connection, server_hostname=server_hostname)
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(error.strerror or str(error)) from error
        return Line(secured, self._patience, self._most)

    def get_extra_info(self, info: str) -> Any:
        """Only what tells whether an idle connection has ended."""
        return self._is_readable() if info == "is_readable" else None

    def _is_readable(self) -> bool:
        if self._connection.fileno() < 0:
            return True
        waiting = select.poll()
        waiting.register(self._connection, select.POLLIN)
        return bool(waiting.poll(0))


class Dialler(httpcore.NetworkBackend):
    """Opens Lines that share one Patience, and read up to `most` bytes at once."""

    def __init__(self, patience: Patience, most: int = READ) -> None:
        self._patience = patience
        self._most = most

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            connection = socket.create_connection((host, port), min(CONNECT_SECONDS, self._patience.left()))
        except OSError as error:
            raise httpcore.ConnectError(error.strerror or str(error)) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Line(connection, self._patience, self._most)
