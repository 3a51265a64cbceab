"""Sealing what only the worker may read: a source's whole URL, with its query string, in an import's row.

The key lives in one file beside the records (mode 0600), so that a copy of the database alone gives nothing away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from gateway.model.errors import Unavailable


class FernetSeal:
    """Authenticated encryption by the cryptography library's Fernet recipe."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    def close(self, secret: Mapping[str, str]) -> bytes:
        return self._fernet.encrypt(json.dumps(dict(secret)).encode())

    def open(self, sealed: bytes) -> Mapping[str, str]:
        """Raises Unavailable where the key is not the one it was sealed with."""
        try:
            opened: dict[str, str] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise Unavailable(
                "The import's source was sealed with another key.",
                remedy="Start the import again.",
                code="seal-broken",
            ) from None
        return opened


def open_seal(path: Path) -> FernetSeal:
    """The seal whose key is in `path`, made there on first use; of several who make it at once, all get the same."""
    if not path.exists():
        _make_key(path)
    return FernetSeal(path.read_bytes().strip())


def _make_key(path: Path) -> None:
    """Whole or not at all: another gateway may read it as soon as it is there."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()
