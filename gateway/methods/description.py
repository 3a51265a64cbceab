"""The record of an image in another cloud, read with distrust ("Show image" in the Images API reference)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.model.errors import SourceRefused
from gateway.ports import Description
from gateway.stages.digests import ALGORITHMS

TAKEN_OVER = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
"""Prefixes of the properties that say how an image has to be run; nothing else of its record crosses clouds."""

_LONGEST_NAME = 255


def described(record: bytes, image: str) -> Description:
    """What `record` (JSON) says. `image` names it in refusals. Raises SourceRefused."""
    values = _object(record, image)
    if values.get("status") != "active":
        raise _refused(image, "it is not active", "Wait until it is active there.", "source-not-active")
    size, disk, container = values.get("size"), values.get("disk_format"), values.get("container_format")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not _word(disk) or not _word(container):
        raise _refused(image, "its record lacks a size or a format", _BROKEN, "source-broken")
    return Description(
        disk_format=str(disk),
        container_format=str(container),
        properties={key: value for key, value in values.items() if _crosses(key, value)},
        expected=_expected(values, image),
        size=size,
    )


_BROKEN = "The image service of that region has to be repaired."


def _object(record: bytes, image: str) -> Mapping[str, Any]:
    try:
        values = json.loads(record)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise _refused(image, "its record is no JSON object", _BROKEN, "source-broken")
    return values


def _refused(image: str, why: str, remedy: str, code: str) -> SourceRefused:
    return SourceRefused(f"Image {image} cannot be downloaded: {why}.", remedy=remedy, code=code)


def _word(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isalnum() and len(value) < 32


def _crosses(key: str, value: object) -> bool:
    named = key.startswith(TAKEN_OVER) and len(key) <= _LONGEST_NAME and key.isprintable()
    return named and isinstance(value, str) and _sayable(value)


def _sayable(text: str) -> bool:
    """No NUL and no lone surrogates: neither a database nor a policy takes them."""
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def _expected(values: Mapping[str, Any], image: str) -> Mapping[str, str]:
    """The strongest digest the record names."""
    algorithm, digest, checksum = (values.get(key) for key in ("os_hash_algo", "os_hash_value", "checksum"))
    if algorithm in ALGORITHMS and isinstance(digest, str) and digest:
        return {str(algorithm): digest.lower()}
    if isinstance(checksum, str) and checksum:
        return {"md5": checksum.lower()}
    why = "its record has no digest that its bytes could be held to"
    raise _refused(image, why, "Import it there anew, or copy it by other means.", "source-unverified")
