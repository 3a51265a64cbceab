"""One hurried service for the faults that leave it running, and one that may be stopped and started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.site import User
from tests.faults.scenes import RULES, hurried, patient
from tests.faults.service import Service, service
from tests.faults.sources import Sources, sources


@pytest.fixture(scope="module")
def fetched_from() -> Iterator[Sources]:
    with sources() as served:
        yield served


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("running"), hurried(fetched_from.port), RULES) as started:
        yield started


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Service]:
    """A service that tests stop and start again."""
    unhurried = {**patient(fetched_from.port), "server": {"shutdown_timeout": "10s"}}
    with service(tmp_path_factory.mktemp("stopped"), unhurried, RULES) as started:
        yield started


@pytest.fixture
def user(running: Service) -> Iterator[User]:
    with running.user() as made:
        yield made
