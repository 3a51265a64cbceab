"""The connections that fetches have open: one call from another thread ends them all.

A thread that waits for a silent source wakes up only when its socket is shut down under it; closing it would not do.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from gateway.model.errors import Refusal


class Lines:
    """Safe to use from many threads at once. Once cut, it lets nobody through any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[socket.socket] = set()
        self._refusal: Refusal | None = None
        self._is_cut = threading.Event()

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._held)

    def hold(self, connection: socket.socket) -> socket.socket:
        """Keep a connection within reach of `cut` until `let_go`, also under TLS. Raises what `cut` was given."""
        line = connection.dup()
        with self._lock:
            self._held.add(line)
        try:
            self.check()
        except Refusal:
            self.let_go(line)
            raise
        return line

    def let_go(self, line: socket.socket) -> None:
        """Done again, it changes nothing."""
        with self._lock:
            self._held.discard(line)
        line.close()

    def check(self) -> None:
        """Raises what `cut` was given."""
        if self._refusal is not None:
            raise self._refusal

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the cut."""
        self._is_cut.wait(seconds)

    def cut(self, refusal: Refusal) -> None:
        """Every fetch fails with `refusal`, those that wait for their source at once."""
        with self._lock:
            self._refusal = self._refusal or refusal
            for line in self._held:
                with suppress(OSError):  # the other end was faster
                    line.shutdown(socket.SHUT_RDWR)
        self._is_cut.set()
