"""The ports of the house. Their docstrings are the contracts; a conformance suite holds each adapter to them.

Catalog, Identity and Jobs are asynchronous (they wait for a database or a server); Store, Method and DecisionLog are
synchronous and run in worker threads, because bytes move in threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from gateway.model.caller import Caller
from gateway.ports.records import Catalog, Filter, ImageQuery, ImportQuery, Transaction
from gateway.ports.sources import (
    Describes,
    Description,
    Method,
    Source,
    SourceRequest,
    Store,
    Target,
)
from gateway.stages.stage import BLOCK_SIZE, LASTING, Block

__all__ = [
    "BLOCK_SIZE",
    "LASTING",
    "Block",
    "Catalog",
    "Clock",
    "DecisionLog",
    "Describes",
    "Description",
    "Filter",
    "Identity",
    "ImageQuery",
    "ImportQuery",
    "Jobs",
    "Method",
    "Source",
    "SourceRequest",
    "Store",
    "Target",
    "Transaction",
]


class Clock(Protocol):
    """Time as a value. `now` is aware UTC; `monotonic` seconds only ever grow."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class Identity(Protocol):
    """Turns a request's headers into a Caller."""

    async def identify(self, headers: Mapping[str, str], *, method: str, path: str) -> Caller:
        """`headers` has lower-case names; `path` is the canonical one, for credentials that open only some calls.

        Raises NotAuthenticated (401) or Unavailable (503), never anything else.
        """
        ...

    def challenge(self) -> str:
        """The WWW-Authenticate value a 401 carries."""
        ...

    async def aclose(self) -> None:
        """Let go of connections. Nobody is identified afterwards."""
        ...


class DecisionLog(Protocol):
    """Where every decision is written before it takes effect."""

    def record(self, entry: Mapping[str, object]) -> None:
        """Append one decision (JSON values only). Raises Unavailable if it cannot be kept: then nothing happens."""
        ...


class Jobs(Protocol):
    """Who carries out imports: at least once each, until they have ended.

    The queue is the records' own (`Transaction.claim_import`): an import is in it from the transaction that adds it.
    There is no cancel: an import whose row has ended finds its attempt fenced out.
    """

    def kick(self) -> None:
        """Look now: something was put into the queue."""
        ...

    async def close(self) -> None:
        """Start nothing any more, and give back what runs: another process may go on with it at once."""
        ...
