"""How long the image service behind the gateway may take to fill its stores: for as long as something of it moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from gateway.model.errors import Refusal
from gateway.model.image import Image, Status
from gateway.model.verdict import Verdict
from gateway.ports.upstream import Record, Upstream, Work
from gateway.service import upstream
from gateway.service.site import Progress

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = Image(id="i", owner="p", status=Status.QUEUED, visibility="private", created_at=NOW, updated_at=NOW)
VERDICT = Verdict(size=1, source_size=1, hashes={"sha512": "h"})


@dataclass
class Filling:
    """A service that tells of one import: a mark each time it is asked, active after the last one."""

    marks: list[str]
    limit: asyncio.Timeout | None = None
    ends: list[float] = field(default_factory=list)

    async def record(self, image_id: str, token: str | None = None) -> Record:
        status = "importing" if self.marks else "active"
        return Record(image=IMAGE, status=status, size=1, os_hash_algo="sha512", os_hash_value="h")

    async def filling(self, image_id: str) -> Work:
        if self.limit is not None:
            self.ends.append(cast(float, self.limit.when()))
        return Work(self.marks.pop(0) if len(self.marks) > 1 or self.limit else self.marks[0])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "POLL_SECONDS", 0.001)


def test_an_import_that_moves_may_go_on() -> None:
    async def ends() -> list[float]:
        async with asyncio.timeout(60) as limit:
            service = Filling(["a", "a", "b", "b"], limit)
            await upstream._filled(cast(Upstream, service), IMAGE, Progress(), limit)
        return service.ends

    first, moved, still, again = asyncio.run(ends())
    assert moved > first + upstream.LONGEST_SILENCE / 2
    assert still == moved < again


def test_an_import_that_does_not_move_ends_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "LONGEST_SILENCE", 0.05)
    service: Any = Filling(["a"])
    with pytest.raises(Refusal, match="nothing of it has moved") as refused:
        asyncio.run(upstream._settled(service, IMAGE, VERDICT, Progress()))
    assert refused.value.code == "upstream-failed"
