"""web-download: bytes from a URL the caller names, `{"name": "web-download", "uri": ...}` (Images API v2.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.methods.location import parse
from gateway.methods.outbound import Outbound
from gateway.model.errors import BadRequest
from gateway.model.image import Move, Status
from gateway.ports import Source, SourceRequest, Target


class WebDownload:
    """The `gateway.ports.Method` over the guarded fetch."""

    name = "web-download"
    starts_from = Status.QUEUED
    move = Move.IMPORT_SOURCE

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        """Raises BadRequest: `uri-missing`, `bad-uri`, or `source-refused` for what the operator's rules close."""
        uri = method.get("uri")
        if not isinstance(uri, str) or not uri:
            raise BadRequest(
                "The import method web-download needs a 'uri' that is a string.",
                remedy='Send {"method": {"name": "web-download", "uri": "https://..."}}.',
                code="uri-missing",
            )
        location = parse(uri)
        self._outbound.admit(location)
        return SourceRequest(
            facts={
                "request.host": location.host,
                "request.scheme": location.scheme,
                "request.port": location.port,
                "request.path": location.path,
            },
            shown={"name": self.name, "uri": location.shown},
            secret={"uri": location.url},
        )

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> Source:
        return self._outbound.open(parse(secret["uri"]), max_size=max_size, check=check)
