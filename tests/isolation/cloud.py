"""The real service with three projects, and in each an admin, a member and a reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import httpx

from tests.isolation.rules import PROJECTS, ROLES, User
from tests.served import served
from tests.serving.process import LONGEST

PATCH = "application/openstack-images-v2.1-json-patch"
OCTETS = "application/octet-stream"
USERS = tuple(User(project, role) for project in PROJECTS for role in ROLES)
_GRANTED = {"admin": ["admin", "member", "reader"], "member": ["member", "reader"], "reader": ["reader"]}
_POLICY = {"version": 1, "policy": "open", "rules": [{"id": "everything", "allow": "all"}]}


@dataclass(frozen=True)
class Cloud:
    """Plain requests as one of the users."""

    clients: dict[User, httpx.Client]

    def ask(self, user: User, verb: str, path: str, **more: Any) -> httpx.Response:
        answer = self.clients[user].request(verb, f"/v2/images{path}", **more)
        assert answer.status_code < 500, f"{verb} {path} as {user}: {answer.text}"
        return answer

    def patch(self, user: User, image: str, field: str, value: object) -> httpx.Response:
        body = json.dumps([{"op": "replace", "path": f"/{field}", "value": value}])
        return self.ask(user, "PATCH", f"/{image}", content=body, headers={"Content-Type": PATCH})

    def put(self, user: User, path: str, content: bytes) -> httpx.Response:
        return self.ask(user, "PUT", path, content=content, headers={"Content-Type": OCTETS})

    def listed(self, user: User, query: dict[str, str]) -> list[str]:
        """The ids of a whole list, page by page, in its order."""
        found: list[str] = []
        link: str | None = str(httpx.URL("/v2/images", params=query))
        while link is not None:
            answer = self.clients[user].get(link)
            assert answer.status_code == 200, f"GET {link} as {user}: {answer.text}"
            page = answer.json()
            found += [image["id"] for image in page["images"]]
            link = page.get("next")
        return found


@contextmanager
def cloud(home: Path) -> Iterator[Cloud]:
    with served(home, "--config", str(_settings(home)), "--data", str(home / "data")) as url, ExitStack() as stack:
        yield Cloud({user: stack.enter_context(_client(url, user)) for user in USERS})


def _client(url: str, user: User) -> httpx.Client:
    return httpx.Client(base_url=url, auth=(str(user), "secret"), trust_env=False, timeout=LONGEST)


def _settings(home: Path) -> Path:
    """bcrypt's lowest cost: what is tested is not how slow a password is to guess."""
    (home / "policies").mkdir()
    (home / "policies" / "open.yaml").write_text(json.dumps(_POLICY))
    secret = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (home / "htpasswd").write_text("".join(f"{user}:{secret}\n" for user in USERS))
    users = {str(user): {"project": {"id": user.project}, "roles": _GRANTED[user.role]} for user in USERS}
    identity = {"type": "basic", "htpasswd": str(home / "htpasswd"), "users": users}
    file = home / "gateway.yaml"
    file.write_text(json.dumps({"policy": {"directory": "policies"}, "identity": identity}))
    return file
