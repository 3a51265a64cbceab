"""Whatever could bring bytes in that nobody judged is closed, however it is spelled."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest

from tests.clients.site import User
from tests.fronting.site import Fronted

PATCH = "application/openstack-images-v2.1-json-patch"
OLD_PATCH = "application/openstack-images-v2.0-json-patch"
PLACE = {"url": "http://127.0.0.1/x", "metadata": {}}


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "/v2/images/{image}/locations", {"url": "http://127.0.0.1/x"}),
        ("POST", "/v2.17/images/{image}/locations/", {"url": "http://127.0.0.1/x"}),
        ("POST", "/v2/tasks", {"type": "import", "input": {"import_from": "http://127.0.0.1/x"}}),
        ("POST", "/v2/tasks/", {"type": "import", "input": {}}),
        ("POST", "/v2/images", {"name": "x", "locations": [PLACE]}),
    ],
)
def test_places_and_tasks_are_closed(alice: User, verb: str, path: str, body: dict[str, Any]) -> None:
    answer = alice.http.request(verb, path.format(image=alice.create()), json=body)
    assert (answer.status_code, alice.error(answer)["reason"]) == (403, "closed-here")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (PATCH, {"op": "add", "path": "/locations/-", "value": PLACE}),
        (PATCH, {"op": "replace", "path": "/locations", "value": [PLACE]}),
        (PATCH, {"op": "remove", "path": "/locations/0"}),
        (PATCH, {"op": "copy", "from": "/name", "path": "/locations"}),
        (PATCH, {"op": "move", "from": "/locations/0", "path": "/name"}),
        (OLD_PATCH, {"add": "/locations/-", "value": PLACE}),
        (OLD_PATCH, {"replace": "/locations", "value": [PLACE]}),
    ],
)
def test_places_are_not_changed(alice: User, alone: User, kind: str, change: dict[str, Any]) -> None:
    image = alice.create()
    content = json.dumps([{"op": "replace", "path": "/name", "value": "n"}, change][kind == OLD_PATCH :])
    answer = alice.http.patch(f"/v2/images/{image}", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, alice.error(answer)["reason"]) == (403, "closed-here")
    assert alone.show(image)["name"] is None


SPELLED = (
    "/v2//images/{image}/file", "//v2/images/{image}/file", "/v2/images//{image}/file", "/v2/images/{image}//file",
    "/v2/./images/{image}/file", "/v2/x/../images/{image}/file", "/v2/images/{image}/%2e/file",
    "/v2/images/{image}%2Ffile", "/v2/images/{image}/file;x=1", "/v2/images/{image}/File", "/V2/images/{image}/file",
    "/v1/images/{image}/file", "/v1/images/{image}", "/v3/images/{image}/file", "/v2/v2/images/{image}/file",
    "/images/{image}/file", "/v2/images/{image}/file/x", "/v2/images/{image}/data", "/v2/image/{image}/file",
    "/v2/images/{image}/file%00", "/v2/images/{image}/file%20", "/v2/staging/{image}", "/v2/images/{image}/locations",
    "/v2\\images\\{image}\\file", "/v2/images/{image}/stage/../file", "/v2/tasks/{image}/file",
    "/v02/images/{image}/file",
)  # fmt: skip
"""Paths that some server may read as the upload's, sent byte by byte as they stand."""

TAKEN = (
    "/v2/images/{image}/file", "/v2/images/{image}/%66ile", "/v2/%69mages/{image}/file", "/v2.16/images/{image}/file",
    "/v2.0/images/{image}/file/", "/v2/images/{image}/file/", "/v2/images/{image}/file?x=/v2/",
)  # fmt: skip
"""Paths that are the upload's, so that its rules hold."""

BAD = b"QFI\xfb" + b"no image at all, and marked"


def _sent(site: Fronted, verb: str, path: str, body: bytes, **headers: str) -> int:
    """The status of one request, sent as it is written."""
    target = httpx.URL(site.front.url)
    lines = {"Host": target.netloc.decode(), "Content-Type": "application/octet-stream", "Connection": "close"}
    said = {**lines, "X-Auth-Token": site.cloud.issue("sender"), "Content-Length": str(len(body)), **headers}
    head = f"{verb} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items()) + "\r\n"
    with socket.create_connection((target.host, target.port or 80)) as line:
        line.sendall(head.encode("latin-1") + body)
        line.settimeout(30)
        answer = b""
        while b"\r\n" not in answer and (chunk := line.recv(4096)):
            answer += chunk
    return int(answer.split()[1])


@pytest.mark.parametrize("path", SPELLED)
@pytest.mark.parametrize("verb", ["PUT", "POST", "PATCH"])
def test_no_other_spelling_reaches_the_upload(site: Fronted, alice: User, alone: User, verb: str, path: str) -> None:
    image = alice.create(disk_format="qcow2")
    assert _sent(site, verb, path.format(image=image), BAD) >= 300
    assert alone.show(image)["status"] == "queued"
    assert not site.holds(BAD)


@pytest.mark.parametrize("path", TAKEN)
def test_a_spelling_of_the_upload_is_judged(site: Fronted, alice: User, alone: User, path: str) -> None:
    image = alice.create(disk_format="qcow2")
    assert _sent(site, "PUT", path.format(image=image), BAD) == 415
    assert alone.show(image)["status"] == "queued"
    assert not site.holds(BAD)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "application/vnd.openstack.images-v2.9"}, 415),
        ({"Accept": "application/vnd.openstack.images-v1"}, 300),
        ({"X-HTTP-Method-Override": "GET"}, 404),
        ({"X-Original-URL": "/v2/images"}, 404),
    ],
)
def test_headers_do_not_lead_around(
    site: Fronted, alice: User, alone: User, headers: dict[str, str], status: int
) -> None:
    image = alice.create(disk_format="qcow2")
    said = _sent(site, "PUT", f"/images/{image}/file", BAD, **headers)
    assert said == status
    assert alone.show(image)["status"] == "queued"


@pytest.mark.parametrize("verb", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_other_verbs_never_fail_inside(site: Fronted, alice: User, verb: str) -> None:
    for path in ("/v2/images", f"/v2/images/{alice.create()}/file", "/v2/info/import", "/v2/zork", "/"):
        assert _sent(site, verb, path, b"") < 500
