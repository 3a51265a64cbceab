"""One service with a policy that has something to say about every method."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.site import User
from tests.faults.service import Service, service

SETTINGS = {
    "stores": [{"name": "fast", "default": True}, {"name": "slow"}, {"name": "web", "type": "http"}],
    "fetch": {"ports": [80, 443, 8443]},
    "regions": {"east": {"endpoint": "http://127.0.0.1:9"}},
    "imports": {"retries": 0},
}
RULES = (
    {"id": "uploads", "allow": ["glance-direct"], "within": {"max_size": "4KiB", "stores": ["fast"]}},
    {
        "id": "vendors",
        "allow": ["web-download"],
        "within": {"hosts": ["cloud.vendor.example", "*.mirror.example"], "schemes": ["https"], "ports": [443]},
    },
    {
        "id": "lab",
        "allow": ["web-download"],
        "within": {"hosts": ["lab.example", "192.0.2.7"], "stores": ["slow"]},
    },
    {"id": "regions", "allow": ["glance-download"], "within": {"regions": ["east", "west"]}},
    {"id": "no-public", "deny": "all", "when": 'request.visibility == "public"', "message": "Nothing public."},
    {
        "id": "closed",
        "deny": ["web-download"],
        "for": {"projects": ["demo-silver"]},
        "message": "Downloads are closed.",
    },
    {"id": "theirs", "allow": ["copy-image"], "for": {"projects": ["demo-admin"]}},
)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("asking"), SETTINGS, RULES) as started:
        yield started


@pytest.fixture
def gold(running: Service) -> Iterator[User]:
    with running.user("gold") as user:
        yield user


@pytest.fixture
def silver(running: Service) -> Iterator[User]:
    with running.user("silver") as user:
        yield user
