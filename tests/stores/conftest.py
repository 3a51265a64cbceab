"""A bucket for each test, on the S3 server of the run's choice: moto's, or with GATEWAY_TEST_S3=rgw Ceph's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.ports import Store
from tests.serving import servers
from tests.stores.buckets import OPENED, opened
from tests.stores.servers.bucket import Auditor, Server, auditor, fresh


@pytest.fixture(scope="module")
def server() -> Server:
    return servers.server(servers.S3)  # type: ignore[no-any-return]


@pytest.fixture
def bucket(server: Server) -> Iterator[Server]:
    with fresh(server) as made:
        yield made


@pytest.fixture
def witness(bucket: Server) -> Auditor:
    return auditor(bucket)


@pytest.fixture
def store(bucket: Server) -> Store:
    return opened(bucket)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def machines_keys(bucket: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.secret_key)


@pytest.fixture(params=["ours", "the library's"])
def either(request: pytest.FixtureRequest, bucket: Server, machines_keys: None) -> Store:
    """A store that sends parts by requests of our own, or one that has no keys of ours to sign them with."""
    return opened(bucket) if request.param == "ours" else opened(bucket, login=None)
