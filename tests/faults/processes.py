"""The process itself: asked to end, paused, doubled, started again with other rules."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from time import sleep

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Records
from tests.faults.scenes import BODY, RULES, blobs_of, sending, sound, status, untouched
from tests.faults.service import TRUSTING, Service
from tests.faults.sources import Sources, content


def stopped_at_work(service: Service, sources: Sources, uploads: int = 4) -> None:
    """SIGTERM: running uploads are answered, a stuck one is not waited for, imports go on in the next process."""
    body = content(8, 1 << 20)
    with service.user() as user, ExitStack() as connections:
        images = [user.create() for _ in range(uploads)]
        fetched, stuck, staged = user.create(), user.create(), user.create()
        user.stage(staged, BODY).raise_for_status()
        user.start(fetched, "web-download", uri=sources.paced(7, 1 << 20, 4000)).raise_for_status()
        eventually(lambda: blobs_of(service, fetched))
        paths = [*(f"/v2/images/{image}/file" for image in images), f"/v2/images/{stuck}/stage"]
        opened = [connections.enter_context(sending(user, path, len(body))) for path in paths]
        for connection in opened:
            connection.sendall(body[: 1 << 19])
        for image in (*images, stuck):
            eventually(partial(receiving, user, image))
        terminated(service, opened[:-1], body[1 << 19 :])
    service.start()
    with service.user() as user:
        for image in images:
            assert user.file(image).content == body
        assert user.show(staged)["status"] == "uploading"
        user.reaches(fetched, "active")
        assert user.file(fetched).content == content(7, 1 << 20)
        untouched(service, user, stuck)
        user.start(staged).raise_for_status()
        user.reaches(staged, "active")
    sound(service)


def receiving(user: User, image: str) -> bool:
    return user.show(image)["status"] in ("saving", "uploading")


def terminated(service: Service, connections: Sequence[socket.socket], rest: bytes) -> None:
    """Asked to end while these are sending: they are answered, and the process is gone."""
    service.signal(signal.SIGTERM)
    for connection in connections:
        connection.sendall(rest)
    assert [status(connection) for connection in connections] == [204] * len(connections)
    assert service.wait() == 0


def paused(service: Service, sources: Sources, seconds: float = 2) -> None:
    """SIGSTOP in the middle of an import and an upload, SIGCONT later: both end well."""
    with service.user() as user:
        fetched, sent = user.create(), user.create()
        user.start(fetched, "web-download", uri=sources.paced(9, 1 << 20, 2000)).raise_for_status()
        eventually(lambda: blobs_of(service, fetched))
        with sending(user, f"/v2/images/{sent}/file", len(BODY)) as connection:
            connection.sendall(BODY[:1000])
            user.reaches(sent, "saving")
            service.signal(signal.SIGSTOP)
            sleep(seconds)
            service.signal(signal.SIGCONT)
            connection.sendall(BODY[1000:])
            assert status(connection) == 204
        user.reaches(fetched, "active")
        assert user.file(fetched).content == content(9, 1 << 20)
    sound(service)


def second_refused(service: Service) -> None:
    """A second process on the same data folder ends by itself, and says why; the first goes on."""
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--data", str(service.data)]
    second = subprocess.run(command, cwd=service.home, capture_output=True, text=True, timeout=60)
    assert second.returncode != 0
    assert "is used by another gateway" in second.stderr
    assert "Traceback" not in second.stderr
    with service.user() as user:
        assert user.http.get("/healthcheck").status_code == 200


def policy_changed(service: Service, sources: Sources) -> None:
    """An import goes on under the tree it was granted under; a new one meets the new tree."""
    with service.user() as user:
        image = user.create()
        user.start(image, "web-download", uri=sources.paced(10, 1 << 20, 3000)).raise_for_status()
        eventually(lambda: blobs_of(service, image))
    granted = revisions(service, image)
    service.kill()
    service.allow([*TRUSTING, {"id": "closed", "deny": ["web-download"], "message": "No more."}])
    service.start()
    with service.user() as user:
        user.reaches(image, "active")
        assert user.file(image).content == content(10, 1 << 20)
        assert len(granted) == 1
        assert revisions(service, image) == granted
        refused = user.start(user.create(), "web-download", uri=sources.paced(10, 1000, 0))
        assert (refused.status_code, user.error(refused)["reason"]) == (403, "denied")
    service.allow(RULES)
    sound(service)


def revisions(service: Service, image: str) -> set[str]:
    return {row["revision"] for row in Records(service.place).decisions if row["image_id"] == image}


def vanished(user: User, image: str) -> bool:
    return user.http.get(f"/v2/images/{image}").status_code == 404


def expired(service: Service) -> None:
    """Queued records and staged bytes that nobody comes back for; an active image and a protected record stay."""
    with service.user() as user:
        kept, guarded = user.create(), user.create(protected=True)
        user.save(kept, BODY).raise_for_status()
        abandoned, staged = user.create(), user.create()
        user.stage(staged, BODY).raise_for_status()
        for image in (abandoned, staged):
            eventually(partial(vanished, user, image))
        eventually(lambda: not blobs_of(service, staged))
        assert user.file(kept).content == BODY
        assert user.show(guarded)["status"] == "queued"
    sound(service)
