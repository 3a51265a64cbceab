"""Images as the Images API shows them ("Show image"), read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.model.errors import Unavailable
from gateway.model.image import Image, Status
from gateway.ports.upstream import Record

_BASE = frozenset(
    {"id", "name", "disk_format", "container_format", "visibility", "size", "virtual_size", "status", "checksum"}
    | {"protected", "min_ram", "min_disk", "owner", "os_hidden", "os_hash_algo", "os_hash_value", "created_at"}
    | {"updated_at", "locations", "direct_url", "tags", "self", "file", "schema", "stores"}
)
RESERVED = "os_glance"


def read_record(shown: object) -> Record:
    """Raises Unavailable (`upstream-broken`) for what is no image."""
    try:
        return _read(shown)  # type: ignore[arg-type]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise Unavailable(
            "The image service behind the gateway said something that is no image.",
            remedy="Check `upstream.endpoint`.",
            code="upstream-broken",
        ) from error


def _read(shown: Mapping[str, Any]) -> Record:
    free = {k: v for k, v in shown.items() if k not in _BASE and not k.startswith(RESERVED) and isinstance(v, str)}
    image = Image(
        id=shown["id"],
        owner=shown.get("owner"),
        status=Status.QUEUED,
        name=shown.get("name"),
        disk_format=shown.get("disk_format"),
        container_format=shown.get("container_format"),
        visibility=shown["visibility"],
        protected=bool(shown.get("protected")),
        os_hidden=bool(shown.get("os_hidden")),
        min_disk=int(shown.get("min_disk") or 0),
        min_ram=int(shown.get("min_ram") or 0),
        tags=tuple(shown.get("tags") or ()),
        properties=free,
        created_at=_moment(shown["created_at"]),
        updated_at=_moment(shown["updated_at"]),
    )
    proofs = {name: shown.get(name) for name in ("size", "checksum", "os_hash_algo", "os_hash_value")}
    return Record(image=image, status=str(shown["status"]), **proofs)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
