"""A gateway in front of another one, which stands for the image service a cloud has already; Keystone is a small one.

The service behind keeps two stores, takes everything, and shows what it was sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cli.service import web
from tests.clients.site import User
from tests.fronting.line import Line, line
from tests.identity.keystone_server import PASSWORD, USER, Clock, Cloud, certify, keystone
from tests.serving.backing import held
from tests.serving.held import Held
from tests.serving.process import Process

PROJECTS = {"bob": "p2", "carol": "p3", "dave": "p4"}
OPEN = ({"id": "everything", "allow": "all"},)
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "size", "limit": "all", "within": {"max_size": "64MiB"}},
    {"id": "uploads-only", "deny": ["web-download"], "for": {"projects": ["p2"]}, "message": "Beta only uploads."},
    {
        "id": "raw-disks",
        "require": "all",
        "for": {"projects": ["p3"]},
        "stages": [{"convert": {"target": "raw"}}, {"inject": {"made_by": "convert"}}],
    },
    {"id": "asked", "require": "all", "for": {"projects": ["p4"]}, "stages": [{"approve": {"by": "admin"}}]},
)


@dataclass(frozen=True)
class Fronted:
    """`behind` and `front` are processes; `line` is between them. `source` is a web server over the folder `web`."""

    cloud: Cloud
    behind: Process
    front: Process
    line: Line
    web: Path
    source: str

    @contextmanager
    def user(self, name: str = "alice", *, alone: bool = False) -> Iterator[User]:
        """alice of project p1, bob of p2, carol of p3, dave of p4, or an admin; `alone` without the gateway."""
        more: dict[str, Any] = {"roles": ("admin", "member", "reader")} if name == "admin" else {}
        more["user"] = {"domain": {"id": "d1", "name": "Corp"}, "id": f"id-of-{name}", "name": name}
        if name in PROJECTS:
            project = PROJECTS[name]
            more["project"] = {"domain": {"id": "d1", "name": "Corp"}, "id": project, "name": f"name-of-{project}"}
        headers = {"X-Auth-Token": self.cloud.issue(f"token-of-{name}", **more)}
        url = self.behind.url if alone else self.front.url
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as http:
            yield User(http)

    def holds(self, content: bytes) -> bool:
        """Whether the service behind has these bytes anywhere."""
        return any(content in path.read_bytes() for path in _files(self.behind.home / "data" / "blobs"))

    @property
    def staged(self) -> Held:
        """What the gateway keeps until it is delivered."""
        return held(self.front.home / "data", "staging")

    def told(self, secret: str) -> list[Path]:
        """The gateway's own files that a secret stands in."""
        return [path for path in _files(self.front.home) if secret.encode() in path.read_bytes()]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@contextmanager
def fronted(home: Path, change: Callable[[dict[str, Any]], None] = lambda settings: None) -> Iterator[Fronted]:
    """Both services, started; `change` is for the settings of the one in front."""
    with ExitStack() as stack:
        cloud = stack.enter_context(keystone(certify(home)))
        cloud.clock, cloud.own_roles = Clock.of_today(), ("service", "admin")
        cloud.projects |= {project: [] for project in PROJECTS.values()}
        folder = home / "web"
        folder.mkdir()
        port = stack.enter_context(web(folder))
        behind = _started(stack, home / "behind", _behind(cloud), OPEN)
        between = stack.enter_context(line(behind.url))
        chosen = _front(cloud, between.url, port)
        change(chosen)
        front = _started(stack, home / "front", chosen, RULES)
        yield Fronted(cloud, behind, front, between, folder, f"http://127.0.0.1:{port}")


def _started(stack: ExitStack, home: Path, chosen: Mapping[str, Any], rules: Any) -> Process:
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "rules.yaml").write_text(json.dumps({"version": 1, "policy": "fronting", "rules": rules}))
    (home / "gateway.yaml").write_text(json.dumps({"policy": {"directory": "policies"}, **chosen}))
    process = Process(home, "--config", str(home / "gateway.yaml"), "--data", str(home / "data"))
    stack.callback(process.kill)
    process.start()
    return process


def _login(cloud: Cloud) -> dict[str, Any]:
    account = {"auth_url": cloud.url, "username": USER, "password": PASSWORD, "ca_file": str(cloud.certificate)}
    return {"type": "keystone", "keystone": account}


def _behind(cloud: Cloud) -> dict[str, Any]:
    return {
        "identity": _login(cloud),
        "stores": [{"name": "fast", "default": True}, {"name": "slow"}],
        "images": {"show_locations": True},
        "imports": {"progress_interval": "50ms"},
    }


def _front(cloud: Cloud, upstream: str, port: int) -> dict[str, Any]:
    return {
        "backend": "glance",
        "upstream": {"endpoint": upstream, "timeout": "2s"},
        "identity": _login(cloud),
        "stores": [{"name": "staging", "default": True}],
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [port]},
        "imports": {"reaper_interval": "1s", "progress_interval": "50ms", "retries": 1, "upload_part": "1MiB"},
    }
