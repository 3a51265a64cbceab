"""The keys that are being written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from gateway.model.errors import Conflict


class Claims:
    """Those of this process and one store: servers do not refuse a second writer that begins before the first ends."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._keys: set[str] = set()
        self._lock = Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Raises Conflict where somebody holds it."""
        with self._lock:
            if key in self._keys:
                raise taken(self._store)
            self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)


def taken(store: str) -> Conflict:
    return Conflict(f"Store {store} holds this blob already", code="blob-exists")
