"""The requests of gophercloud and of Terraform's image resource, replayed.

It streams files chunked, knows the statuses queued, saving, importing and active, and compares `checksum` (md5).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.site import PASSWORD, Site
from tests.serving.process import LONGEST

KNOWN = {"queued", "saving", "importing"}
JSON = {"Accept": "application/json", "User-Agent": "gophercloud/v2.8.0"}
OCTETS = {"Content-Type": "application/octet-stream", "User-Agent": "gophercloud/v2.8.0"}


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{site.url}/v2/", auth=("gold", PASSWORD), trust_env=False, timeout=LONGEST) as http:
        yield http


def created(http: httpx.Client, name: str) -> str:
    body = {"container_format": "bare", "disk_format": "raw", "name": name, "visibility": "private", "protected": False}
    answer = http.post("images", json={**body, "tags": ["terraform"], "os_distro": "debian"}, headers=JSON)
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/v2/images/{answer.json()['id']}")
    return str(answer.json()["id"])


def waited(http: httpx.Client, image: str) -> dict[str, Any]:
    """The state change loop: any status it does not know ends it."""
    end = time.monotonic() + LONGEST
    while (found := http.get(f"images/{image}", headers=JSON).json())["status"] != "active":
        assert found["status"] in KNOWN
        assert time.monotonic() < end
    return dict(found)


def check_types(image: dict[str, Any]) -> None:
    """What its structs decode: RFC 3339 times, whole numbers, booleans, lists of strings."""
    for key in ("created_at", "updated_at"):
        assert datetime.fromisoformat(image[key]).tzinfo
    for key in ("size", "virtual_size", "min_disk", "min_ram"):
        assert type(image[key]) is int
    for key in ("protected", "os_hidden"):
        assert type(image[key]) is bool
    assert image["tags"] == ["terraform"]


def test_a_local_file(http: httpx.Client, disk: Path) -> None:
    image = created(http, "tf file")
    with disk.open("rb") as file:
        blocks = iter(lambda: file.read(32 << 10), b"")
        assert http.put(f"images/{image}/file", content=blocks, headers=OCTETS).status_code == 204
    found = waited(http, image)
    check_types(found)
    assert found["checksum"] == hashlib.md5(disk.read_bytes()).hexdigest()
    assert http.get(f"images/{image}/file").content == disk.read_bytes()
    assert http.delete(f"images/{image}", headers=JSON).status_code == 204


def test_a_source_url_with_web_download(site: Site, http: httpx.Client, disk: Path) -> None:
    offered = http.get("info/import", headers=JSON).json()["import-methods"]
    assert (offered["type"], "web-download" in offered["value"]) == ("array", True)
    image = created(http, "tf web")
    wanted = {"method": {"name": "web-download", "uri": f"{site.sources}/{disk.name}"}}
    assert http.post(f"images/{image}/import", json=wanted, headers=JSON).status_code == 202
    found = waited(http, image)
    check_types(found)
    assert found["checksum"] == hashlib.md5(disk.read_bytes()).hexdigest()


def test_an_update(http: httpx.Client) -> None:
    image = created(http, "tf update")
    changes = [
        {"op": "replace", "path": "/name", "value": "tf updated"},
        {"op": "replace", "path": "/tags", "value": ["a", "b"]},
        {"op": "add", "path": "/os_version", "value": "13"},
        {"op": "remove", "path": "/os_distro"},
    ]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    answer = http.patch(f"images/{image}", json=changes, headers={**JSON, **kind})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["name"], sorted(found["tags"]), found["os_version"]) == ("tf updated", ["a", "b"], "13")
    assert "os_distro" not in found
