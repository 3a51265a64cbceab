"""The servers behind the tests' services: each started once, by who needs it first, and gone with this process.

Who starts many test runs (`python -m tests.matrix`) starts them himself and names them in GATEWAY_TEST_SERVERS.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.serving.held import Held

S3 = os.environ.get("GATEWAY_TEST_S3", "moto")
"""Which server stands behind `s3`: moto, or rgw, the object gateway of Ceph."""
GIVEN = "GATEWAY_TEST_SERVERS"
"""The variable that names a file with servers that run already."""


@cache
def server(name: str) -> Any:
    """What a client needs to know of the server. Raises what its module raises where it cannot be had."""
    if name in (given := _given()):
        return given[name]
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(started(name))


@contextmanager
def started(name: str) -> Iterator[Any]:
    """A server of its own; what it gives can be told to other processes."""
    if name == "postgresql":
        from tests.catalog import postgres

        with postgres.server(fsync=False) as running:
            running.database()  # makes the template that others copy
            yield running
    else:
        with importlib.import_module(f"tests.stores.servers.{name}").server() as running:
            yield running


def needed(catalog: str, store: str, s3: str = S3) -> tuple[str, ...]:
    """The servers of a catalog and a store by their kinds."""
    stores = {"filesystem": (), "s3": (s3,), "swift": ("swift",)}[store]
    return (*stores, *(("postgresql",) if catalog == "postgresql" else ()))


def _given() -> Mapping[str, Any]:
    file = os.environ.get(GIVEN)
    found: Mapping[str, Any] = pickle.loads(Path(file).read_bytes()) if file else {}
    return found


def database() -> str:
    """The URL of a fresh PostgreSQL database."""
    return str(server("postgresql").database())


def _kind(store: str) -> Any:
    return importlib.import_module(f"tests.serving.held_{store}")


def _server_of(store: str) -> Any:
    return server(S3 if store == "s3" else store)


def held(store: str, prefix: str) -> Held:
    found: Held = _kind(store).held(_server_of(store), prefix)
    return found


def credentials(store: str) -> Mapping[str, Any]:
    """The `credentials` of gateway.yaml."""
    found: Mapping[str, Any] = _kind(store).credentials(_server_of(store))
    return found


def store_settings(store: str, prefix: str) -> Mapping[str, Any]:
    """The settings of one store, but for its name."""
    found: Mapping[str, Any] = _kind(store).settings(_server_of(store), prefix)
    return found
