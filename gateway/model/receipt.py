"""Receipts: what a gateway states about the bytes of an image it made active, and its signature under it.

A receipt is an in-toto Statement v1 (https://in-toto.io/Statement/v1) in a DSSE envelope
(https://github.com/secure-systems-lab/dsse/blob/master/envelope.md). `schemas/receipt.schema.json` is its shape.
"""

from __future__ import annotations

from base64 import standard_b64encode
from dataclasses import dataclass
from datetime import datetime

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:import-gateway:receipt:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"


@dataclass(frozen=True, slots=True)
class Signature:
    """`value` is the signature in base64, `keyid` the SHA-256 (hex) of the public key's DER form."""

    keyid: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One image's receipt. `statement` is kept as it was signed, to the byte; it waits where `signature` is None."""

    image_id: str
    statement: str
    at: datetime
    signature: Signature | None = None


def envelope(statement: str, signature: Signature) -> dict[str, object]:
    """The DSSE envelope as JSON values."""
    return {
        "payload": standard_b64encode(statement.encode()).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": signature.keyid, "sig": signature.value}],
    }
