"""OpenPGP keyrings with which publishers' checksum files are checked, read by Sequoia (`pysequoia`).

Sequoia takes no signature made with MD5 or SHA-1, nor one its key could not make when it says it was made. Beyond that
a key has to be valid today: whoever has got hold of an expired one can write any date into a signature.

The library is an extra and is imported where it is used. It raises RuntimeError for whatever is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.model.errors import ContentRefused, Unavailable
from gateway.stages import cleartext
from gateway.stages.evidence import Signed
from gateway.tools.certificates import now, unreadable

if TYPE_CHECKING:
    from pysequoia import Cert, Sig

MAX_SIZE = 8 << 20


class Keyrings:
    """`files` are keyrings by name, binary or armored, as `gpg --export` writes them. Read anew each time."""

    def __init__(self, files: Mapping[str, Path], clock: Callable[[], datetime] = now) -> None:
        self._files = files
        self._now = clock
        self.names = frozenset(files) if find_spec("pysequoia") else frozenset[str]()
        """Those this build can check with: none where the library for it is not installed."""

    def check(self) -> str:
        """The library and the keys it reads. Raises Unavailable where there is neither, or where a key has expired."""
        if missing := sorted(set(self._files) - self.names):
            raise not_installed(missing)
        for name in sorted(self._files):
            if not any(not key.is_revoked and not self._expired(key) for key in self._read(name)):
                raise unreadable(self._files[name], "no key in it is valid any more")
        return f"pysequoia {version('pysequoia')}: {', '.join(sorted(self._files))}" if self._files else ""

    def signed(self, name: str, text: bytes, signature: bytes | None) -> Signed:
        """Raises ContentRefused, Unavailable: see `gateway.stages.evidence.Keys.signed`."""
        if signature is None and not cleartext.is_signed(text):
            raise _unsigned(name)
        keys = self._read(name)
        valid = [key for key in keys if not key.is_revoked and not self._expired(key)]
        if found := _attempt(valid, text, signature):
            return found
        raise _ended(name) if _attempt(keys, text, signature) else _wrong(name)

    def _expired(self, key: Cert) -> bool:
        end = key.expiration
        return end is not None and end.astimezone(UTC) <= self._now()

    def _read(self, name: str) -> list[Cert]:
        from pysequoia import Cert

        try:
            with self._files[name].open("rb") as file:
                return Cert.split_bytes(file.read(MAX_SIZE))
        except (OSError, RuntimeError) as error:
            raise unreadable(self._files[name], _first_line(error)) from error


def _attempt(keys: list[Cert], text: bytes, signature: bytes | None) -> Signed | None:
    """The first signature that one of the keys has made; None where there is none."""
    if signature is None:
        cleartext.content(text)
        return _tried(keys, text)
    return next((found for one in _parts(signature) if (found := _tried(keys, text, one))), None)


def _parts(signature: bytes) -> Iterator[Sig]:
    """Publishers that change their key sign with the old and the new one: several signatures in one file."""
    from pysequoia import Sig
    from pysequoia.packet import PacketPile

    try:
        for packet in PacketPile.from_bytes(signature):
            yield Sig.from_bytes(bytes(packet))
    except RuntimeError:
        return


def _tried(keys: list[Cert], text: bytes, signature: Sig | None = None) -> Signed | None:
    from pysequoia import verify

    try:
        done = verify(bytes=text, store=lambda ids: keys, signature=signature)
    except RuntimeError:
        return None
    if done.bytes is None or not done.valid_sigs:
        return None
    return Signed(bytes(done.bytes), tuple(one.certificate.upper() for one in done.valid_sigs))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def not_installed(names: Sequence[str]) -> Unavailable:
    return Unavailable(
        f"Signatures by {', '.join(names)} cannot be checked here.",
        remedy="The operator has to install import-gateway[signature].",
        code="stage-unavailable",
    )


def _unsigned(name: str) -> ContentRefused:
    return ContentRefused(
        f"The policy asks for a checksum file that is signed by a key of '{name}', and this one is not.",
        remedy="Set the image property import_signature_url to the URL of its detached signature.",
        code="signature-missing",
    )


def _wrong(name: str) -> ContentRefused:
    return ContentRefused(
        f"The checksum file has no valid signature by a key of '{name}'. Signatures with MD5 or SHA-1 do not count.",
        remedy="Check that the signature belongs to this very file, and ask the operator which keys are trusted.",
        code="signature-wrong",
    )


def _ended(name: str) -> ContentRefused:
    return ContentRefused(
        f"The checksum file is signed by a key of '{name}' that has expired or was revoked.",
        remedy="Ask the operator to renew the keyring: publishers prolong their keys.",
        code="signer-expired",
    )
