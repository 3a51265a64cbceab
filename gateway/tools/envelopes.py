"""DSSE envelopes: public keys and their ids, and whose signature an envelope bears."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import SSlibKey

from gateway.model.errors import BadRequest, ContentRefused
from gateway.model.receipt import PAYLOAD_TYPE

_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def keyid_of(key: Ed25519PublicKey) -> str:
    """As `openssl pkey -pubin -outform DER | sha256sum` says it."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def pem_of(key: Ed25519PublicKey) -> str:
    """One PEM block, with the key's id before it (RFC 7468, 5.2 lets readers skip that)."""
    block = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return f"Key-Id: {keyid_of(key)}\n{block}"


def read_keys(text: str) -> list[Ed25519PublicKey]:
    """Every public key of a PEM file. Raises BadRequest for a file without one, and for another kind of key."""
    found = [_read_key(block) for block in _PEM.findall(text)]
    if not found:
        raise _no_key("it has no block that begins with -----BEGIN PUBLIC KEY-----")
    return found


def _read_key(block: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key("receipts are signed with Ed25519 keys")
    return key


def _no_key(why: str) -> BadRequest:
    return BadRequest(
        f"This is no public key of receipts: {why}.",
        remedy="`import-gateway receipt-key` and GET /v2/info/import/receipt-key print it.",
        code="bad-receipt-key",
    )


def verified(text: str, keys: Sequence[Ed25519PublicKey]) -> tuple[str, bytes]:
    """The id of the key that signed an envelope, and what it signed. Raises ContentRefused.

    A signature is looked at only where its keyid is that of one of `keys`; others beside it do not matter.
    """
    read = _read(text)
    known = [SSlibKey.from_crypto(key, keyid=keyid_of(key)) for key in keys]
    try:
        accepted = read.verify(list(known), threshold=1)
    except (VerificationError, UnverifiedSignatureError, ValueError):
        raise _unsigned(read, [key.keyid for key in known]) from None
    return next(iter(accepted)), read.payload


def _read(text: str) -> Envelope:
    try:
        values = json.loads(text)
        _check_encoding(values)
        read = Envelope.from_dict(values)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ContentRefused(
            "This is no signed receipt.",
            remedy="GET /v2/images/{id}/receipt gives one; keep it as it is.",
            code="receipt-unreadable",
        ) from None
    if read.payload_type != PAYLOAD_TYPE:
        raise ContentRefused(
            f"What was signed is no receipt: its type is not {PAYLOAD_TYPE}.",
            remedy="GET /v2/images/{id}/receipt gives one.",
            code="receipt-unreadable",
        )
    return read


def _check_encoding(values: Mapping[str, Any]) -> None:
    """Base64 in its one canonical form, so that no changed character goes unnoticed. Raises ValueError, KeyError."""
    for text in (values["payload"], *(signature["sig"] for signature in values["signatures"])):
        decoded = base64.b64decode(text, altchars=b"-_" if re.search("[-_]", text) else None, validate=True)
        if text not in (base64.standard_b64encode(decoded).decode(), base64.urlsafe_b64encode(decoded).decode()):
            raise ValueError("not canonical")


def _unsigned(read: Envelope, known: Sequence[str]) -> ContentRefused:
    named = [keyid for keyid in read.signatures if keyid in known]
    if named:
        return ContentRefused(
            f"The receipt was changed: the signature of key {named[0]} does not fit it.",
            remedy="Do not rely on it. GET /v2/images/{id}/receipt gives the receipt as it was signed.",
            code="receipt-changed",
        )
    others = sorted(keyid for keyid in read.signatures if re.fullmatch("[0-9a-f]{64}", keyid))
    return ContentRefused(
        f"None of the given keys has signed this receipt; it names {', '.join(others[:4]) or 'none'}.",
        remedy="Take the gateway's keys from a source you trust; older receipts may need a retired one.",
        code="receipt-key-unknown",
    )
