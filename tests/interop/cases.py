"""What an image service alone takes, and the gateway in front of it refuses by name. Refused bytes never reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import openstack

from tests.images import sound
from tests.images.hostile import backed_qcow2
from tests.interop.cloud import PASSWORD, USERS
from tests.interop.keystone import REGION
from tests.interop.report import Outcome

PATIENCE = 60
OCTETS = {"Content-Type": "application/octet-stream"}
MARK = b"only the refused images have this" * 4


@dataclass(frozen=True, slots=True)
class User:
    """One user's calls to one image service."""

    http: httpx.Client
    web_image: str

    def image(self, disk: str, container: str) -> str:
        made = self.http.post("/v2/images", json={"name": "case", "disk_format": disk, "container_format": container})
        return str(made.raise_for_status().json()["id"])

    def uploads(self, disk: str, container: str, content: bytes) -> str:
        """Empty where it is taken; else what the refusal says."""
        image = self.image(disk, container)
        return _said(self.http.put(f"/v2/images/{image}/file", content=content, headers=OCTETS))

    def imports(self, disk: str, container: str, content: bytes) -> str:
        """The same by stage and import; a refusal may come at either."""
        image = self.image(disk, container)
        staged = self.http.put(f"/v2/images/{image}/stage", content=content, headers=OCTETS)
        return _said(staged) or self.asks(image, {"name": "glance-direct"})

    def downloads(self) -> str:
        return self.asks(self.image("qcow2", "bare"), {"name": "web-download", "uri": self.web_image})

    def asks(self, image: str, method: Mapping[str, str]) -> str:
        started = self.http.post(f"/v2/images/{image}/import", json={"method": method})
        return _said(started) or self.fails(image)

    def fails(self, image: str) -> str:
        """Empty once the image is active; what its task says once it is queued again."""
        end = monotonic() + PATIENCE
        while monotonic() < end:
            shown = self.http.get(f"/v2/images/{image}").raise_for_status().json()
            if shown["status"] == "active":
                return ""
            tasks = self.http.get(f"/v2/images/{image}/tasks").json()["tasks"]
            if failed := [task["message"] for task in tasks if task["status"] == "failure"]:
                return str(failed[0])
            sleep(0.2)
        return "nothing came of it"


@dataclass(frozen=True, slots=True)
class Case:
    """`wanted` is part of what the gateway's refusal says."""

    name: str
    user: str
    act: Callable[[User], str]
    wanted: str


CASES = (
    Case(
        "a qcow2 with a backing file as ovf", "alice",
        lambda user: user.uploads("qcow2", "ovf", backed_qcow2() + MARK), "backing file",
    ),
    Case(
        "the same by stage and import", "alice",
        lambda user: user.imports("qcow2", "ovf", backed_qcow2() + MARK), "backing file",
    ),
    Case(
        "a qcow2 that says it is raw", "alice",
        lambda user: user.uploads("raw", "bare", sound.qcow2() + MARK), "qcow2",
    ),
    Case("web-download in a project that may only upload", "carol", lambda user: user.downloads(), "web-download"),
    Case("web-download by http in a project that needs https", "dave", lambda user: user.downloads(), "http"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Both:
    """The image service, and the gateway in front of it. `kept` are the folders where the service has bytes."""

    auth_url: str
    alone: str
    front: str
    web_image: str
    kept: tuple[Path, ...]

    def run(self) -> Iterator[Outcome]:
        """In front first, so that whatever the service has of such bytes came through the gateway."""
        refused = {case: case.act(self._user(case, self.front)) for case in CASES}
        untouched = not self._reached()
        for case, said in refused.items():
            alone = case.act(self._user(case, self.alone))
            print(f"{case.name}\n  alone:    {alone or 'not refused'}\n  in front: {said or 'not refused'}", flush=True)
            yield Outcome(case.name, "passed" if case.wanted in said else "failed", said)
        yield Outcome("refused bytes never reached the service", "passed" if untouched else "failed")
        yield Outcome("they do where nothing is in front", "passed" if self._reached() else "failed")

    def _reached(self) -> bool:
        return any(holds(folder, MARK) for folder in self.kept)

    def _user(self, case: Case, url: str) -> User:
        auth: dict[str, Any] = {"auth_url": self.auth_url, "username": case.user, "password": PASSWORD}
        auth |= {"project_name": USERS[case.user], "user_domain_id": "default", "project_domain_id": "default"}
        token = openstack.connect(load_yaml_config=False, load_envvars=False, auth=auth, region_name=REGION).auth_token
        headers = {"X-Auth-Token": str(token)}
        return User(httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=PATIENCE), self.web_image)


def holds(folder: Path, content: bytes) -> bool:
    """Whether any file below the folder has these bytes in it."""
    return any(content in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _said(answer: httpx.Response) -> str:
    if answer.status_code < 300:
        return ""
    error = answer.json()["error"] if answer.headers["content-type"].startswith("application/json") else {}
    return f"{answer.status_code} {error.get('message', answer.text)}"
