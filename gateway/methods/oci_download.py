"""oci-download: one layer of an OCI artifact, `{"name": "oci-download", "uri": "oci://REGISTRY/REPOSITORY:TAG"}`.

The layer is known by its digest and size before its first byte, and its bytes are held to both. With `@sha256:...`
instead of a tag the manifest is held to its digest too, so the reference alone says which bytes they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from gateway.methods.artifact import (
    Descriptor,
    Wanted,
    check_digest,
    chosen_layer,
    chosen_manifest,
    is_digest,
    is_index,
    read_manifest,
)
from gateway.methods.credentials import asked, shown
from gateway.methods.location import Location, parse
from gateway.methods.outbound import Outbound
from gateway.methods.refusals import over_limit
from gateway.methods.registry import Repository
from gateway.methods.rules import FetchRules
from gateway.model.errors import BadRequest
from gateway.model.image import Move, Status
from gateway.ports import Description, Source, SourceRequest, Target

_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_URI = re.compile(
    rf"oci://(?P<registry>[^/?#\s]+)/(?P<repository>{_NAME}(?:/{_NAME})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]+))?"
)
_LONGEST = 1024
_CHOICES = ("title", "media_type", "platform")


class OciDownload:
    """The `gateway.ports.Method`, and `Describes`, over the guarded fetch."""

    name = "oci-download"
    starts_from = Status.QUEUED
    move = Move.IMPORT_SOURCE

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules
        self._outbound = Outbound(rules)

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        """Raises BadRequest: `uri-missing`, `bad-uri`, `bad-credential`, or `source-refused` as a web-download does."""
        uri = method.get("uri")
        if not isinstance(uri, str) or not uri:
            raise BadRequest(
                f"The import method {self.name} needs a 'uri' that is a string.", remedy=_SEND, code="uri-missing"
            )
        place, reference = self._place(uri)
        self._outbound.admit(place)
        choices = {key: _choice(method, key) for key in _CHOICES if key in method}
        credential = asked(method)
        return SourceRequest(
            facts={
                "request.host": place.host,
                "request.scheme": place.scheme,
                "request.port": place.port,
                "request.path": f"{place.path}/manifests/{reference}",
                "request.credential": credential,
            },
            shown={"name": self.name, "uri": uri, **choices, **shown(credential)},
            secret={"artifact": uri, "credential": credential, **choices},
        )

    def describe(self, secret: Mapping[str, str], *, check: Callable[[Target], None]) -> Description:
        _, layer = self._layer(secret, check)
        return Description(expected={layer.algorithm: layer.hexadecimal}, size=layer.size)

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> Source:
        """The manifest is asked for again: what happened since the import was described, it tells."""
        repository, layer = self._layer(secret, check)
        place, _ = self._place(secret["artifact"])
        if max_size is not None and layer.size > max_size:
            raise over_limit(place, max_size)
        return repository.blob(layer, max_size)

    def _layer(self, secret: Mapping[str, str], check: Callable[[Target], None]) -> tuple[Repository, Descriptor]:
        uri = secret["artifact"]
        place, reference = self._place(uri)
        repository = Repository(self._rules, self._outbound, place, secret["credential"], check)
        wanted = Wanted(**{key: secret[key] for key in _CHOICES if key in secret})
        content = repository.manifest(reference)
        if is_digest(reference):
            check_digest(content, reference, uri)
        manifest = read_manifest(content, uri)
        if is_index(manifest):
            found = chosen_manifest(manifest, wanted, uri)
            content = repository.manifest(found.digest)
            check_digest(content, found.digest, uri)
            manifest = read_manifest(content, uri)
        return repository, chosen_layer(manifest, wanted, uri)

    def _place(self, uri: str) -> tuple[Location, str]:
        """Where the repository is, and the tag or digest. Raises BadRequest."""
        parts = _URI.fullmatch(uri) if len(uri) <= _LONGEST else None
        if parts is None:
            _bad(f"{uri[:200]!r} names no artifact of a registry.")
        if parts["digest"] and not is_digest(parts["digest"]):
            _bad("The digest is none of sha256 or sha512.")
        place = parse(f"https://{parts['registry']}/v2/{parts['repository']}")
        if self._rules.source(place.host).plain_http:
            place = parse(f"http://{parts['registry']}/v2/{parts['repository']}")
        return place, parts["digest"] or parts["tag"] or "latest"


_SEND = (
    'Send {"method": {"name": "oci-download", "uri": "oci://REGISTRY/REPOSITORY:TAG"}}, or with @sha256:... at its end.'
)


def _bad(message: str) -> NoReturn:
    raise BadRequest(message, remedy=_SEND, code="bad-uri")


def _choice(method: Mapping[str, object], key: str) -> str:
    value = method[key]
    if not isinstance(value, str) or not value or len(value) > 255 or not value.isprintable():
        raise BadRequest(f"'{key}' of the method {OciDownload.name} has to be a short text.", code="bad-choice")
    return value
