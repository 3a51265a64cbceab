"""One gateway in front of another for the tests that leave both running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.site import User
from tests.fronting.site import Fronted, fronted


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    with fronted(tmp_path_factory.mktemp("fronting")) as started:
        yield started


@pytest.fixture
def alice(site: Fronted) -> Iterator[User]:
    with site.user() as user:
        yield user


@pytest.fixture
def alone(site: Fronted) -> Iterator[User]:
    """alice without the gateway."""
    with site.user(alone=True) as user:
        yield user
