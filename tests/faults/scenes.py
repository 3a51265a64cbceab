"""Faults of clients and sources, each with what must hold after it.

The tests play all scenes (here, in `disks` and in `processes`) short, `python -m tests.faults --all` plays them long.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Timer
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Records, audit
from tests.faults.service import TRUSTING, Service
from tests.faults.sources import Sources, content
from tests.images.hostile import backed_qcow2
from tests.images.sound import qcow2

CAP = 8 << 20
BODY = content(11, 300_000)
RULES = (*TRUSTING, {"id": "cap", "limit": "all", "within": {"max_size": "8MiB"}})
ENDS = {
    "stall": "source-stalled",
    "trickle": "source-slow",
    "truncate": "source-truncated",
    "break-chunk": "source-broken",
    "never-end": "over-limit",
}
"""By which name each bad source fails."""


def hurried(port: int, reaper: str = "10m") -> dict[str, Any]:
    """Settings under which bad sources fail within seconds, at their first try.

    The reaper comes when it is asked to, and hardly ever by itself.
    """
    return {
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [port], "idle_timeout": "2s", "total_timeout": "10s"},
        "server": {"idle_timeout": "10m"},
        "imports": {"reaper_interval": reaper, "progress_interval": "50ms", "retries": 0},
    }


def patient(port: int, **imports: str) -> dict[str, Any]:
    return {
        "server": {"shutdown_timeout": "2s"},
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [port]},
        "imports": {"reaper_interval": "1s", "progress_interval": "50ms", **imports},
    }


def sound(service: Service) -> None:
    """The auditor finds nothing, at once or within the seconds that an interrupted thing may take to end."""
    found: list[str] = []

    def clean() -> bool:
        found[:] = audit(service.place)
        return not found

    try:
        eventually(clean)
    except AssertionError:
        raise AssertionError(found) from None


def blobs_of(service: Service, image: str) -> list[dict[str, Any]]:
    return Records(service.place).of(image)


def untouched(service: Service, user: User, image: str) -> None:
    """The image is queued again and not a byte of it is left; and it can be imported."""
    user.reaches(image, "queued")
    eventually(lambda: not blobs_of(service, image))
    sound(service)
    works(user, image)


def works(user: User, image: str) -> None:
    user.stage(image, BODY).raise_for_status()
    user.start(image).raise_for_status()
    user.reaches(image, "active")
    assert user.file(image).content == BODY


# Clients


def sending(user: User, path: str, length: int) -> socket.socket:
    """A connection whose request is not finished: its head is sent, its body is to come."""
    url = urlsplit(str(user.http.base_url))
    connection = socket.create_connection((url.hostname, url.port), timeout=30)
    request = user.http.build_request("PUT", path, headers={"Content-Type": "application/octet-stream"})
    request.headers["Content-Length"] = str(length)
    assert user.http.auth is not None
    signed = next(user.http.auth.sync_auth_flow(request))
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
    connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode())
    return connection


def status(connection: socket.socket) -> int:
    """Of the answer; 0 where the connection was closed without one."""
    line = connection.recv(4096).split(b" ")
    return int(line[1]) if len(line) > 1 else 0


def cut_off(service: Service, user: User, verb: str, at: int, *, reset: bool = False) -> None:
    """The client goes away after `at` bytes of a body."""
    image = user.create()
    with sending(user, f"/v2/images/{image}/{verb}", 4 << 20) as connection:
        connection.sendall(content(at, at))
        user.reaches(image, {"stage": "uploading", "file": "saving"}[verb])
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    untouched(service, user, image)


def slow_ones_hold_nobody(service: Service, user: User) -> None:
    """Twenty uploads that came to a halt in the middle, and the next one goes through as if there were none."""
    images = [user.create() for _ in range(20)]
    with ExitStack() as slow:
        for image in images:
            connection = slow.enter_context(sending(user, f"/v2/images/{image}/stage", 2 << 20))
            connection.sendall(content(5, 1 << 20))
            user.reaches(image, "uploading")
        works(user, user.create())
        assert {user.show(image)["status"] for image in images} == {"uploading"}
    sound(service)


def refused_but_talking(service: Service, user: User) -> None:
    """A refused upload whose client goes on sending does not undo the next upload of the same image."""
    image = user.create(disk_format="qcow2")
    with sending(user, f"/v2/images/{image}/stage", CAP - 1) as connection:
        connection.sendall(backed_qcow2() + bytes(2 << 20))
        eventually(lambda: [blob["state"] for blob in blobs_of(service, image)] == ["doomed"])
        leaving = Timer(2.5, connection.shutdown, [socket.SHUT_RDWR])
        leaving.start()
        eventually(lambda: user.stage(image, qcow2()).status_code == 204)
        leaving.join()
    sleep(0.5)  # there is nothing to wait for: it must not happen
    assert user.show(image)["status"] == "uploading"
    user.start(image).raise_for_status()
    user.reaches(image, "active")
    sound(service)


def many_at_once(service: Service, user: User, begin: Callable[[str], httpx.Response], image: str, ok: int) -> None:
    """16 of the same request: one is taken, 15 are told that they come too late."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(begin, [image] * 16))
    assert sorted(answer.status_code for answer in answers) == [ok, *[409] * 15]
    for answer in answers:
        if answer.status_code == 409:
            user.error(answer)


