"""Three gateways for the tests that put back what they break, and a source they fetch from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.sources import Sources, sources
from tests.fleet.fleet import Fleet, fleet


@pytest.fixture(scope="package")
def fetched_from() -> Iterator[Sources]:
    with sources() as served:
        yield served


@pytest.fixture(scope="package")
def three(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("three"), 3, fetched_from.port, concurrency=2) as started:
        yield started
