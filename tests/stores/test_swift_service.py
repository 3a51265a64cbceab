"""The whole service on a Swift store: what users send comes back, and what they delete is gone."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from tests.served import served
from tests.serving import servers
from tests.stores.servers import swift
from tests.stores.servers.swift import Swift, held

CONTENT = os.urandom((5 << 20) + 7)
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def server() -> Swift:
    if not swift.is_ready():
        pytest.skip("Swift is not installed: `make stores` does that")
    running: Swift = servers.server("swift")
    swift.make_container(running, "service")
    return replace(running, container="service")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadingHTTPServer]:
    folder = tmp_path_factory.mktemp("web")
    (folder / "image.raw").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield web
        web.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def user(
    server: Swift, source: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("home")
    secret = home / "swift.secret"
    secret.write_text(server.password + "\n")
    login = {"type": "tempauth", "auth_url": server.auth_url, "username": server.username, "secret_file": str(secret)}
    place = {"container": server.container, "prefix": "cloud", "segment_size": "1MiB", "credentials": "ours"}
    settings = {
        "stores": [{"name": "swift", "type": "swift", "default": True, **place}, {"name": "disk"}],
        "credentials": {"ours": login},
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [80, 443, source.server_port]},
        "imports": {"reaper_interval": "1s"},
    }
    (home / "gateway.yaml").write_text(json.dumps(settings))
    with (
        served(home, "--config", "gateway.yaml") as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as http,
    ):
        yield http
    assert server.password not in (home / "serve.log").read_text()


def new(user: httpx.Client) -> str:
    record = {"name": "image", "disk_format": "raw", "container_format": "bare"}
    return str(user.post("/v2/images", json=record).raise_for_status().json()["id"])


def start(user: httpx.Client, image: str, method: str, **more: Any) -> None:
    stores = {"stores": more.pop("stores")} if "stores" in more else {}
    user.post(f"/v2/images/{image}/import", json={"method": {"name": method, **more}, **stores}).raise_for_status()


def until(reached: Callable[[], bool]) -> None:
    end = monotonic() + 60
    while not reached():
        assert monotonic() < end
        sleep(0.1)


def record(user: httpx.Client, image: str) -> dict[str, Any]:
    found: dict[str, Any] = user.get(f"/v2/images/{image}").raise_for_status().json()
    return found


def is_whole(user: httpx.Client, image: str) -> bool:
    return bool(record(user, image)["os_hash_value"] == hashlib.sha512(CONTENT).hexdigest())


def downloaded(user: httpx.Client, image: str, wanted: str = "") -> bytes:
    headers = {"Range": wanted} if wanted else {}
    return user.get(f"/v2/images/{image}/file", headers=headers).raise_for_status().content


def remove(user: httpx.Client, image: str, server: Swift) -> None:
    user.delete(f"/v2/images/{image}").raise_for_status()
    until(lambda: held(server) == [])


def test_staged_bytes_are_imported_read_in_ranges_and_deleted(user: httpx.Client, server: Swift) -> None:
    image = new(user)
    user.put(f"/v2/images/{image}/stage", content=CONTENT, headers=BYTES).raise_for_status()
    start(user, image, "glance-direct")
    until(lambda: record(user, image)["status"] == "active")
    assert is_whole(user, image)
    assert len(held(server)) == 7
    assert all(name.startswith("cloud/") for name in held(server))
    assert downloaded(user, image) == CONTENT
    assert downloaded(user, image, "bytes=1048570-3145735") == CONTENT[1048570:3145736]
    assert downloaded(user, image, "bytes=-7") == CONTENT[-7:]
    remove(user, image, server)


def test_an_upload_goes_there_at_once(user: httpx.Client, server: Swift) -> None:
    image = new(user)
    user.put(f"/v2/images/{image}/file", content=CONTENT, headers=BYTES).raise_for_status()
    assert downloaded(user, image) == CONTENT
    remove(user, image, server)


def test_a_download_from_the_web_goes_there_and_is_copied_on(
    user: httpx.Client, server: Swift, source: ThreadingHTTPServer
) -> None:
    image = new(user)
    start(user, image, "web-download", uri=f"http://127.0.0.1:{source.server_port}/image.raw")
    until(lambda: record(user, image)["status"] == "active")
    assert is_whole(user, image)
    start(user, image, "copy-image", stores=["disk"])
    until(lambda: set(record(user, image)["stores"].split(",")) == {"swift", "disk"})
    user.delete(f"/v2/stores/swift/{image}").raise_for_status()
    until(lambda: held(server) == [])
    assert downloaded(user, image) == CONTENT
    start(user, image, "copy-image", stores=["swift"])
    until(lambda: set(record(user, image)["stores"].split(",")) == {"swift", "disk"})
    assert len(held(server)) == 7
    remove(user, image, server)


def test_refused_bytes_leave_nothing(user: httpx.Client, server: Swift) -> None:
    created = user.post("/v2/images", json={"disk_format": "qcow2", "container_format": "bare"}).raise_for_status()
    image = created.json()["id"]
    answer = user.put(f"/v2/images/{image}/stage", content=CONTENT, headers=BYTES)
    assert answer.status_code == 415
    until(lambda: held(server) == [])


def test_an_upload_that_breaks_off_leaves_nothing(user: httpx.Client, server: Swift) -> None:
    image = new(user)

    def broken() -> Iterator[bytes]:
        yield CONTENT[: 3 << 20]
        until(lambda: len(held(server)) >= 2)
        raise ConnectionError("the client went away")

    with pytest.raises(ConnectionError):
        user.put(f"/v2/images/{image}/stage", content=broken(), headers=BYTES)
    until(lambda: held(server) == [])
    until(lambda: record(user, image)["status"] == "queued")


def test_administrators_see_where_it_is_and_no_secret(user: httpx.Client, server: Swift) -> None:
    shown = user.get("/v2/info/stores/detail").raise_for_status()
    store = next(store for store in shown.json()["stores"] if store["id"] == "swift")
    assert store["type"] == "swift"
    assert store["properties"]["container"] == server.container
    assert server.password not in shown.text
