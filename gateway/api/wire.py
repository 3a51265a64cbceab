"""Records as the Images API shows them ("Show image", "List images", "Show task details" in its reference)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from gateway.model.image import Image
from gateway.model.imports import Import, ImportStatus, ImportType
from gateway.model.member import Member
from gateway.service.locations import Location
from gateway.service.outlook import NOTHING, Outlook
from gateway.service.showing import Shown

_LISTED = ("id", "type", "status", "owner", "created_at", "updated_at", "self", "schema")


def moment(at: datetime) -> str:
    """`2026-11-22T08:50:42Z`, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_json(
    image: Image, *, work: Import | None = None, locations: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """One image, fields in the API's order: free properties first, `stores` last.

    `os_glance_import_task` is there while an import is open, and only then. `work` adds the stores it has yet to
    fill and those that failed. `locations` is left out unless given.
    """
    return {
        **image.properties,
        **({} if work is None else stores_of(work)),
        **({"os_glance_import_task": image.import_id} if image.import_id else {}),
        **_base_fields(image),
        **({} if locations is None else {"locations": list(locations)}),
        "tags": list(image.tags),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
        **({"stores": ",".join(image.stores)} if image.stores else {}),
    }


def shown_json(shown: Shown) -> dict[str, Any]:
    """One image with all that its caller may see of it."""
    places = None if shown.locations is None else [location_json(location) for location in shown.locations]
    return image_json(shown.image, work=shown.work, locations=places)


def location_json(location: Location) -> dict[str, Any]:
    return {"url": location.url, "metadata": dict(location.metadata)}


def stores_of(work: Import) -> dict[str, str]:
    """What an image shows of its import: the stores it has yet to fill, and those it will not."""
    return {
        "os_glance_importing_to_stores": ",".join(sorted(work.stores_left)),
        "os_glance_failed_import": ",".join(sorted(work.stores_failed)),
    }


def images_json(images: Sequence[Image], query: Iterable[tuple[str, str]], *, more: bool) -> dict[str, Any]:
    """One page of a list. `query` is the request's own, kept in the links but for its marker; `more` adds `next`."""
    last = images[-1].id if more and images else None
    return {
        "images": [image_json(image) for image in images],
        "schema": "/v2/schemas/images",
        **_links("/v2/images", query, last),
    }


def task_json(work: Import, outlook: Outlook = NOTHING) -> dict[str, Any]:
    """One import as a task: the API's fields, then ours.

    `progress` counts source bytes (`total` and `percent` are null where the source does not say), `stages` are the
    stage reports, `code`, `message` and `remedy` say why an import failed. `queue_position` and `expected_at` are
    estimates, null where nobody can tell.
    """
    return {
        "id": work.id,
        "type": str(work.type),
        "status": str(work.status),
        "owner": work.owner,
        "image_id": work.image_id,
        "user_id": work.user_id,
        "request_id": work.request_id,
        "created_at": moment(work.created_at),
        "updated_at": moment(work.updated_at),
        "message": work.message,
        "input": _input(work),
        "result": {"image_id": work.image_id} if work.status is ImportStatus.SUCCESS else None,
        "self": f"/v2/tasks/{work.id}",
        "schema": "/v2/schemas/task",
        "progress": {"bytes": work.bytes_done, "total": work.bytes_total, "percent": percent(work)},
        "stages": [dict(report) for report in work.report],
        "stores": {"left": list(work.stores_left), "failed": dict(work.stores_failed)},
        "code": work.code,
        "remedy": work.remedy,
        "queue_position": outlook.position,
        "expected_at": outlook.expected_at and moment(outlook.expected_at),
    }


def tasks_json(works: Sequence[Import], query: Iterable[tuple[str, str]], *, more: bool) -> dict[str, Any]:
    """One page of tasks, with links like those of a list of images."""
    last = works[-1].id if more and works else None
    return {
        "tasks": [task_row(work) for work in works],
        "schema": "/v2/schemas/tasks",
        **_links("/v2/tasks", query, last),
    }


def task_row(work: Import) -> dict[str, Any]:
    """One import in a list of tasks."""
    shown = task_json(work)
    return {name: shown[name] for name in _LISTED}


def image_task_json(work: Import, outlook: Outlook = NOTHING) -> dict[str, Any]:
    """One import in its image's tasks, which show the whole record. Records of imports are kept with their image."""
    return {**task_json(work, outlook), "expires_at": None, "deleted": False, "deleted_at": None}


def member_json(member: Member) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "image_id": member.image_id,
        "status": str(member.status),
        "created_at": moment(member.created_at),
        "updated_at": moment(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def percent(work: Import) -> int | None:
    """Whole percent of the source, rounded down: 100 is said of a finished import only."""
    if work.status is ImportStatus.SUCCESS:
        return 100
    return min(99, 100 * work.bytes_done // work.bytes_total) if work.bytes_total else None


def _input(work: Import) -> dict[str, Any]:
    """As the API's two types of tasks have it."""
    if work.type is ImportType.LOCATION:
        return {
            "image_id": work.image_id,
            "loc_url": work.request["uri"],
            "validation_data": work.request.get("validation_data", {}),
        }
    request = {"method": _shown(work), "stores": list(work.stores), "all_stores_must_succeed": work.all_must_succeed}
    return {"image_id": work.image_id, "import_req": request, "backend": list(work.stores)}


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


def _links(path: str, query: Iterable[tuple[str, str]], last: str | None) -> dict[str, str]:
    """`first`, and `next` where the page ends with the id `last` and more follow."""
    kept = [(key, value) for key, value in query if key != "marker"]
    links = {"first": _link(path, kept)}
    if last is not None:
        links["next"] = _link(path, [*kept, ("marker", last)])
    return links


def _link(path: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
