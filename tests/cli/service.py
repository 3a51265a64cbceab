"""The real service as a process, and a web server to fetch from."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.served import served
from tests.serving.process import LONGEST


class Gateway:
    """A running service and one of its users."""

    def __init__(self, url: str, user: str) -> None:
        self.url = url
        self.user = user
        self.http = httpx.Client(base_url=url, auth=(user, "demo"), trust_env=False, timeout=LONGEST)

    def images(self) -> list[dict[str, Any]]:
        """What this user's own project holds."""
        found: list[dict[str, Any]] = self.http.get("/v2/images").raise_for_status().json()["images"]
        return [image for image in found if image["owner"] == f"demo-{self.user}"]

    def options(self) -> tuple[str, ...]:
        return ("--url", self.url, "--user", self.user, "--password", "demo")


def gateway(home: Path, *arguments: str) -> AbstractContextManager[str]:
    """`import-gateway serve --demo ARGUMENTS` on a free port; gives its URL."""
    return served(home, "--demo", *arguments)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """A web server over a folder, on loopback; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings_for(folder: Path, port: int) -> Path:
    """Settings that open loopback and `port` for imports, with a policy tree that trusts everybody."""
    rules = [{"id": "all", "allow": "all"}, {"id": "real", "require": "all", "stages": ["inspect"]}]
    small = {"id": "small", "limit": "all", "within": {"max_size": "40GiB"}, "for": {"projects": ["demo-gold"]}}
    tiny = {"id": "tiny", "limit": "all", "within": {"max_size": "1MiB"}, "for": {"projects": ["demo-stranger"]}}
    uploads = {"id": "no-web", "deny": ["web-download"], "for": {"projects": ["demo-stranger"]}, "message": "No web."}
    policies = folder / "policies"
    policies.mkdir()
    tree = {"version": 1, "policy": "test", "rules": [*rules, small, tiny, uploads]}
    (policies / "test.yaml").write_text(json.dumps(tree))
    file = folder / "gateway.yaml"
    fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [port]}
    file.write_text(json.dumps({"policy": {"directory": "policies"}, "fetch": fetch}))
    return file


def eventually(holds: Callable[[], Any], seconds: float = LONGEST) -> Any:
    """Asks until the answer is true; a failure after `seconds`."""
    end = monotonic() + seconds
    while not (answer := holds()):
        assert monotonic() < end, "it did not happen"
        sleep(0.02)
    return answer
