"""What stores are opened with in tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.ports import Source
from gateway.stores import Login, Place

if TYPE_CHECKING:
    from tests.stores.servers.bucket import Server


def nowhere(url: str) -> Source:
    raise AssertionError(f"nothing fetches {url} here")


def place(folder: Path, fetch: Callable[[str], Source] = nowhere) -> Place:
    """A store called `local`; a sealed key is its URL reversed."""
    return Place(name="local", folder=folder, unseal=lambda key: key[::-1], fetch=fetch)


def in_bucket(server: Server, prefix: str = "", **more: Any) -> Place:
    """A store called `remote` on a server that speaks S3."""
    login = Login(name="bucket", kind="s3", user=server.access_key, secret=lambda: server.secret_key)
    settings = {"bucket": server.bucket, "endpoint": server.endpoint, "region": server.region, "login": login, **more}
    return replace(place(Path(), nowhere), name="remote", prefix=prefix, **settings)
