"""What the gateway finds in Keystone: projects, users, roles and the service catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.interop.keystone import ADMIN_PASSWORD, REGION

DOMAIN = "default"
PASSWORD = "interop-user"
USERS = {"alice": "alpha", "bob": "beta", "carol": "gamma", "dave": "delta"}
"""Members, each of a project of its own; what the last two may is less (`policies/projects.yaml`)."""

SERVICE_USER = "gateway"
SERVICE_PROJECT = "service"
SERVICE_ROLES = ("service", "admin")
"""`service` to check tokens, `admin` to read the tags of any project."""

GATEWAY_ALONE = {SERVICE_USER: SERVICE_ROLES}


@dataclass(frozen=True, slots=True)
class Cloud:
    """Keystone's v3 API as its administrator sees it. Every call raises httpx.HTTPStatusError."""

    url: str
    http: httpx.Client

    def ask(self, verb: str, path: str, **sent: Any) -> Any:
        answer = self.http.request(verb, self.url + path, **sent).raise_for_status()
        return answer.json() if answer.content else None

    def make(self, kind: str, **values: Any) -> str:
        """A new resource (`kind` in the singular); gives its id."""
        return str(self.ask("POST", f"/{kind}s", json={kind: values})[kind]["id"])

    def user(self, name: str, project_id: str) -> str:
        return self.make("user", name=name, password=PASSWORD, domain_id=DOMAIN, default_project_id=project_id)

    def grant(self, project_id: str, user_id: str, role: str) -> None:
        found = self.ask("GET", "/roles", params={"name": role})["roles"]
        self.ask("PUT", f"/projects/{project_id}/users/{user_id}/roles/{found[0]['id']}")

    def offer(self, kind: str, name: str, url: str, region: str = REGION) -> None:
        """A service of the catalog, with one endpoint for each interface; one that is there already gets a region."""
        known = self.ask("GET", "/services", params={"type": kind})["services"]
        service = known[0]["id"] if known else self.make("service", type=kind, name=name)
        for interface in ("public", "internal", "admin"):
            self.make("endpoint", service_id=service, interface=interface, region_id=region, url=url)


def administered(url: str) -> Cloud:
    http = httpx.Client(trust_env=False, timeout=60)
    answer = http.post(f"{url}/auth/tokens", json={"auth": _login()}).raise_for_status()
    http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
    return Cloud(url, http)


def seed(
    cloud: Cloud, image_url: str, second_image_url: str, services: Mapping[str, Sequence[str]] = GATEWAY_ALONE
) -> None:
    """The users of services with their roles, the members, and both endpoints of the gateway."""
    service = cloud.make("project", name=SERVICE_PROJECT, domain_id=DOMAIN)
    for name, roles in services.items():
        user = cloud.user(name, service)
        for role in roles:
            cloud.grant(service, user, role)
    for name, project in USERS.items():
        project_id = cloud.make("project", name=project, domain_id=DOMAIN)
        cloud.grant(project_id, cloud.user(name, project_id), "member")
    cloud.offer("image", "import-gateway", image_url)
    cloud.offer("image_remote", "import-gateway-second", second_image_url)


def _login() -> dict[str, Any]:
    domain = {"id": DOMAIN}
    user = {"name": "admin", "domain": domain, "password": ADMIN_PASSWORD}
    return {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "admin", "domain": domain}},
    }
