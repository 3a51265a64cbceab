"""Artifacts as registries keep them, and a registry of the tests' own that says what a test wants said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gateway.methods.artifact import INDEXES, MANIFESTS, TITLE
from tests.methods.scripted import Reply, reply

NAME = "images/debian"
LAYER = bytes(range(256)) * 4000
TYPE = "application/vnd.example.disk"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(content: bytes, title: str = "", kind: str = TYPE, **more: Any) -> dict[str, Any]:
    notes = {"annotations": {TITLE: title}} if title else {}
    return {"mediaType": kind, "digest": digest(content), "size": len(content), **notes, **more}


def manifest(*layers: Mapping[str, Any], **more: Any) -> bytes:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2}
    return json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFESTS[0], "config": config, "layers": list(layers), **more}
    ).encode()


def index(manifests: Mapping[str, bytes]) -> bytes:
    """By `os/architecture`."""
    listed = [
        {
            "mediaType": MANIFESTS[0],
            "digest": digest(one),
            "size": len(one),
            "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True)),
        }
        for platform, one in manifests.items()
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": listed}).encode()


def kept(*contents: bytes, tag: bytes, blobs: tuple[bytes, ...] = (LAYER,)) -> dict[str, Reply]:
    """What a registry answers that has manifests by digest, one of them by the tag `12`, and blobs."""
    found: dict[str, Reply] = {f"/v2/{NAME}/manifests/{digest(one)}": reply(one) for one in (*contents, tag)}
    found[f"/v2/{NAME}/manifests/12"] = reply(tag)
    return found | {f"/v2/{NAME}/blobs/{digest(one)}": reply(one) for one in blobs}
