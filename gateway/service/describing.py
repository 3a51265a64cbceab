"""Sources that are images with a record of their own: an import is judged, checked and described as what it copies.

What a source says changes the image only together with its bytes: an import that fails leaves the record alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.model.errors import SourceRefused
from gateway.ports import Describes, Description, Source, Transaction
from gateway.service.attempt import Attempt
from gateway.service.judge import about
from gateway.service.site import Limits
from gateway.stages.evidence import spent


async def describe(attempt: Attempt) -> None:
    """Ask the source what it is, where it can say. Raises SourceRefused."""
    method = attempt.site.methods[attempt.work.method]
    if not isinstance(method, Describes):
        return
    found = await asyncio.to_thread(method.describe, attempt.secret, check=attempt.check_hop)
    _check_formats(attempt.site.limits, found)
    attempt.description = found
    attempt.image = replace(attempt.image, **_fields(attempt.image.properties, found))
    attempt.work = replace(attempt.work, facts={**attempt.work.facts, **about(attempt.image)})


def _fields(properties: Mapping[str, str], found: Description) -> dict[str, Any]:
    """The fields of the image's record that the source decides."""
    formats = {"disk_format": found.disk_format, "container_format": found.container_format}
    return {
        **{name: value for name, value in formats.items() if value is not None},
        "properties": {**properties, **spent(found.properties)},
    }


def _check_formats(limits: Limits, found: Description) -> None:
    for key, value, known in (
        ("disk format", found.disk_format, limits.disk_formats),
        ("container format", found.container_format, limits.container_formats),
    ):
        if value is not None and value not in known:
            raise SourceRefused(
                f"The source is an image of {key} '{value}', which no image may have here.",
                remedy=f"Convert it first; there are {', '.join(known)}.",
                code="format-unknown",
            )


def check_size(attempt: Attempt, source: Source) -> None:
    """Raises SourceRefused where a source is about to send something else than it has described."""
    if attempt.description is not None and source.total not in (None, attempt.description.size):
        raise SourceRefused(
            f"The source sends {source.total} bytes, but its record says {attempt.description.size}.",
            remedy="Import again; if it happens again, the image is damaged where it comes from.",
            code="source-size",
        )


async def taken_over(tx: Transaction, attempt: Attempt) -> dict[str, Any]:
    """What the image takes over from its source, over what its record says by now."""
    image = await tx.image(attempt.image.id) if attempt.description is not None else None
    return _fields(image.properties, attempt.description) if image and attempt.description else {}
