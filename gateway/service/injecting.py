"""inject: properties that an image gets by rule, together with its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from gateway.model.decision import StageCall
from gateway.model.errors import Refusal
from gateway.model.image import Image
from gateway.ports import Transaction
from gateway.service.staged import Case, Staged

_NOT_FREE = frozenset(field.name for field in fields(Image)) | {
    "deleted",
    "deleted_at",
    "direct_url",
    "file",
    "location",
    "locations",
    "schema",
    "self",
}
_OURS = "os_glance"


async def inject(case: Case, staged: Staged, call: StageCall) -> Staged:
    """The properties are set when the image becomes active, over what its owner has set. Raises Refusal."""
    wanted = {name: str(value) for name, value in call.options}
    for name in wanted:
        if name in _NOT_FREE or name.startswith(_OURS):
            raise _refused(f"sets '{name}', which is no property but an attribute of the image")
    injected(case.image.properties, {**staged.properties, **wanted}, case.site.limits.properties)
    for name, value in wanted.items():
        case.note("injected", f"{name} = {value}")
    return replace(staged, properties={**staged.properties, **wanted})


async def set_by_rule(
    tx: Transaction, image_id: str, values: Mapping[str, Any], added: Mapping[str, str], most: int
) -> dict[str, Any]:
    """The properties of an image that becomes active with `values`: its own by now, and those its rules add."""
    if not added:
        return {}
    image = await tx.image(image_id)
    return {"properties": injected(values.get("properties", image.properties if image else {}), added, most)}


def injected(properties: Mapping[str, str], added: Mapping[str, str], most: int) -> dict[str, str]:
    """All properties of the image, whose owner may have changed them meanwhile. Raises Refusal for too many."""
    found = {**properties, **added}
    if added and len(found) > most:
        raise _refused(f"would give the image {len(found)} properties, and {most} are allowed")
    return found


def _refused(what: str) -> Refusal:
    return Refusal(
        f"The policy {what}.",
        remedy="Take properties off the image, or ask the operators of your cloud to correct the rule.",
        code="inject-impossible",
    )
