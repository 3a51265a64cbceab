"""Asking a registry (OCI distribution specification): manifests, blobs, and the token that it may want first.

What a registry says about where tokens are is as hostile as a redirect: the place is checked like any other, and the
operator's credential goes there only if it belongs there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlencode

from gateway.methods import credentials, refusals
from gateway.methods.artifact import ACCEPT, MAX_MANIFEST, Descriptor
from gateway.methods.fetch import Fetch
from gateway.methods.location import Location, parse
from gateway.methods.outbound import Outbound
from gateway.methods.refusals import Answered
from gateway.methods.rules import FetchRules
from gateway.model.errors import BadRequest, OverLimit, SourceRefused
from gateway.ports import Target

MAX_TOKEN = 64 << 10
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_CHALLENGE = re.compile(r"(?P<scheme>[A-Za-z]+) +(?P<parameters>.*)", re.S)
_PARAMETER = re.compile(r'([A-Za-z_]+)="([^"\\]*)"')


class Repository:
    """One repository of a registry, for one fetch; a token it was given is kept that long.

    Raises SourceRefused, OverLimit, BadRequest, and what `check` raises of a place before it is contacted.
    """

    def __init__(
        self, rules: FetchRules, outbound: Outbound, place: Location, credential: str, check: Callable[[Target], None]
    ) -> None:
        self._rules = rules
        self._outbound = outbound
        self._place = place
        self._credential = credential
        self._check = check
        self._headers: dict[str, str] = {}
        if credential:
            self._show()

    def manifest(self, reference: str) -> bytes:
        """By tag or digest, as the registry has it."""
        try:
            return _whole(self._get(f"manifests/{reference}", MAX_MANIFEST, {"Accept": ACCEPT}))
        except OverLimit:
            raise SourceRefused(
                f"The manifest at {self._place.shown} is larger than {MAX_MANIFEST} bytes.",
                remedy="Push the image as one layer of a small artifact.",
                code="bad-manifest",
            ) from None

    def blob(self, layer: Descriptor, max_size: int | None) -> Fetch:
        return self._get(f"blobs/{layer.digest}", max_size, {}, layer.size)

    def _get(self, what: str, max_size: int | None, headers: Mapping[str, str], size: int | None = None) -> Fetch:
        location = replace(self._place, path=f"{self._place.path}/{what}")
        try:
            return self._open(location, max_size, headers, size)
        except Answered as refusal:
            if not self._asks(refusal) or not self._answer(refusal.challenge):
                raise _refused(refusal, location) from None
        try:
            return self._open(location, max_size, headers, size)
        except Answered as refusal:
            raise _refused(refusal, location) from None

    def _asks(self, refusal: Answered) -> bool:
        """Where a redirect leads to has no say in what is shown."""
        return refusal.answered == 401 and refusal.location.origin == self._place.origin

    def _open(self, location: Location, max_size: int | None, headers: Mapping[str, str], size: int | None) -> Fetch:
        sent = {**headers, **self._headers}
        return self._outbound.open(location, max_size=max_size, check=self._check, expected_size=size, headers=sent)

    def _show(self) -> None:
        """A bearer token is the registry's own; a user and password wait until the registry asks for them."""
        found = credentials.bound(self._rules.credentials, self._credential, self._place, "basic", "bearer")
        if found.kind == "bearer":
            self._headers = credentials.authorization(self._credential, found)

    def _answer(self, challenge: str) -> bool:
        """Be ready to ask again as a 401 wants it (RFC 9110 11.6.1); False where there is nothing more to show."""
        parts = _CHALLENGE.fullmatch(challenge)
        if parts is None or self._headers:
            return False
        if parts["scheme"].lower() == "bearer":
            self._headers = {"Authorization": f"Bearer {self._token(_parameters(parts['parameters']))}"}
        elif parts["scheme"].lower() == "basic" and self._credential:
            self._headers = self._basic(self._place)
        return bool(self._headers)

    def _basic(self, location: Location) -> dict[str, str]:
        found = credentials.bound(self._rules.credentials, self._credential, location, "basic")
        return credentials.authorization(self._credential, found)

    def _token(self, asked: Mapping[str, str]) -> str:
        """From the place the registry names ("Token Authentication"); without a credential one for anybody."""
        place = self._realm(asked.get("realm", ""))
        query = urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
        location = replace(place, query=f"{place.query}{'&' if place.query else '?'}{query}")
        headers = self._basic(location) if self._credential else {}
        try:
            fetch = self._outbound.open(location, max_size=MAX_TOKEN, check=self._check, headers=headers)
            return _token_in(_whole(fetch))
        except (Answered, OverLimit, ValueError) as error:
            raise refusals.forbidden(f"The registry {self._place.origin}") from error

    def _realm(self, text: str) -> Location:
        try:
            location = parse(text)
        except BadRequest as refusal:
            why = f"it sends for a token to what is no address. {refusal.message}"
            raise refusals.refused(self._place, why, "The registry has to be repaired.") from None
        if self._place.scheme == "https" and location.scheme == "http":
            raise refusals.refused(self._place, "it sends for a token to http.", "Use a registry that stays https.")
        return location


def _parameters(text: str) -> dict[str, str]:
    """Of the first challenge, where there are several."""
    return dict(reversed(_PARAMETER.findall(text)))


def _whole(fetch: Fetch) -> bytes:
    try:
        return b"".join(bytes(block) for block in fetch.blocks())
    finally:
        fetch.close()


def _token_in(answer: bytes) -> str:
    """Raises ValueError."""
    try:
        found = json.loads(answer)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError("no token")
    return token


def _refused(refusal: Answered, location: Location) -> SourceRefused:
    if refusal.answered in (401, 403):
        return refusals.forbidden(location.shown)
    return refusals.missing(location.shown) if refusal.answered == 404 else refusal
