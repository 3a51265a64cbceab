"""When an open import will start and end: estimates for whoever waits, computed from the queue and never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.model.imports import Import, ImportStatus
from gateway.model.turns import Waiting, order
from gateway.service.site import Site

_OPEN = (ImportStatus.PENDING, ImportStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class Outlook:
    """`position` counts from 1 in the order in which waiting imports start if nothing else happens, None for one that
    waits for no turn. `expected_at` is when it ends at the pace of the moment, None where that is not known.
    """

    position: int | None = None
    expected_at: datetime | None = None


NOTHING = Outlook()


async def outlooks(site: Site, works: Iterable[Import]) -> Mapping[str, Outlook]:
    """Of those imports that are open, by their ids."""
    asked = {work.id for work in works if work.status in _OPEN and not work.parked}
    if not asked:
        return {}
    async with site.catalog.read() as tx:
        running = await tx.running_imports()
        waiting = await tx.waiting_imports()
        turns = order(await tx.standings(), waiting, await tx.turn()) if waiting else []
    found = _running(running, site.clock.now()) | _waiting(turns, waiting, running, site.clock.now())
    return {work_id: found[work_id] for work_id in asked if work_id in found}


def _running(running: Sequence[Import], now: datetime) -> dict[str, Outlook]:
    return {work.id: Outlook(expected_at=_after(_left(work), _rate(work, now), now)) for work in running}


def _waiting(
    turns: Sequence[str], waiting: Sequence[Waiting], running: Sequence[Import], now: datetime
) -> dict[str, Outlook]:
    """What is before an import is done by all that runs together, at the rate of now."""
    costs = {one.id: one.cost for one in waiting}
    rate = sum(_rate(work, now) or 0 for work in running)
    ahead: int | None = _sum([_left(work) for work in running])
    found = {}
    for position, work_id in enumerate(turns, 1):
        ahead = _sum([ahead, costs[work_id] or None])
        found[work_id] = Outlook(position, _after(ahead, rate, now))
    return found


def _sum(sizes: Iterable[int | None]) -> int | None:
    """None where one of them is not known."""
    known = list(sizes)
    return None if None in known else sum(size or 0 for size in known)


def _left(work: Import) -> int | None:
    return None if work.bytes_total is None else max(work.bytes_total - work.bytes_done, 0)


def _rate(work: Import, now: datetime) -> float | None:
    """Bytes a second since its attempt began."""
    if work.begun_at is None or now <= work.begun_at:
        return None
    return work.bytes_done / (now - work.begun_at).total_seconds()


def _after(size: int | None, rate: float | None, now: datetime) -> datetime | None:
    if size is None or not rate:
        return None
    seconds = size / rate
    return now + timedelta(seconds=seconds) if seconds < timedelta(days=366).total_seconds() else None
