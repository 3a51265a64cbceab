"""Keystone's Identity API v3, called as the gateway's own user.

Keystone being away, slow, broken or unwilling is Unavailable (503), never a reason to call somebody's token wrong.
What went wrong in detail is the operator's, and goes to the log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from gateway.identity.keystone_token import Token, is_sendable, read_tags, read_token
from gateway.identity.remembered import Remembered
from gateway.model.errors import BadRequest, Unavailable

log = logging.getLogger("gateway.identity")

T = TypeVar("T")

LONGEST_ANSWER = 1 << 20
MARGIN_SECONDS = 60.0
REFUSED_SECONDS = 5.0
MOST_CONNECTIONS = 32
KEEP_SECONDS = 2.0
"""Shorter than any server's own patience: a connection that ends as we use it would be a needless 503."""

# Without the second, Keystone takes a token with access rules for an invalid one: the caller could not enforce them.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "OpenStack-Identity-Access-Rules": "1.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where Keystone is and who the gateway is there. `url` ends in /v3; `timeout` is seconds for one exchange.

    Domains are given by name. `project` None: the user acts for the whole system.
    """

    url: str
    username: str
    password: str = field(repr=False)
    user_domain: str
    project: str | None
    project_domain: str
    timeout: float
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class OwnToken:
    """The gateway's own token; None where Keystone would not give one."""

    id: str | None


class Keystone:
    """`now` gives aware UTC, `monotonic` seconds. Every call raises Unavailable."""

    def __init__(self, account: Account, *, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._account = account
        self._now = now
        self._own: Remembered[None, OwnToken] = Remembered(monotonic)
        self._client = httpx.AsyncClient(
            verify=_certificates(account.ca_file),
            headers=_HEADERS,
            timeout=account.timeout,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=KEEP_SECONDS),
            trust_env=False,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def own_token(self) -> str:
        """The gateway's own token, to be shown to services that trust the same Keystone."""
        return (await self._own_token()).id or ""

    async def token(self, token: str, *, allow_expired: bool) -> Token | None:
        """What a token says; None for one that is not valid. `allow_expired` asks for tokens that have run out too."""
        query = "?nocatalog&allow_expired=1" if allow_expired else "?nocatalog"
        return _read(read_token, await self._get(f"/auth/tokens{query}", {"X-Subject-Token": token}))

    async def tags(self, project_id: str) -> tuple[str, ...] | None:
        """The tags of a project; None where there is no such project any more."""
        return _read(read_tags, await self._get(f"/projects/{quote(project_id, safe='')}", {}))

    async def _get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """A 401 is about our own token: it was revoked, or its keys were rotated away. A new one is tried once."""
        own = await self._own_token()
        answer = await self._exchange("GET", path, {**headers, "X-Auth-Token": own.id or ""})
        if answer.status == 401:
            self._own.forget(None, own)
            own = await self._own_token()
            answer = await self._exchange("GET", path, {**headers, "X-Auth-Token": own.id or ""})
        if answer.status in (401, 403):
            raise _unwilling(f"user {self._account.username!r} may not GET {path} ({answer.status})")
        return answer

    async def _own_token(self) -> OwnToken:
        own = await self._own.get(None, self._log_in)
        if own.id is None:
            raise _unwilling(f"the login of user {self._account.username!r} was refused")
        return own

    async def _log_in(self) -> tuple[OwnToken, float]:
        """A refusal holds for some seconds: hammering on would lock the user out where Keystone counts failures."""
        answer = await self._exchange("POST", "/auth/tokens?nocatalog", {}, json=_login(self._account))
        if answer.status in (400, 401, 403, 404):
            return OwnToken(None), REFUSED_SECONDS
        token = _read(read_token, answer)
        own = answer.headers.get("x-subject-token", "")
        if token is None or not is_sendable(own):
            raise _away(f"a login without a token ({answer.status})")
        left = (token.expires_at - self._now()).total_seconds()
        return OwnToken(own), left - min(MARGIN_SECONDS, left / 4)

    async def _exchange(self, verb: str, path: str, headers: Mapping[str, str], **more: Any) -> Answer:
        """One request and its whole answer, within the account's timeout."""
        try:
            async with (
                asyncio.timeout(self._account.timeout),
                self._client.stream(verb, self._account.url + path, headers=dict(headers), **more) as response,
            ):
                return Answer(response.status_code, response.headers, await _body(response))
        except TimeoutError:
            raise _away(f"{verb} {path} took over {self._account.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _away(f"{verb} {path}: {type(error).__name__} {error}") from None


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise _away(f"an answer longer than {LONGEST_ANSWER} bytes")
    return bytes(body)


def _read(reader: Callable[[Any], T], answer: Answer) -> T | None:
    """The answer as a value; None for 404. Raises Unavailable for every other status and for garbled bodies."""
    if answer.status == 404:
        return None
    if answer.status not in (200, 201):
        raise _away(f"status {answer.status}")
    try:
        return reader(json.loads(answer.body))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _away(f"an answer of another shape ({type(error).__name__})") from None


def _login(account: Account) -> dict[str, Any]:
    user = {"name": account.username, "domain": {"name": account.user_domain}, "password": account.password}
    project = {"project": {"name": account.project, "domain": {"name": account.project_domain}}}
    scope = project if account.project is not None else {"system": {"all": True}}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}


def _certificates(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise BadRequest(
            f"The certificates of identity.keystone.ca_file {ca_file} cannot be read: {error}.",
            remedy="Name a file of PEM certificates, or leave the key out.",
        ) from None


def _away(what: str) -> Unavailable:
    log.warning("keystone is away: %s", what)
    return Unavailable(
        "The identity service of this cloud does not answer, so your token cannot be checked.",
        remedy="Nothing is known to be wrong with your token. Try again in a few seconds.",
        code="identity-away",
    )


def _unwilling(what: str) -> Unavailable:
    log.error("keystone refuses the gateway: %s", what)
    return Unavailable(
        "The identity service of this cloud refuses to check tokens for this service.",
        remedy="Nothing is known to be wrong with your token. Tell the operators of your cloud.",
        code="identity-refuses",
    )
