"""What an import is to be proven by: properties of its image, and URLs among them that lead to a publisher's files.

Checked as soon as it is told, so that nobody waits for an import that cannot succeed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.model.decision import Plan
from gateway.model.errors import BadRequest
from gateway.model.image import Image
from gateway.ports import Describes, Method, SourceRequest, Transaction
from gateway.service.judge import FactValues, judge
from gateway.service.site import Site
from gateway.stages.checksum import demands_digest, nothing_expected
from gateway.stages.evidence import SIGNATURE_URL, SUMS_URL, Evidence, given, spent
from gateway.stages.signature import check_given


def sent(image: Image) -> Evidence:
    """For bytes that come with a request. Raises BadRequest `bad-expectation`."""
    for name, _ in urls(image.properties):
        raise only_by_url(name)
    return Evidence(properties=image.properties)


async def check_named(site: Site, image: Image, method: Method, source: SourceRequest, values: FactValues) -> None:
    """The digests and URLs among the properties of an image; `values` are the facts of its import.

    Raises BadRequest for what cannot be read, PolicyRefused for a place this project may not import from.
    """
    given(image.properties)
    for name, url in urls(image.properties):
        if "uri" not in source.secret:
            raise only_by_url(name)
        await judge(site, method.name, {**values, **method.read({"uri": url}).facts}, image_id=image.id)


def check_enough(plan: Plan, image: Image, method: Method) -> None:
    """Whether all that the plan's stages want beside the bytes was given. Raises BadRequest."""
    named = given(image.properties) or image.properties.get(SUMS_URL) or isinstance(method, Describes)
    if demands_digest(plan.stages) and not named:
        raise nothing_expected()
    for call in plan.stages:
        if call.name == "signature":
            check_given(call, image.properties)


def urls(properties: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What has to be fetched, by the name of its property. Raises BadRequest for a signature of nothing."""
    if properties.get(SIGNATURE_URL) and not properties.get(SUMS_URL):
        raise BadRequest(
            f"The image property '{SIGNATURE_URL}' says where a signature is, but not of which checksum file.",
            remedy=f"Set '{SUMS_URL}' as well.",
            code="bad-expectation",
        )
    for name in (SUMS_URL, SIGNATURE_URL):
        if url := properties.get(name):
            yield name, url


def only_by_url(name: str) -> BadRequest:
    return BadRequest(
        f"The image property '{name}' can be followed for an image that is imported by web-download only.",
        remedy="Remove it, and set import_expected_sha256 to the digest instead.",
        code="bad-expectation",
    )


async def used_up(tx: Transaction, image_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an image that becomes active with `values`, without those that spoke of its import alone."""
    image = await tx.image(image_id)
    properties = values.get("properties", image.properties if image else {})
    kept = spent(properties)
    return {} if kept == properties else {"properties": kept}
