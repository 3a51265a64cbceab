"""The gateway's own key for receipts: one Ed25519 key in a PEM file (PKCS #8, mode 0600), made on first use.

A site may change its key: the new one signs from then on, the public keys of retired ones are still told, so that
receipts they signed can be verified. A key that cannot be read stops no import: its receipts wait for it.
"""

from __future__ import annotations

import logging
import os
from base64 import standard_b64encode
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from gateway.model.errors import BadRequest, Unavailable
from gateway.model.receipt import PAYLOAD_TYPE, Signature
from gateway.tools.envelopes import keyid_of, pem_of, read_keys

log = logging.getLogger(__name__)


class ReceiptKeys:
    """`gateway.service.site.Signs`: signs with `current`, where there is one, and tells all keys, that one first."""

    def __init__(self, current: Ed25519PrivateKey | None, retired: Sequence[Ed25519PublicKey] = ()) -> None:
        own = [current.public_key()] if current else []
        self.public = "".join(map(pem_of, [*own, *retired]))
        self._signer = CryptoSigner(current, _named(current.public_key())) if current else None

    def sign(self, statement: str) -> Signature | None:
        """The same statement always gets the same signature (RFC 8032). None where the key is away."""
        if self._signer is None:
            return None
        made = Envelope(statement.encode(), PAYLOAD_TYPE, {}).sign(self._signer)
        return Signature(made.keyid, standard_b64encode(bytes.fromhex(made.signature)).decode("ascii"))


def _named(key: Ed25519PublicKey) -> SSlibKey:
    return SSlibKey.from_crypto(key, keyid=keyid_of(key))


def open_receipt_keys(path: Path, retired: Sequence[Path] = ()) -> ReceiptKeys:
    """The keys of a site; its own is made where there is none. Raises BadRequest for a retired key that is none."""
    old = [key for file in retired for key in retired_keys(file)]
    try:
        return ReceiptKeys(signing_key(path, make=True), old)
    except Unavailable as refusal:
        log.error("%s Images are imported; their receipts wait to be signed.", refusal.message)
        return ReceiptKeys(None, old)


def retired_keys(path: Path) -> list[Ed25519PublicKey]:
    """Raises BadRequest that names the file."""
    try:
        return read_keys(path.read_text("utf-8", errors="replace"))
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
    except BadRequest as refusal:
        why = refusal.message
    raise BadRequest(
        f"The retired receipt key {path} is not usable: {why}",
        remedy="List PEM files of public keys under receipts.retired.",
        code="bad-receipt-key",
    )


def signing_key(path: Path, *, make: bool = False) -> Ed25519PrivateKey:
    """The private key in a PEM file; with `make`, a new one where there is no such file. Raises Unavailable."""
    try:
        if make and not path.exists():
            _write_new(path)
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise _away(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _away(path, "it is no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _away(path, "it is no Ed25519 key")
    return key


def _away(path: Path, why: str) -> Unavailable:
    return Unavailable(
        f"The receipt key {path} cannot be used: {why}.",
        remedy="Start the service once to have it made, or put the key back and start the service again.",
        code="receipt-key-away",
    )


def _write_new(path: Path) -> None:
    """Whole or not at all; of two who make it at once, one wins."""
    key = Ed25519PrivateKey.generate()
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
        _sync(path.parent)
        log.info("made the receipt key %s, with the id %s", path, keyid_of(key.public_key()))
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
