"""Two ways to a token and the URL it opens: TempAuth's (v1) and Keystone's (Identity API v3)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any

from gateway.stores.exchange import Answer, Exchange
from gateway.stores.place import Login, Place

MARGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """A token, the URL of the account it opens, and until when it is used, in seconds of the monotonic clock."""

    token: str = field(repr=False)
    url: str
    until: float


class NoSession(Exception):
    """A login without success; the message says why. `transient` where the next one may succeed."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


def log_in(exchange: Exchange, place: Place) -> Session:
    """Raises NoSession, OSError for a secret that cannot be read, and what httpcore raises.

    A place's `endpoint` is used instead of the URL that the login tells.
    """
    login = place.login
    if login is None or login.auth_url is None:
        raise NoSession("it has no credentials to log in with")
    if login.kind == "keystone":
        return _keystone(exchange, place, login, login.auth_url)
    return _tempauth(exchange, place, login, login.auth_url)


def _tempauth(exchange: Exchange, place: Place, login: Login, auth_url: str) -> Session:
    headers = {"X-Auth-User": login.user, "X-Auth-Key": login.secret()}
    answer = _accepted(exchange.ask("GET", auth_url, headers))
    token, url = answer.headers.get("x-auth-token"), place.endpoint or answer.headers.get("x-storage-url")
    if not token or not url:
        raise NoSession("the answer has no X-Auth-Token and X-Storage-Url")
    seconds = answer.headers.get("x-auth-token-expires", "")
    return Session(token, url.rstrip("/"), _until(float(seconds) if seconds.isdigit() else inf))


def _keystone(exchange: Exchange, place: Place, login: Login, auth_url: str) -> Session:
    body = json.dumps(_passport(login)).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    answer = _accepted(exchange.ask("POST", f"{auth_url.rstrip('/')}/auth/tokens", headers, body))
    try:
        said = json.loads(answer.body)["token"]
        lasts = datetime.fromisoformat(said["expires_at"]) - datetime.fromisoformat(said["issued_at"])
        url = place.endpoint or next(_endpoints(said["catalog"], place), None)
        token = answer.headers["x-subject-token"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NoSession(f"Keystone's answer has another shape ({type(error).__name__})") from None
    if url is None:
        where = f"interface {place.interface} in {place.region or 'any region'}"
        raise NoSession(f"Keystone's catalog has no object-store on {where}")
    return Session(token, url.rstrip("/"), _until(lasts.total_seconds()))


def _endpoints(catalog: Any, place: Place) -> Iterator[str]:
    for service in catalog:
        for endpoint in service["endpoints"] if service["type"] == "object-store" else ():
            if endpoint["interface"] == place.interface and place.region in (None, endpoint["region"]):
                yield str(endpoint["url"])


def _passport(login: Login) -> Mapping[str, Any]:
    user = {"name": login.user, "domain": {"name": login.user_domain}, "password": login.secret()}
    project = {"name": login.project, "domain": {"name": login.project_domain}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def _accepted(answer: Answer) -> Answer:
    if answer.status not in (200, 201, 204):
        transient = answer.status >= 500 or answer.status == 429
        raise NoSession(f"the login of its user was answered with {answer.status}", transient=transient)
    return answer


def _until(seconds: float) -> float:
    """Tokens are given back a little early, so that none ends between two requests of one put."""
    return time.monotonic() + seconds - min(MARGIN_SECONDS, seconds / 4)
