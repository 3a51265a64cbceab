"""Stores in buckets of the run's S3 server, for tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from gateway.model.errors import Refusal
from gateway.ports import Store
from gateway.stores import STORES
from tests.stores.places import in_bucket
from tests.stores.servers.bucket import Server

MIB = 1 << 20
PREFIX = "cloud/images"
UNDONE = 8
"""Requests that take back what a put has left: those of the library's abort, the object and its uploads."""
OPENED: list[Store] = []


def opened(bucket: Server, **more: object) -> Store:
    OPENED.append(STORES["s3"](in_bucket(bucket, **{"prefix": PREFIX, "part_size": 5 * MIB, **more})))
    return OPENED[-1]


def refusal_of(attempt: Callable[[], object]) -> Refusal | None:
    try:
        attempt()
    except Refusal as refusal:
        return refusal
    return None


def until(holds: Callable[[], bool]) -> None:
    """Some things take a moment: the library keeps a secret for a few seconds, a request is on its way."""
    end = datetime.now(UTC).timestamp() + 30
    while not holds():
        assert datetime.now(UTC).timestamp() < end
