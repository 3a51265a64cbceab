"""What an operating system says, in our words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.model.errors import Conflict, NotFound, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def said(store: str, *, sought: str | None = None) -> Iterator[None]:
    """OSError as NotFound (when `sought` names the key looked for), Conflict or Unavailable."""
    try:
        yield
    except FileExistsError as error:
        raise Conflict(f"Store {store} holds this blob already", code="blob-exists") from error
    except OSError as error:
        if sought is not None and isinstance(error, FileNotFoundError):
            raise absent(sought) from error
        raise _unavailable(store, error) from error


def absent(key: str) -> NotFound:
    return NotFound(f"No blob has the key {key}", code="blob-not-found")


def _unavailable(store: str, error: OSError) -> Unavailable:
    if error.errno in _FULL:
        return Unavailable(f"Store {store} is full", remedy="Free space in it, then try again.", code="store-full")
    reason = error.strerror or str(error)
    return Unavailable(
        f"Store {store} failed: {reason}", remedy="Check the store, then try again.", code="store-broken"
    )
