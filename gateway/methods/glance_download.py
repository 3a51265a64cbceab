"""glance-download: an image of another cloud's Images API ("Import an image" in the reference, `glance-download`).

The caller's own token is replayed to the other cloud, so a caller gets what it may download there and nothing else.
The token is sealed with the import and erased when that ends; a password is never replayed. Where a region's image
service is, the operator says; only that host and port is contacted, whatever its address, and no redirect followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

from gateway.methods.description import described
from gateway.methods.fetch import Fetch
from gateway.methods.location import Location
from gateway.methods.outbound import Outbound
from gateway.methods.rules import FetchRules
from gateway.model.errors import BadRequest, SourceRefused
from gateway.model.image import Move, Status
from gateway.ports import Description, Source, SourceRequest, Target

MAX_RECORD = 1 << 20
INTERFACES = ("public", "internal", "admin")
_LONGEST_NAME = 255


class GlanceDownload:
    """The `gateway.ports.Method`, and `Describes`, over the guarded fetch and the operator's regions."""

    name = "glance-download"
    starts_from = Status.QUEUED
    move = Move.IMPORT_SOURCE

    def __init__(self, rules: FetchRules) -> None:
        self._regions = {name: Region(name, endpoint, rules) for name, endpoint in rules.regions.items()}

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        """Raises BadRequest: `region-missing`, `image-missing`, `bad-image-id`. An unknown region fails the import."""
        region = _named(method, "glance_region", "region-missing")
        image = _named(method, "glance_image_id", "image-missing")
        interface = _named(method, "glance_service_interface", "bad-interface", "public")
        if not _is_uuid(image):
            raise BadRequest(
                f"Remote image id does not look like a UUID: {image}",
                remedy="Give the id of the image, not its name.",
                code="bad-image-id",
            )
        shown = {"glance_region": region, "glance_image_id": image, "glance_service_interface": interface}
        return SourceRequest(
            facts={"request.region": region}, shown={"name": self.name, **shown}, secret=shown, with_token=True
        )

    def describe(self, secret: Mapping[str, str], *, check: Callable[[Target], None]) -> Description:
        return self._region(secret).describe(secret, check)

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> Source:
        return self._region(secret).open(secret, "/file", max_size, check)

    def _region(self, secret: Mapping[str, str]) -> Region:
        region, interface = secret["glance_region"], secret["glance_service_interface"]
        if region not in self._regions or interface not in INTERFACES:
            raise SourceRefused(
                f"There is no image service for interface '{interface}' of region '{region}'.",
                remedy=f"Regions here: {', '.join(sorted(self._regions))}; interfaces: {', '.join(INTERFACES)}.",
                code="unknown-region",
            )
        return self._regions[region]


class Region:
    """One image service that images can be downloaded from."""

    def __init__(self, name: str, endpoint: Location, rules: FetchRules) -> None:
        self._name = name
        self._endpoint = endpoint
        self._outbound = Outbound(replace(rules, trusted=((endpoint.host, endpoint.port),), max_redirects=0))

    def describe(self, secret: Mapping[str, str], check: Callable[[Target], None]) -> Description:
        """Raises SourceRefused where the record cannot be had, or is not that of a whole image."""
        fetch = self.open(secret, "", MAX_RECORD, check)
        try:
            record = b"".join(bytes(block) for block in fetch.blocks())
        finally:
            fetch.close()
        return described(record, f"{secret['glance_image_id']} of region {self._name}")

    def open(
        self, secret: Mapping[str, str], what: str, max_size: int | None, check: Callable[[Target], None]
    ) -> Fetch:
        path = self._endpoint.path.rstrip("/").removesuffix("/v2")
        location = replace(self._endpoint, path=f"{path}/v2/images/{secret['glance_image_id']}{what}")
        headers = {"X-Auth-Token": secret["token"]} if "token" in secret else {}
        try:
            return self._outbound.open(location, max_size=max_size, check=check, headers=headers)
        except SourceRefused as refusal:
            raise self._refused(refusal, secret["glance_image_id"]) from None

    def _refused(self, refusal: SourceRefused, image: str) -> SourceRefused:
        return SourceRefused(
            f"Image {image} of region {self._name} cannot be downloaded. {refusal.message}",
            remedy=f"Check that it exists in {self._name}, is active, and that you may download it there.",
            code=refusal.code,
            transient=refusal.transient,
        )


def _named(method: Mapping[str, object], key: str, code: str, default: str | None = None) -> str:
    value = method.get(key, default)
    if not isinstance(value, str) or not value:
        _missing(key, code)
    if len(value) > _LONGEST_NAME or not value.isprintable():
        raise BadRequest(f"'{key}' is too long, or holds characters no name has.", code=code)
    return value


def _missing(key: str, code: str) -> NoReturn:
    raise BadRequest(
        f"The import method glance-download needs a '{key}' that is a string.",
        remedy='Send {"method": {"name": "glance-download", "glance_region": "...", "glance_image_id": "..."}}.',
        code=code,
    )


def _is_uuid(text: str) -> bool:
    """In any spelling UUID knows; the path it is put into has to stay one segment."""
    try:
        UUID(text)
    except ValueError:
        return False
    return all(letter in "0123456789abcdefABCDEF-" for letter in text)
