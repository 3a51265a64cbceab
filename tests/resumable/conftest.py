"""One service for the tests that leave it running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.site import User
from tests.faults.service import Service, service
from tests.resumable.speaking import RULES, SETTINGS, Draft, Tus


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("resumable"), SETTINGS, RULES) as started:
        yield started


@pytest.fixture
def user(running: Service, request: pytest.FixtureRequest) -> Iterator[User]:
    """A user whose images are gone at the end."""
    with running.user(getattr(request, "param", "gold")) as made:
        yield made
        for image in made.http.get("/v2/images").json()["images"]:
            made.http.delete(f"/v2/images/{image['id']}").raise_for_status()


@pytest.fixture
def tus(user: User) -> Tus:
    return Tus(user)


@pytest.fixture
def draft(user: User) -> Draft:
    return Draft(user)
