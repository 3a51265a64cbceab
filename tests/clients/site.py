"""One running service with its users, as clients are told about it, and a look at what they send."""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cli.running import environment
from tests.cli.service import eventually
from tests.clients.gate import Gate
from tests.serving.backing import held
from tests.serving.process import LONGEST

PASSWORD = "demo"
USERS = ("stranger", "silver", "gold", "admin")
NO_UPLOADS = "Uploads are closed to this project."
NO_DOWNLOADS = "Downloads are closed to this project."
RAW = {"disk_format": "raw", "container_format": "bare"}


@dataclass(frozen=True)
class Site:
    """`sources` is the URL of a web server over the folder `web`, which imports may fetch from; so is the `gate`."""

    url: str
    home: Path
    web: Path
    sources: str
    gate: Gate

    def user(self, name: str = "gold") -> User:
        return user_of(self.url, name)

    def blobs(self) -> set[str]:
        """The names of everything the store holds, finished or not."""
        return set(held(self.home / "data").sizes())


@dataclass(frozen=True)
class User:
    """Plain requests as one user, for what clients do not show."""

    http: httpx.Client

    def create(self, **values: Any) -> str:
        return str(self.http.post("/v2/images", json={**RAW, **values}).raise_for_status().json()["id"])

    def stage(self, image: str, content: bytes) -> httpx.Response:
        return self.put(f"/v2/images/{image}/stage", content)

    def save(self, image: str, content: bytes) -> httpx.Response:
        return self.put(f"/v2/images/{image}/file", content)

    def put(self, path: str, content: bytes) -> httpx.Response:
        return self.http.put(path, content=content, headers={"Content-Type": "application/octet-stream"})

    def start(self, image: str, method: str = "glance-direct", **options: Any) -> httpx.Response:
        return self.http.post(f"/v2/images/{image}/import", json={"method": {"name": method, **options}})

    def show(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v2/images/{image}").raise_for_status().json()
        return found

    def file(self, image: str, **headers: str) -> httpx.Response:
        return self.http.get(f"/v2/images/{image}/file", headers=headers)

    def task(self, image: str) -> dict[str, Any]:
        """The image's newest import."""
        tasks = self.http.get(f"/v2/images/{image}/tasks").raise_for_status().json()["tasks"]
        found: dict[str, Any] = tasks[0]
        return found

    def ended(self, image: str, seconds: float = LONGEST) -> dict[str, Any]:
        """The image's newest import, once it has ended."""
        task: dict[str, Any] = eventually(
            lambda: found if (found := self.task(image))["status"] in ("success", "failure") else None, seconds
        )
        return task

    def reaches(self, image: str, status: str, seconds: float = LONGEST) -> dict[str, Any]:
        """The image, once it has the status."""
        found: dict[str, Any] = eventually(
            lambda: image_now if (image_now := self.show(image))["status"] == status else None, seconds
        )
        return found

    def error(self, answer: httpx.Response) -> dict[str, Any]:
        """What a refusal says: every one has a message for people and a code for programs."""
        said: dict[str, Any] = answer.json()["error"]
        assert said["message"]
        assert said["code"] == answer.status_code
        return said


def user_of(url: str, name: str = "gold") -> User:
    return User(httpx.Client(base_url=url, auth=(name, PASSWORD), trust_env=False, timeout=LONGEST))


def settings(folder: Path, fetch: Mapping[str, Any], **more: Any) -> Path:
    """A settings file over a policy tree that trusts everybody, but for one method each of two projects."""
    (folder / "policies").mkdir()
    rules = [
        {"id": "everything", "allow": "all"},
        {"id": "real-images", "require": "all", "stages": ["inspect"]},
        {"id": "size", "limit": "all", "within": {"max_size": "64MiB"}},
        {"id": "up", "deny": ["glance-direct"], "for": {"projects": ["demo-silver"]}, "message": NO_UPLOADS},
        {"id": "down", "deny": ["web-download"], "for": {"projects": ["demo-stranger"]}, "message": NO_DOWNLOADS},
    ]
    (folder / "policies" / "clients.yaml").write_text(json.dumps({"version": 1, "policy": "clients", "rules": rules}))
    file = folder / "gateway.yaml"
    file.write_text(json.dumps({"policy": {"directory": "policies"}, "fetch": fetch, **more}))
    return file


def clouds(folder: Path, url: str) -> None:
    """The clouds.yaml of a standalone service, one cloud a user."""
    entries = {
        user: {
            "auth_type": "http_basic",
            "auth": {"username": user, "password": PASSWORD, "endpoint": url},
            "image_endpoint_override": url,
        }
        for user in USERS
    }
    (folder / "clouds.yaml").write_text(json.dumps({"clouds": entries}))


def program(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """A client's own program, as installed, in the site's folder. Its input is a terminal, as a user's is."""
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    terminal, end = os.openpty()
    try:
        return subprocess.run(
            command, cwd=site.home, env=environment(site.home), stdin=end, capture_output=True, text=True, timeout=60
        )
    finally:
        os.close(terminal)
        os.close(end)


class Relay:
    """Passes bytes on to the service unchanged, and keeps the request lines it saw."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._sent = bytearray()

    def keep(self, chunk: bytes) -> None:
        self._sent += chunk

    @property
    def requests(self) -> list[str]:
        """`PUT /v2/images/ID/file`, in the order they came; ids are left out."""
        lines = re.findall(rb"((?:GET|PUT|POST|PATCH|DELETE) /\S*) HTTP/1\.1\r\n", self._sent)
        return [re.sub(r"[0-9a-f-]{36}", "ID", line.decode()) for line in lines]


@contextmanager
def relayed(url: str) -> Iterator[Relay]:
    """A Relay before the service at `url`."""
    target = httpx.URL(url)
    relay = Relay(url)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((target.host, target.port or 80)) as service:
                back = threading.Thread(target=_pump, args=(service, self.request))
                back.start()
                _pump(self.request, service, relay.keep)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        relay.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()


def _pump(source: socket.socket, sink: socket.socket, keep: Any = lambda chunk: None) -> None:
    """Until either side closes; the end is passed on."""
    try:
        while chunk := source.recv(65536):
            keep(chunk)
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other direction has ended the connection
