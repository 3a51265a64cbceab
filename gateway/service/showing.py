"""What is shown of one image beyond its record: how its import goes, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.model.caller import Caller
from gateway.model.image import Image
from gateway.model.imports import Import, ImportStatus
from gateway.ports import Transaction
from gateway.service.images import visible
from gateway.service.locations import Location, for_owner
from gateway.service.site import Site

LINGERING = timedelta(minutes=10)
"""How long the lists of stores of an ended import are shown: clients that poll have to see that nothing is left."""


@dataclass(frozen=True, slots=True)
class Shown:
    """`work` is the import whose stores are shown; `locations` None says that they are not this caller's to see."""

    image: Image
    work: Import | None
    locations: Sequence[Location] | None


async def show(site: Site, caller: Caller, image_id: str, *, locations: bool = False) -> Shown:
    """One image. Raises NotFound."""
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        work = await told(site, tx, image)
    return Shown(image, work, await for_owner(site, caller, image) if locations else None)


async def told(site: Site, tx: Transaction, image: Image) -> Import | None:
    """The import whose stores are shown: an open one, or one that ended lately and whose end the status does not tell.

    An import that went well everywhere leaves nothing behind: tools that copy properties would stumble over it.
    """
    works = await tx.imports(image.id)
    if not works or image.import_id is not None:
        return works[0] if works else None
    last = works[0]
    untold = last.method == "copy-image" or last.status is ImportStatus.FAILURE or last.stores_failed
    return last if untold and site.clock.now() - last.updated_at < LINGERING else None
