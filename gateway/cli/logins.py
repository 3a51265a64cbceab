"""How a client proves who it is: one function for each `auth_type` of clouds.yaml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from gateway.cli.clouds import Cloud
from gateway.cli.keystone import keystone_login
from gateway.model.errors import BadRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where the image service is, and how to be somebody there."""

    endpoint: str
    auth: httpx.Auth | Callable[[httpx.Request], httpx.Request] | None = None
    verify: bool | str = True


def direct(url: str, user: str | None, password: str) -> Login:
    """A service named by its URL, with HTTP Basic or as nobody in particular."""
    return Login(endpoint=url, auth=httpx.BasicAuth(user, password) if user is not None else None)


def login_to(cloud: Cloud) -> Login:
    """Raises BadRequest for an auth_type this client lacks or an entry that misses a key, else as the login does."""
    known = LOGINS.get(cloud.auth_type)
    if known is None:
        raise BadRequest(
            f"Cloud {cloud.name!r} has auth_type {cloud.auth_type!r}, which this client does not know.",
            remedy=f"Use one of {', '.join(sorted(LOGINS))}.",
        )
    return known(cloud)


def _http_basic(cloud: Cloud) -> Login:
    auth = httpx.BasicAuth(_needed(cloud, "username"), _needed(cloud, "password"))
    return Login(endpoint=_endpoint(cloud), auth=auth, verify=cloud.verify)


def _none(cloud: Cloud) -> Login:
    return Login(endpoint=_endpoint(cloud), verify=cloud.verify)


def _admin_token(cloud: Cloud) -> Login:
    token = _needed(cloud, "token")
    return Login(endpoint=_endpoint(cloud), auth=_with_token(token), verify=cloud.verify)


def _keystone(cloud: Cloud) -> Login:
    endpoint, auth = keystone_login(cloud)
    return Login(endpoint=endpoint, auth=auth, verify=cloud.verify)


LOGINS: Mapping[str, Callable[[Cloud], Login]] = {
    "none": _none,
    "http_basic": _http_basic,
    "admin_token": _admin_token,
    "password": _keystone,
    "v3password": _keystone,
    "v3applicationcredential": _keystone,
}


def _with_token(token: str) -> Callable[[httpx.Request], httpx.Request]:
    def send(request: httpx.Request) -> httpx.Request:
        request.headers["X-Auth-Token"] = token
        return request

    return send


def _endpoint(cloud: Cloud) -> str:
    override = cloud.settings.get("image_endpoint_override")
    return str(override or _needed(cloud, "endpoint"))


def _needed(cloud: Cloud, key: str) -> str:
    value = cloud.auth.get(key) or cloud.settings.get(key)
    if not isinstance(value, str):
        raise BadRequest(
            f"Cloud {cloud.name!r} has no auth.{key}, which auth_type {cloud.auth_type!r} needs.",
            remedy="Add it to clouds.yaml (or secure.yaml).",
        )
    return value
