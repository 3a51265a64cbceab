"""Log in at Keystone v3 and find the image service in its catalog (Identity API v3, POST /v3/auth/tokens)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import httpx

from gateway.cli.clouds import Cloud
from gateway.model.errors import BadRequest, NotAuthenticated, NotFound, Unavailable

_DOMAIN_KEYS = {"user": "user_domain", "project": "project_domain"}


class TokenAuth(httpx.Auth):
    """Sends a token, and gets a new one once where the service no longer takes it: uploads can outlive a token."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.catalog: list[Mapping[str, Any]] = []
        self._token = ""
        self.renew()

    def renew(self) -> None:
        """Raises NotAuthenticated for wrong credentials, Unavailable where Keystone is away."""
        self._token, self.catalog = _new_token(self._cloud)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["X-Auth-Token"] = self._token
        response = yield request
        if response.status_code == 401:
            self.renew()
            request.headers["X-Auth-Token"] = self._token
            yield request


def keystone_login(cloud: Cloud) -> tuple[str, TokenAuth]:
    """The image service's endpoint, and the auth to send there."""
    auth = TokenAuth(cloud)
    override = cloud.settings.get("image_endpoint_override")
    return str(override) if override else _image_endpoint(cloud, auth.catalog), auth


def _new_token(cloud: Cloud) -> tuple[str, list[Mapping[str, Any]]]:
    url = _tokens_url(cloud)
    try:
        answer = httpx.post(url, json=_body(cloud), verify=cloud.verify, timeout=30)
    except httpx.TransportError as error:
        raise Unavailable(f"Keystone does not answer at {url}: {error}", remedy="Check auth.auth_url.") from None
    if answer.status_code == 401:
        raise NotAuthenticated(f"Keystone refused the login of cloud {cloud.name!r}.", remedy="Check its `auth` part.")
    if answer.status_code != 201:
        raise Unavailable(f"Keystone answered {answer.status_code} at {url}.", remedy="Check auth.auth_url.")
    return answer.headers["X-Subject-Token"], answer.json()["token"].get("catalog", [])


def _tokens_url(cloud: Cloud) -> str:
    url = str(cloud.auth.get("auth_url", "")).rstrip("/")
    if not url:
        raise BadRequest(f"Cloud {cloud.name!r} has no auth.auth_url.", remedy="Add it to clouds.yaml.")
    return f"{url}/auth/tokens" if url.endswith("/v3") else f"{url}/v3/auth/tokens"


def _body(cloud: Cloud) -> dict[str, Any]:
    if cloud.auth_type == "v3applicationcredential":
        return {"auth": {"identity": _credential(cloud.auth)}}
    user = {**_named(cloud.auth, "user", "user_id", "username"), "password": cloud.auth.get("password", "")}
    body: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    project = _named(cloud.auth, "project", "project_id", "project_name")
    return {"auth": {**body, "scope": {"project": project}} if project else body}


def _credential(auth: Mapping[str, Any]) -> dict[str, Any]:
    credential: dict[str, Any] = {"secret": auth.get("application_credential_secret", "")}
    if "application_credential_id" in auth:
        credential["id"] = auth["application_credential_id"]
    else:
        credential["name"] = auth.get("application_credential_name", "")
        credential["user"] = _named(auth, "user", "user_id", "username")
    return {"methods": ["application_credential"], "application_credential": credential}


def _named(auth: Mapping[str, Any], what: str, id_key: str, name_key: str) -> dict[str, Any]:
    """A user or project as Keystone wants it: by id, or by name within a domain."""
    if id_key in auth:
        return {"id": auth[id_key]}
    if name_key not in auth:
        return {}
    prefix = _DOMAIN_KEYS[what]
    if f"{prefix}_id" in auth:
        return {"name": auth[name_key], "domain": {"id": auth[f"{prefix}_id"]}}
    return {"name": auth[name_key], "domain": {"name": auth.get(f"{prefix}_name", "Default")}}


def _image_endpoint(cloud: Cloud, catalog: list[Mapping[str, Any]]) -> str:
    interface = str(cloud.settings.get("interface", "public")).removesuffix("URL")
    for service in catalog:
        if service.get("type") == "image":
            for endpoint in service.get("endpoints", []):
                if endpoint.get("interface") == interface and cloud.region in (None, endpoint.get("region_id")):
                    return str(endpoint["url"])
    where = f" in region {cloud.region}" if cloud.region else ""
    raise NotFound(
        f"Keystone's catalog has no {interface} image service{where} for cloud {cloud.name!r}.",
        remedy="Set image_endpoint_override in clouds.yaml.",
    )
