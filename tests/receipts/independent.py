"""Receipts read without the gateway's code or its library: the two specifications, in a few lines.

DSSE, protocol.md: SIGNATURE = Sign(PAE(UTF8(PAYLOAD_TYPE), SERIALIZED_BODY)).
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

Json = dict[str, Any]


def pae(payload_type: str, body: bytes) -> bytes:
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(body)).encode(), body])


def opened(envelope: Mapping[str, Any], pem: str) -> Json:
    """The statement. Raises cryptography's InvalidSignature."""
    key = load_pem_public_key(pem[pem.index("-----BEGIN") :].encode())
    assert isinstance(key, Ed25519PublicKey)
    body = base64.b64decode(envelope["payload"], validate=True)
    (signature,) = envelope["signatures"]
    key.verify(base64.b64decode(signature["sig"], validate=True), pae(envelope["payloadType"], body))
    found: Json = json.loads(body)
    return found


def openssl_agrees(folder: Path, envelope: Mapping[str, Any], pem: str) -> bool:
    """Whether `openssl pkeyutl -verify` takes the signature."""
    (signature,) = envelope["signatures"]
    (folder / "pub").write_text(pem)
    (folder / "signed").write_bytes(pae(envelope["payloadType"], base64.b64decode(envelope["payload"])))
    (folder / "sig").write_bytes(base64.b64decode(signature["sig"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub", "-rawin", "-in", "signed", "-sigfile", "sig"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
