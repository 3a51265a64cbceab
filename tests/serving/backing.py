"""What the tests' services stand on: a catalog and the stores of one kind each, as the environment says.

A service is known by its data folder: what was made for it the first time is what it finds when it starts again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.serving import servers
from tests.serving.held import Folder, Held

CATALOG = os.environ.get("GATEWAY_TEST_CATALOG", "sqlite")
STORE = os.environ.get("GATEWAY_TEST_STORE", "filesystem")

on_sqlite = pytest.mark.skipif(CATALOG != "sqlite", reason="about SQLite's own file")
on_disk = pytest.mark.skipif(STORE != "filesystem", reason="about the folder of a filesystem store")


@cache
def catalog_url(data: Path) -> str:
    """The records of the service with this data folder, as gateway.yaml and `open_catalog` take them."""
    return f"sqlite:///{data / 'records.sqlite'}" if CATALOG == "sqlite" else servers.database()


@cache
def _mark(data: Path) -> str:
    """What the names of this service's objects begin with."""
    return uuid4().hex


def held(data: Path, store: str = "local") -> Held:
    """What one of the service's stores holds."""
    if STORE == "filesystem":
        return Folder(data / "blobs" / store)
    return servers.held(STORE, f"{_mark(data)}/{store}")


def backed(settings: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """The settings over this run's catalog and stores, where they do not name their own."""
    made = dict(settings)
    if CATALOG != "sqlite" and "catalog" not in made:
        made["catalog"] = {"url": catalog_url(data)}
    if STORE != "filesystem":
        made["stores"] = [_placed(store, data) for store in made.get("stores", [{"name": "local", "default": True}])]
        made["credentials"] = {**made.get("credentials", {}), **servers.credentials(STORE)}
    return made


def _placed(store: Mapping[str, Any], data: Path) -> dict[str, Any]:
    if store.get("type", "filesystem") != "filesystem" or "path" in store:
        return dict(store)
    given = {key: value for key, value in store.items() if key != "type"}
    return {**given, **servers.store_settings(STORE, f"{_mark(data)}/{store['name']}")}


def stood(home: Path, arguments: Sequence[str]) -> list[str]:
    """The arguments of `import-gateway serve` in the folder `home`, its settings file being `backed`."""
    words = list(arguments)
    if (CATALOG, STORE) == ("sqlite", "filesystem"):
        return words
    if "--config" not in words:
        words += ["--config", "backing.yaml"]
    file = home / words[words.index("--config") + 1]
    settings = yaml.safe_load(file.read_text()) if file.exists() else {}
    data = home / (words[words.index("--data") + 1] if "--data" in words else (settings or {}).get("data", "data"))
    file.write_text(json.dumps(backed(settings or {}, data)))
    return words
