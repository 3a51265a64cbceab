"""One user who uploads in pieces, in the words of either protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Records
from tests.faults.service import Service
from tests.faults.sources import content

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
OFFSET_OCTETS = {"Content-Type": "application/offset+octet-stream"}
PARTIAL = {"Content-Type": "application/partial-upload"}
OCTETS = {"Content-Type": "application/octet-stream"}
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "size", "limit": "all", "within": {"max_size": "16MiB"}},
    {"id": "some", "limit": "all", "for": {"projects": ["demo-silver"]}, "within": {"max_total_size": "4MiB"}},
    {"id": "few", "limit": "all", "for": {"projects": ["demo-silver"]}, "within": {"max_active_imports": 1}},
    {"id": "closed", "deny": ["glance-direct"], "for": {"projects": ["demo-stranger"]}, "message": "No uploads."},
)
SETTINGS = {"imports": {"upload_part": "1MiB", "reaper_interval": "1s", "progress_interval": "50ms"}}


@dataclass(frozen=True)
class Tus:
    """tus 1.0.0. Every call gives the answer as it is."""

    user: User

    def create(self, image: str, length: int | None, body: bytes = b"", **more: str) -> httpx.Response:
        said = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        headers = {**TUS, **said, **(OFFSET_OCTETS if body else {}), **more}
        return self.user.http.post(f"/v2/images/{image}/stage", content=body, headers=headers)

    def begun(self, image: str, length: int) -> str:
        answer = self.create(image, length)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    def head(self, upload: str) -> httpx.Response:
        return self.user.http.head(upload, headers=TUS)

    def offset(self, upload: str) -> int:
        answer = self.head(upload)
        assert answer.status_code == 204, answer.status_code
        return int(answer.headers["upload-offset"])

    def append(self, upload: str, offset: int, body: bytes | Iterator[bytes], **more: str) -> httpx.Response:
        headers = {**TUS, **OFFSET_OCTETS, "Upload-Offset": str(offset), **more}
        return self.user.http.patch(upload, content=body, headers=headers)

    def delete(self, upload: str) -> httpx.Response:
        return self.user.http.delete(upload, headers=TUS)


@dataclass(frozen=True)
class Draft:
    """The IETF's draft."""

    user: User

    def create(self, image: str, body: bytes = b"", *, last: bool = False, verb: str = "POST", **more: str) -> Any:
        headers = {"Upload-Complete": f"?{last:d}", **OCTETS, **more}
        return self.user.http.request(verb, f"/v2/images/{image}/stage", content=body, headers=headers)

    def append(
        self, upload: str, offset: int, body: bytes | Iterator[bytes], *, last: bool = False, **more: str
    ) -> Any:
        headers = {"Upload-Complete": f"?{last:d}", "Upload-Offset": str(offset), **PARTIAL, **more}
        return self.user.http.patch(upload, content=body, headers=headers)


def cut_off(service: Service, user: User, upload: str, offset: int, body: bytes, whole: int) -> None:
    """PATCH a body of which only a part arrives: then the connection is closed."""
    before = version(service, upload)

    def broken() -> Iterator[bytes]:
        yield body
        eventually(lambda: version(service, upload) > before)  # what overtook this request would find nothing
        raise ConnectionResetError

    headers = {**TUS, **OFFSET_OCTETS, "Upload-Offset": str(offset), "Content-Length": str(whole)}
    # A connection of its own: others of the pool stay.
    with httpx.Client(base_url=user.http.base_url, auth=user.http.auth, trust_env=False) as http:
        try:
            http.patch(upload, content=broken(), headers=headers)
        except ConnectionResetError:
            return
    raise AssertionError("it was not cut off")


def image_bytes(size: int, seed: int = 1) -> bytes:
    return content(seed, size)


def becomes(user: User, image: str, body: bytes) -> None:
    """Staged bytes are imported, and are those that were sent."""
    user.start(image).raise_for_status()
    user.reaches(image, "active")
    assert user.file(image).content == body


def rows(service: Service, image: str) -> list[str]:
    """The states of its blobs."""
    return sorted(blob["state"] for blob in Records(service.place).of(image))


def version(service: Service, upload: str) -> int:
    """How often the upload's record has changed."""
    return int(Records(service.place).uploads[upload_id(upload)]["version"])


def upload_id(upload: str) -> str:
    found = re.fullmatch(r"/v2/images/[0-9a-f-]{36}/stage/([0-9a-f-]{36})", upload)
    assert found, upload
    return found[1]
