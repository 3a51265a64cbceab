"""Records as the Images API shows them ("Show image", "List images", "Show task details" in its reference)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from gateway.model.image import Image
from gateway.model.imports import Import, ImportStatus

TASK_TYPE = "api_image_import"


def moment(at: datetime) -> str:
    """`2026-11-22T08:50:42Z`, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_json(image: Image, *, locations: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """One image, fields in the API's order: free properties first, `stores` last.

    `os_glance_import_task` is there while an import is open, and only then. `locations` is left out unless given.
    """
    return {
        **image.properties,
        **({"os_glance_import_task": image.import_id} if image.import_id else {}),
        **_base_fields(image),
        **({} if locations is None else {"locations": list(locations)}),
        "tags": list(image.tags),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
        **({"stores": ",".join(image.stores)} if image.stores else {}),
    }


def images_json(images: Sequence[Image], query: Iterable[tuple[str, str]], *, more: bool) -> dict[str, Any]:
    """One page of a list. `query` is the request's own, kept in the links but for its marker; `more` adds `next`."""
    kept = [(key, value) for key, value in query if key != "marker"]
    links = {"first": _list_link(kept), "schema": "/v2/schemas/images"}
    if more and images:
        links["next"] = _list_link([*kept, ("marker", images[-1].id)])
    return {"images": [image_json(image) for image in images], **links}


def task_json(work: Import) -> dict[str, Any]:
    """One import as a task: the API's fields, then ours.

    `progress` counts source bytes (`total` and `percent` are null where the source does not say), `stages` are the
    stage reports, `code`, `message` and `remedy` say why an import failed.
    """
    return {
        "id": work.id,
        "type": TASK_TYPE,
        "status": str(work.status),
        "owner": work.owner,
        "image_id": work.image_id,
        "user_id": work.user_id,
        "request_id": work.request_id,
        "created_at": moment(work.created_at),
        "updated_at": moment(work.updated_at),
        "message": work.message,
        "input": {"image_id": work.image_id, "import_req": {"method": _shown(work)}, "backend": [work.store]},
        "result": {"image_id": work.image_id} if work.status is ImportStatus.SUCCESS else None,
        "self": f"/v2/tasks/{work.id}",
        "schema": "/v2/schemas/task",
        "progress": {"bytes": work.bytes_done, "total": work.bytes_total, "percent": percent(work)},
        "stages": [dict(report) for report in work.report],
        "code": work.code,
        "remedy": work.remedy,
    }


def tasks_json(imports: Iterable[Import]) -> dict[str, Any]:
    return {"tasks": [task_json(work) for work in imports]}


def percent(work: Import) -> int | None:
    """Whole percent of the source, rounded down: 100 is said of a finished import only."""
    if work.status is ImportStatus.SUCCESS:
        return 100
    return min(99, 100 * work.bytes_done // work.bytes_total) if work.bytes_total else None


def _shown(work: Import) -> dict[str, object]:
    return {"name": work.method, **work.request}


def _base_fields(image: Image) -> dict[str, Any]:
    return {
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "status": str(image.status),
        "checksum": image.checksum,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner,
        "os_hidden": image.os_hidden,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "id": image.id,
        "created_at": moment(image.created_at),
        "updated_at": moment(image.updated_at),
    }


def _list_link(query: Sequence[tuple[str, str]]) -> str:
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"
