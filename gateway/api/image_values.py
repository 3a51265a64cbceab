"""What callers may set on an image: reading create bodies, and checking single values for patches.

Answers are plain values for `Image` and for the catalog's `change_image`; every refusal has the API's status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError

from gateway.api.image_schema import ImageRules, image_schema
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Forbidden, TooLarge

READ_ONLY = frozenset(
    {
        "checksum",
        "created_at",
        "direct_url",
        "file",
        "os_hash_algo",
        "os_hash_value",
        "schema",
        "self",
        "size",
        "status",
        "stores",
        "updated_at",
        "virtual_size",
    }
)
RESERVED = frozenset({"deleted", "deleted_at", "location", "locations"})
RESERVED_PREFIX = "os_glance"
SETTABLE = frozenset(
    {
        "container_format",
        "disk_format",
        "min_disk",
        "min_ram",
        "name",
        "os_hidden",
        "owner",
        "protected",
        "tags",
        "visibility",
    }
)
LONGEST_NAME = 255

Values = dict[str, Any]


class ImageReader:
    """Reads what callers send about images, by one site's rules."""

    def __init__(self, rules: ImageRules) -> None:
        self.rules = rules
        self._validator = Draft4Validator(image_schema(rules))

    def create(self, body: Mapping[str, Any], caller: Caller) -> Values:
        """The values of a new image: the fields of `Image` that were sent, and always `owner` and `properties`.

        Raises Forbidden for what is not this caller's to set, BadRequest for bad values, TooLarge over a limit.
        """
        for name in body:
            check_name(name)
        self.check(body)
        values: Values = {name: body[name] for name in body if name in SETTABLE or name == "id"}
        values["properties"] = _free(body)
        values["owner"] = body.get("owner", caller.project_id)
        if "tags" in body:
            values["tags"] = unique(body["tags"])
        check_rights(values, caller)
        self.check_limits(len(values["properties"]), len(values.get("tags", ())))
        return values

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises BadRequest unless the values match the schema of an image; says up to three reasons."""
        errors = sorted(self._validator.iter_errors(values), key=lambda error: [str(part) for part in error.path])
        if errors:
            reasons = "; ".join(_reason(error) for error in errors[:3])
            raise BadRequest(
                f"Provided object does not match schema 'image': {reasons}",
                remedy="GET /v2/schemas/image shows what each field takes.",
                code="bad-image",
            )

    def check_limits(self, properties: int, tags: int) -> None:
        """Raises TooLarge for more properties or tags than an image may have."""
        limits = {"properties": (properties, self.rules.max_properties), "tags": (tags, self.rules.max_tags)}
        for kind, (count, limit) in limits.items():
            if count > limit:
                raise TooLarge(
                    f"The image would have {count} {kind}; {limit} are allowed.",
                    remedy=f"Leave out {count - limit}.",
                    code=f"too-many-{kind}",
                )


def check_name(name: str) -> None:
    """Raises Forbidden for a field callers never set, BadRequest for a name no property may have."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.", remedy="Leave it out.", code="read-only")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.", remedy="Leave it out.", code="reserved")
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadRequest(
            f"A property's name must have 1 to {LONGEST_NAME} characters; one has {len(name)}.",
            remedy="Rename it.",
            code="bad-property",
        )


def check_rights(values: Mapping[str, Any], caller: Caller) -> None:
    """Glance's default rules for owners (own project) and public images (admins). Raises Forbidden."""
    if caller.is_admin:
        return
    if values.get("owner", caller.project_id) != caller.project_id:
        raise Forbidden(
            "Only an admin may give an image to another project.", remedy="Leave 'owner' out.", code="foreign-owner"
        )
    if values.get("visibility") == "public":
        raise Forbidden(
            "Only an admin may make an image public.",
            remedy="Use 'shared', 'private' or 'community'.",
            code="public-image",
        )


def unique(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags are a set: the first of equals stays, in the order sent."""
    return tuple(dict.fromkeys(tags))


def _free(body: Mapping[str, Any]) -> dict[str, str]:
    """The free properties; one that is null (`kernel_id` may be) is not there."""
    return {name: value for name, value in body.items() if name not in SETTABLE and name != "id" and value is not None}


def _reason(error: ValidationError) -> str:
    place = "/".join(str(part) for part in error.path)
    said = error.message if len(error.message) <= 200 else f"{error.message[:200]}..."
    return f"{place[:100]}: {said}" if place else said
