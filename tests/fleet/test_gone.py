"""Bytes that nobody wants any more are gone at once, not at the next of the reaper's rounds: on a bucket, two gateways.

The rounds are so far apart here that none comes during a test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

from tests.catalog import postgres
from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.sources import Sources, content
from tests.fleet.fleet import Fleet, fleet
from tests.serving import held_s3, servers

pytestmark = postgres.needed

BODY = content(600, 6 << 20)
"""More than one part of an object."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Fleet]:
    server, prefix = servers.server(servers.S3), os.urandom(4).hex()
    store = {"name": "bucket", "default": True, "part_size": "5MiB", **held_s3.settings(server, prefix)}
    more = {"stores": [store], "credentials": held_s3.credentials(server)}
    held, home = held_s3.held(server, prefix), tmp_path_factory.mktemp("two")
    with fleet(home, 2, fetched_from.port, more=more, held=held, reaper_interval="10m", retries=1) as started:
        yield started


def saved(here: User, there: User, source: Sources) -> None:
    image = here.create()
    here.save(image, BODY).raise_for_status()
    there.http.delete(f"/v2/images/{image}").raise_for_status()


def staged(here: User, there: User, source: Sources) -> None:
    image = here.create()
    here.stage(image, BODY).raise_for_status()
    there.http.delete(f"/v2/images/{image}").raise_for_status()


def cut_off(here: User, there: User, source: Sources) -> None:
    def broken() -> Iterator[bytes]:
        yield BODY
        raise OSError("cut off")

    image = here.create()
    headers = {"Content-Type": "application/octet-stream"}
    with pytest.raises((OSError, httpx.HTTPError)):
        here.http.put(f"/v2/images/{image}/file", content=broken(), headers=headers)
    here.reaches(image, "queued")


def refused(here: User, there: User, source: Sources) -> None:
    image = here.create(disk_format="qcow2")
    here.start(image, "web-download", uri=source.url("backed/10")).raise_for_status()
    assert here.ended(image)["status"] == "failure"


def broken_off(here: User, there: User, source: Sources) -> None:
    image = here.create()
    here.start(image, "web-download", uri=source.url("truncate")).raise_for_status()
    assert here.ended(image)["status"] == "failure"


def moves(user: User, image: str) -> bool:
    return bool(user.task(image)["progress"])


def fetched(here: User, there: User, source: Sources) -> None:
    """Both gateways are asked: one of them carries the import out, and the other one does not."""
    images = [here.create() for _ in range(2)]
    for user, image in zip((there, here), images, strict=True):
        here.start(image, "web-download", uri=source.paced(601, len(BODY), 20_000)).raise_for_status()
        eventually(partial(moves, here, image))
        user.http.delete(f"/v2/images/{image}").raise_for_status()


@pytest.mark.parametrize("leave", [saved, staged, cut_off, refused, broken_off, fetched])
def test_bytes_nobody_wants_are_gone_soon(
    two: Fleet, fetched_from: Sources, leave: Callable[[User, User, Sources], None]
) -> None:
    with two.users() as (here, there):
        leave(here, there, fetched_from)
    eventually(lambda: not two.held.sizes())
    eventually(lambda: not two.rows("SELECT id FROM blobs"))
