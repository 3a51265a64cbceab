"""HTTP Basic (RFC 7617), as OpenStack's standalone services have it (`auth_type: http_basic`).

bcrypt is slow on purpose, so it runs in a worker thread, a few at a time, and a password that was right counts as right
for a minute. What is remembered is an HMAC under a key that lives and dies with the process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import bcrypt

from gateway.identity.htpasswd import Stamp, decoy, read_htpasswd, stamp
from gateway.identity.remembered import Remembered
from gateway.model.caller import Caller
from gateway.model.errors import NotAuthenticated

TTL_SECONDS = 60.0
_AT_ONCE = 2
_BCRYPT_READS = 72


class BasicIdentity:
    """`gateway.ports.Identity` over an htpasswd file; `users` gives each user name its Caller.

    The file is read at once, and again when it changes; while it cannot be read, nobody is known (Unavailable).
    """

    def __init__(
        self,
        htpasswd: Path,
        users: Mapping[str, Caller],
        *,
        realm: str = "Import Gateway",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = htpasswd
        self._users = users
        self._realm = realm
        self._verdicts: Remembered[bytes, bool] = Remembered(monotonic)
        self._secret = os.urandom(32)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._stamp: Stamp | None = None
        self._hashes: Mapping[str, bytes] = {}
        self._decoy = b""
        self._refresh()

    async def identify(self, headers: Mapping[str, str], *, method: str, path: str) -> Caller:
        name, password = _credentials(headers.get("authorization"))
        self._refresh()
        if not await self._check(name, password):
            raise _refused("The user name or the password is wrong")
        if (caller := self._users.get(name)) is None:
            raise _refused(f"User {name} has no project here", remedy="Ask the operator to add you to identity.users.")
        return caller

    def challenge(self) -> str:
        return f'Basic realm="{self._realm}"'

    async def aclose(self) -> None:
        """Nothing is open."""

    def _refresh(self) -> None:
        if (now := stamp(self._path)) != self._stamp:
            self._hashes = read_htpasswd(self._path)
            self._decoy = decoy(self._hashes)
            self._stamp = now

    async def _check(self, name: str, password: bytes) -> bool:
        """An unknown name costs what a wrong password costs."""
        known = self._hashes.get(name)
        value = known or self._decoy
        right = await self._verdicts.get(self._sign(value, password), lambda: self._compare(value, password))
        return right and known is not None

    def _sign(self, value: bytes, password: bytes) -> bytes:
        """Hashes are salted: another user has another sign."""
        return hmac.digest(self._secret, value + hashlib.sha256(password).digest(), "sha256")

    async def _compare(self, value: bytes, password: bytes) -> tuple[bool, float]:
        """Whether it is right, and for how long that holds: a wrong one is checked again each time."""
        async with self._turns:
            right = await asyncio.to_thread(_matches, value, password)
        return right, TTL_SECONDS if right else 0.0


def _credentials(header: str | None) -> tuple[str, bytes]:
    """User name and password of an Authorization header. Raises NotAuthenticated."""
    if not header:
        raise _refused("This service needs a user name and a password")
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise _refused("Only HTTP Basic authentication is spoken here")
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        if colon and name:
            return name.decode(), password
    except ValueError:
        pass
    raise _refused("The Authorization header is malformed")


def _matches(value: bytes, password: bytes) -> bool:
    """bcrypt reads 72 bytes; like every htpasswd tool, what comes after them is not looked at."""
    try:
        return bcrypt.checkpw(password[:_BCRYPT_READS], value)
    except ValueError:
        return False


def _refused(message: str, remedy: str = "Send HTTP Basic credentials (auth_type: http_basic).") -> NotAuthenticated:
    return NotAuthenticated(message, remedy=remedy)
