"""A gateway that dies, pauses or stops loses no import, and none is published twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from threading import Event
from time import monotonic, sleep

import httpx

from tests.catalog import postgres
from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Account
from tests.faults.sources import Sources, content
from tests.fleet.fleet import LEASE, Fleet

pytestmark = postgres.needed

SIZE = 2 << 20
RECOVERED = 30
"""Seconds within which others finish what a dead gateway was doing."""
UPLOADS = 32


def fetching(user: User, source: Sources, seed: int, milliseconds: int) -> Account:
    image = user.create()
    answer = user.start(image, "web-download", uri=source.paced(seed, SIZE, milliseconds))
    assert answer.status_code == 202, answer.text
    digest = hashlib.sha512(content(seed, SIZE)).hexdigest()
    return Account(image, digest, task=answer.headers["OpenStack-image-import-task"])


def shared_out(at: Fleet, source: Sources, seed: int, milliseconds: int) -> tuple[list[Account], int]:
    """Six imports that have begun, and the number of a gateway that carries out some of them."""
    with at.users() as users:
        accounts = [fetching(users[n % 3], source, seed + n, milliseconds) for n in range(6)]
    ids = ", ".join(f"'{account.task}'" for account in accounts)
    begun = f"SELECT p.host FROM imports i JOIN processes p ON p.id = i.runner WHERE i.id IN ({ids}) AND bytes_done > 0"
    hosts = eventually(lambda: rows if len(rows := at.rows(begun)) == len(accounts) else None, 20)
    return accounts, at.number(str(hosts[0]["host"]))


def check(at: Fleet, user: User, accounts: Sequence[Account]) -> None:
    """All are active in time, with the bytes they should have, and nothing is left over."""
    end = monotonic() + RECOVERED
    for account in accounts:
        shown = user.reaches(account.image, "active", max(end - monotonic(), 0.1))
        assert shown["os_hash_value"] == account.digest
    assert at.rest(*accounts) == []
    for account in accounts:
        receipts = at.rows(f"SELECT 1 FROM receipts WHERE image_id = '{account.image}'")
        assert len(receipts) == 1


def attempts(at: Fleet, accounts: Sequence[Account]) -> list[int]:
    ids = ", ".join(f"'{account.task}'" for account in accounts)
    return [row["attempt"] for row in at.rows(f"SELECT attempt FROM imports WHERE id IN ({ids})")]


def test_imports_of_a_killed_gateway_are_finished_by_the_others(three: Fleet, fetched_from: Sources) -> None:
    accounts, dead = shared_out(three, fetched_from, 100, 3000)
    three.members[dead].kill(SIGKILL)
    with three.members[(dead + 1) % 3].user() as survivor:
        check(three, survivor, accounts)
    assert max(attempts(three, accounts)) > 1
    three.members[dead].start()


def test_a_gateway_that_was_paused_past_its_lease_publishes_nothing_of_what_others_took(
    three: Fleet, fetched_from: Sources
) -> None:
    accounts, paused = shared_out(three, fetched_from, 200, 3000)
    before = {row["id"] for row in three.rows("SELECT id FROM processes")}
    three.members[paused].signal(SIGSTOP)
    try:
        eventually(lambda: len(three.rows("SELECT id FROM processes")) == 2, LEASE * 4)
    finally:
        three.members[paused].signal(SIGCONT)
    with three.members[(paused + 1) % 3].user() as other:
        check(three, other, accounts)
    eventually(lambda: {row["id"] for row in three.rows("SELECT id FROM processes")} == before, LEASE * 2)
    with three.members[paused].user() as back:
        check(three, back, [fetching(back, fetched_from, 210, 100)])


def test_a_delete_reaches_an_upload_of_another_gateway(three: Fleet) -> None:
    enough = Event()

    def endless() -> Iterator[bytes]:
        while not enough.wait(0.02):
            yield bytes(1 << 16)

    with three.users() as (here, there, _), ThreadPoolExecutor(1) as beside:
        image = here.create()
        sending = beside.submit(sent, here, image, endless())
        try:
            eventually(lambda: there.show(image)["status"] == "saving" and deliveries(here) == 1, 20)
            assert there.http.delete(f"/v2/images/{image}").status_code == 204
            # The client still sends, but its delivery is over.
            eventually(lambda: deliveries(here) == 0, 20)
        finally:
            enough.set()
        assert sending.result(20) != 204
    assert three.rest() == []


def test_a_stage_begun_elsewhere_may_not_be_imported_yet_and_may_be_afterwards(three: Fleet) -> None:
    body = content(300, SIZE)
    with three.users() as (here, there, third), ThreadPoolExecutor(1) as beside:
        image = here.create()

        def slow() -> Iterator[bytes]:
            for start in range(0, SIZE, SIZE // 8):
                yield body[start : start + SIZE // 8]
                sleep(0.15)

        upload = beside.submit(sent, here, image, slow(), "stage")
        eventually(lambda: there.show(image)["status"] == "uploading", 10)
        early = there.start(image)
        assert (early.status_code, "still being staged" in early.text) == (409, True)
        assert upload.result(20) == 204
        task = third.start(image).headers["OpenStack-image-import-task"]
        account = Account(image, hashlib.sha512(body).hexdigest(), task=task)
        check(three, there, [account])
        assert hashlib.sha512(there.file(image).content).hexdigest() == account.digest


def test_a_stopping_gateway_hands_its_imports_over_at_once_and_finishes_its_uploads(
    three: Fleet, fetched_from: Sources
) -> None:
    """32 uploads are on their way when it is told to stop; those that were acknowledged are there afterwards."""
    accounts, stopped = shared_out(three, fetched_from, 400, 6000)
    body = content(410, SIZE)
    began = monotonic()
    with ThreadPoolExecutor(UPLOADS) as pool, three.members[stopped].user() as user:
        images = [user.create() for _ in range(UPLOADS)]
        uploads = [pool.submit(upload, user, image, body, n / 6) for n, image in enumerate(images)]
        eventually(lambda: three.count("SELECT 1 FROM images WHERE status = 'saving'") >= UPLOADS // 2, 20)
        told = monotonic()
        three.members[stopped].signal(SIGTERM)
        eventually(lambda: user.http.get("/healthcheck").status_code == 503, 10)
        runner = (
            "SELECT 1 FROM imports i JOIN processes p ON p.id = i.runner WHERE p.draining AND i.status = 'processing'"
        )
        eventually(lambda: three.count("SELECT 1 FROM processes WHERE draining") == 1, 10)
        eventually(lambda: three.count(runner) == 0, 10)
        assert three.count("SELECT 1 FROM processes") == 3, "they were taken over, not handed back"
        assert three.members[stopped].wait(30) == 0
        drained = monotonic() - told
        answers = [one.result(5) for one in uploads]
    assert drained < 30
    assert answers.count(204) >= UPLOADS // 2, (answers, began)
    with three.members[(stopped + 1) % 3].user() as other:
        kept = [image for image, answer in zip(images, answers, strict=True) if answer == 204]
        digest = hashlib.sha512(body).hexdigest()
        check(three, other, [*accounts, *(Account(image, digest, saved=True) for image in kept)])
    three.members[stopped].start()


def upload(user: User, image: str, body: bytes, wait: float) -> int | None:
    def pieces() -> Iterator[bytes]:
        yield body[:1000]
        sleep(wait)
        yield body[1000:]

    return sent(user, image, pieces())


def sent(user: User, image: str, pieces: Iterator[bytes], to: str = "file") -> int | None:
    """The status, None where the connection broke: nothing was acknowledged then."""
    try:
        headers = {"Content-Type": "application/octet-stream"}
        return user.http.put(f"/v2/images/{image}/{to}", content=pieces, headers=headers).status_code
    except httpx.HTTPError:
        return None


def deliveries(user: User) -> float:
    """Blobs that this gateway is writing."""
    found = re.search(r"^import_gateway_deliveries (\S+)$", user.http.get("/metrics").text, re.M)
    assert found is not None
    return float(found[1])
