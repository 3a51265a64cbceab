"""What other processes do to bytes that come in here: they cannot tell a delivery so, but they doom its row.

So an upload or a fetch ends here when its image is deleted there, or its import is begun anew there.
"""

from __future__ import annotations

import asyncio
import logging

from gateway.jobs.rounds import one_round
from gateway.model.errors import Cancelled
from gateway.service.site import Site

log = logging.getLogger(__name__)


async def forever(site: Site) -> None:
    while True:
        await asyncio.sleep(site.limits.progress_interval.total_seconds())
        with one_round(log, "deliveries go on unseen"):
            await look(site)


async def look(site: Site) -> None:
    """Tell the deliveries to fail whose blob nobody wants any more. Raises Unavailable."""
    if not site.writing:
        return
    async with site.catalog.read() as tx:
        doomed = await tx.doomed_among(list(site.writing))
    site.halt(Cancelled("The image was deleted, or its import was begun anew."), doomed)
