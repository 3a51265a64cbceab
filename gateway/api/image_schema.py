"""The JSON Schemas of images, as `GET /v2/schemas/image` and `/images` serve them.

Clients draw their argument lists from these (glanceclient does), so names, types and `readOnly` flags follow the
Images API; the descriptions are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.model.image import VISIBILITIES

STATUSES = (
    "queued",
    "saving",
    "active",
    "killed",
    "deleted",
    "uploading",
    "importing",
    "pending_delete",
    "deactivated",
)

UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_COUNT_MAX = 2**31 - 1

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRules:
    """What this site lets an image record hold; the limits are counts of an image's properties and tags."""

    disk_formats: tuple[str, ...] = (
        "ami",
        "ari",
        "aki",
        "vhd",
        "vhdx",
        "vmdk",
        "raw",
        "qcow2",
        "vdi",
        "iso",
        "ploop",
    )
    container_formats: tuple[str, ...] = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
    max_properties: int = 128
    max_tags: int = 128
    show_locations: bool = False


def image_schema(rules: ImageRules) -> Schema:
    """The schema of one image, every field of the API in it."""
    return {
        "name": "image",
        "properties": {**_base_properties(rules), **_known_properties()},
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def images_schema(rules: ImageRules) -> Schema:
    """The schema of a list of images."""
    return collection_schema("images", image_schema(rules))


def collection_schema(name: str, item: Schema) -> Schema:
    """The schema of a page of records, under `name` in its body."""
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def _base_properties(rules: ImageRules) -> Schema:
    return {
        "id": {"type": "string", "description": "The image's id.", "pattern": UUID, "maxLength": 36},
        "name": _text("What people call the image.", longest=255, null=True),
        "status": _read_only("string", "Where the image is in its life.", enum=list(STATUSES)),
        "visibility": {"type": "string", "description": "Who may see the image.", "enum": list(VISIBILITIES)},
        "protected": _flag("Whether the image is kept from being deleted."),
        "os_hidden": _flag("Whether lists leave the image out unless asked."),
        "owner": _text("The project that owns the image.", longest=255, null=True),
        "disk_format": _choice("The format of the disk in the image.", rules.disk_formats),
        "container_format": _choice("The format of what is around the disk.", rules.container_formats),
        "min_ram": _count("MiB of memory a server needs to boot the image."),
        "min_disk": _count("GiB of disk a server needs to boot the image."),
        "tags": {"type": "array", "description": "Labels.", "items": {"type": "string", "maxLength": 255}},
        "locations": _locations(),
        **_measured_properties(),
    }


def _measured_properties() -> Schema:
    """What the service finds out or gives out; nobody else sets these."""
    maybe_text, maybe_count = ["null", "string"], ["null", "integer"]
    return {
        "size": _read_only(maybe_count, "Bytes of the image."),
        "virtual_size": _read_only(maybe_count, "Bytes of the disk a server sees."),
        "checksum": _read_only(maybe_text, "MD5 of the image's bytes, in hex.", maxLength=32),
        "os_hash_algo": _read_only(maybe_text, "The algorithm of os_hash_value.", maxLength=64),
        "os_hash_value": _read_only(maybe_text, "The hash of the image's bytes, in hex.", maxLength=128),
        "created_at": _read_only("string", "When the record was made."),
        "updated_at": _read_only("string", "When the record last changed."),
        "direct_url": _read_only("string", "Where the bytes are, where the site shows it."),
        "self": _read_only("string", "The URL of the record."),
        "file": _read_only("string", "The URL of the bytes."),
        "schema": _read_only("string", "The URL of this schema."),
        "stores": _read_only("string", "The stores that hold the bytes, joined by commas."),
    }


def _known_properties() -> Schema:
    """Free properties whose meaning compute services share (`is_base` false, as the API marks them)."""
    kernels = {"type": ["null", "string"], "pattern": UUID, "maxLength": 36, "is_base": False}
    texts = {
        "architecture": "The processor architecture of the operating system.",
        "os_distro": "The distribution's short name, in lower case.",
        "os_version": "The distribution's own version.",
        "instance_uuid": "The server this image was taken from, for information.",
    }
    return {
        "kernel_id": {**kernels, "description": "The image of the kernel to boot with."},
        "ramdisk_id": {**kernels, "description": "The image of the ramdisk to boot with."},
        **{name: {"type": "string", "description": text, "is_base": False} for name, text in texts.items()},
    }


def _locations() -> Schema:
    location = {
        "type": "object",
        "properties": {"url": {"type": "string", "maxLength": 255}, "metadata": {"type": "object"}},
        "required": ["url", "metadata"],
    }
    return {"type": "array", "description": "Where the bytes are, where the site shows it.", "items": location}


def _text(description: str, *, longest: int, null: bool) -> Schema:
    return {"type": ["null", "string"] if null else "string", "description": description, "maxLength": longest}


def _choice(description: str, values: Iterable[str]) -> Schema:
    return {"type": ["null", "string"], "description": description, "enum": [None, *values]}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _count(description: str) -> Schema:
    return {"type": "integer", "description": description, "minimum": 0, "maximum": _COUNT_MAX}


def _read_only(kind: str | list[str], description: str, **more: Any) -> Schema:
    return {"type": kind, "description": description, "readOnly": True, **more}
