"""Disks and logs that take no more: clean refusals, nothing half done, and all is well once there is space."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.scenes import BODY, blobs_of, hurried, sending, sound, status, untouched, works
from tests.faults.service import Service, service
from tests.faults.sources import Sources, content
from tests.serving.held import Folder


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A tmpfs. Raises CalledProcessError where mounting is not permitted."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def may_mount(place: Path) -> bool:
    try:
        with small_disk(place, "1M"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def full_store(service: Service, user: User, sources: Sources) -> None:
    """The store is 6 MiB; 8 MiB do not fit, whatever way they come."""
    large = content(5, 8 << 20)
    for send in (user.stage, user.save):
        image = user.create()
        answer = send(image, large)
        assert answer.status_code == 503, answer.text
        user.error(answer)
        untouched(service, user, image)
        user.http.delete(f"/v2/images/{image}").raise_for_status()
        eventually(lambda: not service.files())
    image = user.create()
    user.start(image, "web-download", uri=sources.paced(5, len(large), 10)).raise_for_status()
    task = user.ended(image)
    assert (task["status"], "full" in task["message"] or "space" in task["message"]) == ("failure", True), task
    untouched(service, user, image)
    user.http.delete(f"/v2/images/{image}").raise_for_status()


def full_disk(service: Service, user: User, disk: Path) -> None:
    """Records, log and store share a disk that fills up: clean refusals, and all is well once there is space."""
    ready, late = user.create(), user.create()
    user.stage(ready, BODY).raise_for_status()
    ballast = disk / "ballast"
    _fill(ballast)
    requests: list[Callable[[], httpx.Response]] = [
        lambda: user.stage(late, BODY),
        lambda: user.save(late, BODY),
        lambda: user.start(ready),
        lambda: user.http.post("/v2/images", json={"name": "x" * 255}),
    ]
    answers = [request() for request in requests * 3]
    assert {answer.status_code for answer in answers[:3]} == {503}, [answer.text for answer in answers]
    assert {answer.status_code for answer in answers} <= {503, 201}
    ballast.unlink()
    eventually(lambda: user.show(late)["status"] == "queued" and not blobs_of(service, late))
    sound(service)
    works(user, late)
    user.start(ready).raise_for_status()
    user.reaches(ready, "active")


def _fill(ballast: Path) -> None:
    """To the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


def records_full(service: Service, user: User, sources: Sources, disk: Path) -> None:
    """The records' disk fills up while bytes move to another one: nothing stays half done once there is space."""
    saved, staged, fetched = user.create(), user.create(), user.create()
    answer = user.start(fetched, "web-download", uri=sources.paced(12, 1 << 20, 1000)).raise_for_status()
    task = answer.headers["OpenStack-image-import-task"]
    eventually(lambda: blobs_of(service, fetched))
    with ExitStack() as connections:
        paths = (f"/v2/images/{saved}/file", f"/v2/images/{staged}/stage")
        opened = [connections.enter_context(sending(user, path, len(BODY))) for path in paths]
        for connection in opened:
            connection.sendall(BODY[:1000])
        user.reaches(saved, "saving")
        user.reaches(staged, "uploading")
        _fill(disk / "ballast")
        for connection in opened:
            connection.sendall(BODY[1000:])
        assert [status(connection) for connection in opened] == [503, 503]
    eventually(lambda: f"{task} waits: The catalog's disk is full" in (service.home / "serve.log").read_text())
    (disk / "ballast").unlink()
    for image in (saved, staged):
        user.reaches(image, "queued")
    user.reaches(fetched, "active")
    sound(service)
    works(user, saved)
    works(user, staged)


def on_full_store(home: Path, sources: Sources) -> None:
    with small_disk(home / "store", "6M") as disk:
        stores = [{"name": "local", "type": "filesystem", "path": str(disk / "blobs")}]
        with service(home, {**hurried(sources.port, "1s"), "stores": stores}) as started, started.user() as user:
            started.held = Folder(disk / "blobs")
            full_store(started, user, sources)


def on_full_disk(home: Path, sources: Sources) -> None:
    with (
        small_disk(home / "data", "16M") as disk,
        service(home, hurried(sources.port, "1s")) as started,
        started.user() as user,
    ):
        full_disk(started, user, disk)


def on_full_records(home: Path, sources: Sources) -> None:
    with small_disk(home / "data", "16M") as disk:
        stores = [{"name": "local", "type": "filesystem", "path": str(home / "blobs")}]
        with service(home, {**hurried(sources.port, "1s"), "stores": stores}) as started, started.user() as user:
            started.held = Folder(home / "blobs")
            records_full(started, user, sources, disk)


def log_unwritable(service: Service, user: User) -> None:
    """No decision without its line in the log: nothing happens, and nothing is half done."""
    fresh, staged = user.create(), user.create()
    user.stage(staged, BODY).raise_for_status()
    log = service.data / "decisions.jsonl"
    aside = log.rename(log.with_suffix(".aside"))
    log.mkdir()
    try:
        for request in (user.stage, user.save):
            answer = request(fresh, BODY)
            assert (answer.status_code, user.error(answer)["reason"]) == (503, "decision-log-unavailable")
        assert user.start(staged).status_code == 503
        assert user.show(fresh)["status"] == "queued"
        assert user.show(staged)["status"] == "uploading"
        assert not blobs_of(service, fresh)
    finally:
        log.rmdir()
        aside.rename(log)
    user.start(staged).raise_for_status()
    user.reaches(staged, "active")
    untouched(service, user, fresh)
