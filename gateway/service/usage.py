"""Holding projects to their quotas: what a plan lets a project have, against what the records say it has.

Rule 1: the records change first and the quota is looked at in the same transaction, so that of many requests at once
exactly those that fit are let in. Rule 2: bytes are charged before they are stored. An announced size is charged
whole, at the beginning; without one the charge grows in steps as the bytes come. (Charging what the policy caps an
image at instead would let a project send a single image of unknown size at a time.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.model.caller import Caller
from gateway.model.errors import OverQuota
from gateway.model.image import Blob
from gateway.model.usage import Counted, Quota
from gateway.policy.offers import Offers, offers
from gateway.policy.wording import over_quota
from gateway.ports import Transaction
from gateway.service.judge import asking
from gateway.service.site import Site

STEP = 64 << 20
"""Bytes a charge grows by, while there is room for it."""


async def hold(
    tx: Transaction, project: str | None, quotas: Sequence[Quota], asked: Mapping[Counted, int], *, coming: int = 0
) -> None:
    """Refuse what this transaction has just added, where the project now has more than each of `quotas` lets it have.

    `asked` is what was added, by what is counted; nothing else is looked at. `coming` are bytes that will surely be
    charged later: they have to fit now, and are not set aside. Raises OverQuota.
    """
    asked = {**asked, Counted.SIZE: asked[Counted.SIZE] + coming} if coming else asked
    limited = [counted for counted in asked if any(quota.limit(counted) is not None for quota in quotas)]
    used = {counted: await tx.used(project, counted, lock=True) for counted in limited}
    if coming and Counted.SIZE in used:
        used[Counted.SIZE] += coming
    exceeded = [_exceeded(quota, used) for quota in quotas]
    if exceeded and None not in exceeded:
        counted, quota = exceeded[0], quotas[0]
        assert counted is not None
        raise _refusal(counted, quota.limit(counted) or 0, used[counted] - asked[counted], asked[counted])


def _exceeded(quota: Quota, used: Mapping[Counted, int]) -> Counted | None:
    """What of `used` is more than `quota` lets a project have."""
    limits = ((counted, quota.limit(counted)) for counted in used)
    return next((counted for counted, limit in limits if limit is not None and used[counted] > limit), None)


def _refusal(counted: Counted, limit: int, used: int, asked: int) -> OverQuota:
    message, remedy = over_quota(counted, limit, used, asked)
    return OverQuota(message, remedy=remedy)


def capacity(quotas: Sequence[Quota]) -> int | None:
    """The most bytes a project may be charged with; None where one of the quotas does not say."""
    sizes = [quota.max_total_size for quota in quotas]
    return None if None in sizes else max((size for size in sizes if size is not None), default=None)


async def charge(tx: Transaction, project: str | None, blob: Blob, quotas: Sequence[Quota], size: int | None) -> None:
    """Charge a blob that is about to be written: with its announced size, or with a first byte. Raises OverQuota."""
    first = 1 if size is None else size
    if capacity(quotas) is not None:
        await tx.charge(blob.id, first)
    await hold(tx, project, quotas, {Counted.SIZE: first})


@dataclass(slots=True, kw_only=True)
class Meter:
    """Charges a blob as it grows; asked in the thread that writes it. Made on the event loop.

    `charged` is what it is charged with so far, `elsewhere` how much of that stands with other blobs, `capacity` the
    most its project may have.
    """

    site: Site
    blob: Blob
    project: str | None
    capacity: int | None
    charged: int
    elsewhere: int = 0
    stored: int = 0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def count(self, more: int) -> None:
        """So many more bytes are about to be stored. Raises OverQuota, Unavailable."""
        self.stored += more
        self.expect(self.stored)

    def expect(self, size: int | None) -> None:
        """The blob will have `size` bytes: charge them now, so that what cannot fit is not fetched first."""
        if self.capacity is not None and size is not None and size > self.charged:
            asyncio.run_coroutine_threadsafe(self._grow(size, self.capacity), self.loop).result()

    async def _grow(self, size: int, capacity: int) -> None:
        """Near its end, what is left of a quota is handed out in smaller steps: others may fit in yet."""
        needed = size - self.charged
        async with self.site.catalog.begin() as tx:
            await tx.charge(self.blob.id, size - self.elsewhere)
            used = await tx.used(self.project, Counted.SIZE, lock=True) - needed
            if used + needed > capacity:
                raise _refusal(Counted.SIZE, capacity, used, needed)
            charged = self.charged + max(needed, min(STEP, (capacity - used) // 4))
            await tx.charge(self.blob.id, charged - self.elsewhere)
        self.charged = charged


def meter(
    site: Site, blob: Blob, project: str | None, quotas: Sequence[Quota], size: int | None, elsewhere: int = 0
) -> Meter:
    """The Meter of a blob that has been charged by `charge`, with the same size; or of one whose bytes are charged
    `elsewhere`, to the parts it is made of.
    """
    charged, most = 1 if size is None else size, capacity(quotas)
    return Meter(site=site, blob=blob, project=project, capacity=most, charged=charged, elsewhere=elsewhere)


async def offered(site: Site, caller: Caller) -> Offers:
    """What the tree in force offers the caller now."""
    policy = site.policy.current
    return offers(policy, await asking(site, policy, caller), stages=site.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a project has of one thing, and the most it may have; None means unlimited."""

    used: int
    limit: int | None


async def usage(site: Site, caller: Caller) -> Mapping[Counted, Count]:
    """Everything that is counted for the caller's project. What is unfinished shares the limit of all bytes."""
    quotas = (await offered(site, caller)).quotas
    async with site.catalog.read() as tx:
        used = {counted: await tx.used(caller.project_id, counted) for counted in Counted}
    return {counted: Count(used=amount, limit=_most(quotas, counted)) for counted, amount in used.items()}


def _most(quotas: Sequence[Quota], counted: Counted) -> int | None:
    limits = [quota.limit(Counted.SIZE if counted is Counted.UNFINISHED else counted) for quota in quotas]
    return None if None in limits else max((limit for limit in limits if limit is not None), default=None)
