"""s3-download: an object of a bucket, `{"name": "s3-download", "uri": "s3://BUCKET/KEY"}`.

Where buckets are, the operator says (`source` chooses among several). A request is signed in its query (AWS Signature
Version 4), so what is fetched is a URL like any other: by the guarded fetch, within the policy of its host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from gateway.methods import refusals
from gateway.methods.credentials import asked, bound, secret_of, shown
from gateway.methods.location import Location, parse
from gateway.methods.outbound import Outbound
from gateway.methods.refusals import Answered
from gateway.methods.rules import FetchRules
from gateway.methods.sources import Buckets
from gateway.model.errors import BadRequest, SourceRefused
from gateway.model.image import Move, Status
from gateway.ports import Source, SourceRequest, Target

if TYPE_CHECKING:
    from obstore.store import S3Config

_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+)", re.S)
_LONGEST_KEY = 1024
_LONGEST_SIGNED = 7 * 24 * 3600


class S3Download:
    """The `gateway.ports.Method` over the guarded fetch and the operator's object stores."""

    name = "s3-download"
    starts_from = Status.QUEUED
    move = Move.IMPORT_SOURCE

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        """Raises BadRequest: `uri-missing`, `bad-uri`, `unknown-source`, `bad-credential`."""
        uri = method.get("uri")
        if not isinstance(uri, str) or not uri:
            raise BadRequest(
                f"The import method {self.name} needs a 'uri' that is a string.", remedy=_SEND, code="uri-missing"
            )
        bucket, key = _object(uri)
        source, credential = self._source(method.get("source")), asked(method)
        location = _location(self._rules.buckets[source], bucket, key)
        return SourceRequest(
            facts={
                "request.host": location.host,
                "request.scheme": location.scheme,
                "request.port": location.port,
                "request.path": location.path,
                "request.credential": credential,
            },
            shown={"name": self.name, "uri": uri, "source": source, **shown(credential)},
            secret={"bucket": bucket, "key": key, "source": source, "credential": credential},
        )

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> Source:
        source, bucket, key = secret["source"], secret["bucket"], secret["key"]
        place = self._rules.buckets.get(source)
        if place is None:
            raise SourceRefused(
                f"There is no object store '{source}' any more.", remedy=_known(self._rules), code="unknown-source"
            )
        location = _location(place, bucket, key)
        if secret["credential"]:
            location = self._signed(place, location, bucket, key, secret["credential"])
        endpoint = (place.endpoint.host, place.endpoint.port)
        outbound = Outbound(replace(self._rules, trusted=(endpoint,), max_redirects=0))
        try:
            return outbound.open(location, max_size=max_size, check=check)
        except Answered as refusal:
            raise _refused(refusal, location) from None

    def _source(self, named: object) -> str:
        known = self._rules.buckets
        if named is None and len(known) == 1:
            return next(iter(known))
        if not isinstance(named, str) or named not in known:
            raise BadRequest(
                "The import method s3-download needs a 'source' that is one of this site's object stores.",
                remedy=_known(self._rules),
                code="unknown-source",
            )
        return named

    def _signed(self, place: Buckets, location: Location, bucket: str, key: str, name: str) -> Location:
        """The same with a signature in its query, good for as long as a fetch may take. Nothing is contacted."""
        from obstore import sign  # for closed buckets alone
        from obstore.store import S3Store

        credential = bound(self._rules.credentials, name, location, "s3")
        said: S3Config = {
            "endpoint": place.endpoint.origin + place.endpoint.path.rstrip("/"),
            "region": place.region,
            "access_key_id": credential.user,
            "secret_access_key": secret_of(name, credential),
            "virtual_hosted_style_request": False,
        }
        if credential.session_token:
            said["session_token"] = credential.session_token
        store = S3Store(bucket, config=said, client_options={"allow_http": True})
        seconds = min(int(self._rules.deadlines.total) + 60, _LONGEST_SIGNED)
        signed = parse(sign(store, "GET", key, timedelta(seconds=seconds)))
        if signed.shown != location.shown:
            raise SourceRefused(
                f"The key of {location.shown} cannot be signed as it is.", remedy=_PLAIN, code="bad-uri"
            )
        return signed


_SEND = 'Send {"method": {"name": "s3-download", "uri": "s3://BUCKET/KEY"}}.'
_PLAIN = "Give the object a key without empty parts, '.' and '..'."


def _known(rules: FetchRules) -> str:
    return f"There are: {', '.join(sorted(rules.buckets))}."


def _object(uri: str) -> tuple[str, str]:
    parts = _URI.fullmatch(uri)
    if parts is None:
        _bad(f"{uri[:200]!r} names no bucket and key.", _SEND)
    key = parts["key"]
    if len(key.encode("utf-8", "replace")) > _LONGEST_KEY or not key.isprintable():
        _bad("The key is too long, or holds characters that cannot be shown.", _PLAIN)
    if any(part in ("", ".", "..") for part in key.split("/")):
        _bad("The key has an empty part, '.' or '..' between its slashes.", _PLAIN)
    return parts["bucket"], key


def _bad(message: str, remedy: str) -> NoReturn:
    raise BadRequest(message, remedy=remedy, code="bad-uri")


def _location(place: Buckets, bucket: str, key: str) -> Location:
    """Where an object is, the bucket in the path: every service understands that, and one certificate is enough."""
    return parse(f"{place.endpoint.origin}{place.endpoint.path.rstrip('/')}/{bucket}/{quote(key, safe='/~')}")


def _refused(refusal: Answered, location: Location) -> SourceRefused:
    """By S3's statuses; redirects tell that a bucket is in another region than the request was signed for."""
    what = f"The object {location.shown}"
    if refusal.answered in (401, 403):
        return refusals.forbidden(what)
    if refusal.answered == 404:
        return refusals.missing(what)
    if refusal.answered in (301, 302, 307, 308):
        remedy = "Choose the source of the bucket's own region."
        return SourceRefused(f"{what} is in another region.", remedy=remedy, code="source-elsewhere")
    return refusal
