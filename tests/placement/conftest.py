"""One service for the tests that leave it running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.site import User
from tests.faults.service import Service
from tests.faults.sources import Sources, sources
from tests.placement.site import placed


@pytest.fixture(scope="session")
def fetched_from() -> Iterator[Sources]:
    with sources() as served:
        yield served


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Service]:
    with placed(tmp_path_factory.mktemp("placed"), fetched_from.port) as started:
        yield started


@pytest.fixture
def gold(running: Service) -> Iterator[User]:
    with running.user("gold") as user:
        yield user


@pytest.fixture
def admin(running: Service) -> Iterator[User]:
    with running.user("admin") as user:
        yield user
