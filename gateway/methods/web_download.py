"""web-download: bytes from a URL the caller names, `{"name": "web-download", "uri": ...}` (Images API v2.7).

With `"credential": NAME` it is asked for with one of the operator's, which goes to that URL and to no redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.methods.credentials import Credential, asked, authorization, bound, shown
from gateway.methods.location import Location, parse
from gateway.methods.outbound import Outbound
from gateway.model.errors import BadRequest
from gateway.model.image import Move, Status
from gateway.ports import Source, SourceRequest, Target


class WebDownload:
    """The `gateway.ports.Method` over the guarded fetch."""

    name = "web-download"
    starts_from = Status.QUEUED
    move = Move.IMPORT_SOURCE

    def __init__(self, outbound: Outbound, credentials: Mapping[str, Credential] | None = None) -> None:
        self._outbound = outbound
        self._credentials = credentials or {}

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        """Raises BadRequest: `uri-missing`, `bad-uri`, `bad-credential`, or `source-refused` for what is closed."""
        uri = method.get("uri")
        if not isinstance(uri, str) or not uri:
            raise BadRequest(
                "The import method web-download needs a 'uri' that is a string.",
                remedy='Send {"method": {"name": "web-download", "uri": "https://..."}}.',
                code="uri-missing",
            )
        location = parse(uri)
        self._outbound.admit(location)
        credential = asked(method)
        return SourceRequest(
            facts={
                "request.host": location.host,
                "request.scheme": location.scheme,
                "request.port": location.port,
                "request.path": location.path,
                "request.credential": credential,
            },
            shown={"name": self.name, "uri": location.shown, **shown(credential)},
            secret={"uri": location.url, **shown(credential)},
        )

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> Source:
        location = parse(secret["uri"])
        return self._outbound.open(location, max_size=max_size, check=check, headers=self._headers(secret, location))

    def _headers(self, secret: Mapping[str, str], location: Location) -> Mapping[str, str]:
        if "credential" not in secret:
            return {}
        name = secret["credential"]
        return authorization(name, bound(self._credentials, name, location, "basic", "bearer"))
