"""SIGKILL while copies are made: after the restart everything ends, and what is acknowledged is there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from time import sleep

import pytest

from tests.clients.site import User
from tests.faults.service import Service
from tests.faults.sources import Sources, content
from tests.placement.site import from_store, placed, saved, sound, staged, start, until

BODY = content(41, 8 << 20)
DOWNLOADED = content(43, 2 << 20)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Service]:
    with placed(tmp_path_factory.mktemp("mortal"), fetched_from.port) as started:
        yield started


def begin_import(user: User) -> str:
    image = staged(user, BODY)
    start(user, image, all_stores=True).raise_for_status()
    return image


def begin_copy(user: User) -> str:
    image = saved(user, BODY)
    start(user, image, "copy-image", stores=["slow"]).raise_for_status()
    return image


def begin_download(user: User, sources: Sources) -> str:
    image = user.create()
    uri = sources.paced(43, len(DOWNLOADED), 300)
    start(user, image, "web-download", uri=uri, all_stores=True, all_stores_must_succeed=False).raise_for_status()
    return image


def test_kills_at_any_moment(mortal: Service, fetched_from: Sources) -> None:
    """Each with an import into both stores, a copy and a download under way; the moment is drawn."""
    chance, images = random.Random(42), {}
    for _ in range(3):
        with mortal.user() as user:
            images |= {begin_download(user, fetched_from): DOWNLOADED}
            images |= {begin_import(user): BODY, begin_copy(user): BODY}
        sleep(chance.uniform(0, 0.4))
        mortal.restart()
    with mortal.user() as user:
        for image, body in images.items():
            until(user, image, lambda image: image["status"] == "active" and image["stores"] == "fast,slow")
            assert from_store(user, image, "fast") == from_store(user, image, "slow") == body
    sound(mortal)