def sixteen_imports(service: Service, user: User, sources: Sources) -> None:
    staged, fetched = user.create(), user.create()
    user.stage(staged, BODY).raise_for_status()
    many_at_once(service, user, user.start, staged, 202)
    uri = sources.paced(3, 100_000, 200)
    many_at_once(service, user, lambda image: user.start(image, "web-download", uri=uri), fetched, 202)
    for image in (staged, fetched):
        user.reaches(image, "active")
        assert len(user.http.get(f"/v2/images/{image}/tasks").json()["tasks"]) == 1
    sound(service)


def sixteen_uploads(service: Service, user: User) -> None:
    image = user.create()
    many_at_once(service, user, lambda image: user.stage(image, BODY), image, 204)
    user.start(image).raise_for_status()
    user.reaches(image, "active")
    sound(service)


# Sources


def in_sockets() -> int:
    """Bytes that one connection of this machine may hold at both its ends: they were sent, and nobody read them."""
    limits = (Path("/proc/sys/net/ipv4") / name for name in ("tcp_wmem", "tcp_rmem"))
    return sum(int(limit.read_text().split()[2]) for limit in limits)


def bad_source(service: Service, user: User, sources: Sources, kind: str) -> None:
    image, sent = user.create(), sources.sent
    user.start(image, "web-download", uri=sources.url(kind)).raise_for_status()
    task = user.ended(image)
    assert task["status"] == "failure"
    assert ENDS[kind] in str(task), task
    assert sources.sent - sent <= CAP + (1 << 20) + in_sockets()
    untouched(service, user, image)


# Deletion


def delete(user: User, image: str) -> None:
    user.http.delete(f"/v2/images/{image}").raise_for_status()


def gone(service: Service, user: User, image: str) -> None:
    """The image is a tombstone without bytes, and stays one."""
    eventually(lambda: not blobs_of(service, image))
    for path in (f"/v2/images/{image}", f"/v2/images/{image}/file"):
        assert user.http.get(path).status_code == 404
    assert user.http.post("/v2/images", json={"id": image}).status_code == 409
    works = [work for work in Records(service.place).imports.values() if work["image_id"] == image]
    assert all((work["status"], work["code"]) == ("failure", "cancelled") for work in works), works
    sound(service)


def delete_while_staging(service: Service, user: User, sources: Sources) -> str:
    image = user.create()
    with sending(user, f"/v2/images/{image}/stage", 2 << 20) as connection:
        connection.sendall(content(1, 1 << 20))
        user.reaches(image, "uploading")
        delete(user, image)
        connection.sendall(content(2, 1 << 20))
        assert status(connection) in (404, 409, 410)
    return image


def delete_staged(service: Service, user: User, sources: Sources) -> str:
    image = user.create()
    user.stage(image, BODY).raise_for_status()
    delete(user, image)
    return image


def processing(user: User, image: str) -> bool:
    return bool(user.task(image)["status"] == "processing")


def delete_queued(service: Service, user: User, sources: Sources) -> str:
    """All four places are taken, so the fifth import waits."""
    others = [user.create() for _ in range(4)]
    for image in others:
        user.start(image, "web-download", uri=sources.paced(1, 100_000, 2000)).raise_for_status()
    for image in others:
        eventually(partial(processing, user, image))
    image = user.create()
    user.start(image, "web-download", uri=sources.paced(2, 100_000, 0)).raise_for_status()
    assert user.task(image)["status"] == "pending"
    delete(user, image)
    for other in others:
        user.reaches(other, "active")
    return image


def delete_fetching(service: Service, user: User, sources: Sources) -> str:
    image = user.create()
    user.start(image, "web-download", uri=sources.paced(4, 1 << 20, 2500)).raise_for_status()
    eventually(lambda: blobs_of(service, image))
    delete(user, image)
    return image


Deletion = Callable[[Service, User, Sources], str]
"""Brings an image somewhere, and deletes it there."""

DELETIONS: dict[str, Deletion] = {
    "while it is staged": delete_while_staging,
    "once it is staged": delete_staged,
    "while its import waits": delete_queued,
    "while it is fetched": delete_fetching,
}


def deleted(service: Service, user: User, sources: Sources, deletion: Deletion) -> None:
    gone(service, user, deletion(service, user, sources))
