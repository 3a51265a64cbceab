"""What the site's stores are, and taking an image out of one of them."""

from __future__ import annotations

from typing import Any

from gateway.model.caller import Caller
from gateway.model.errors import Conflict, Forbidden, NotFound
from gateway.model.image import Status
from gateway.service.images import doom, visible
from gateway.service.places import last_copy
from gateway.service.site import Site


def details(site: Site, caller: Caller) -> dict[str, dict[str, Any]]:
    """What only operators and other services see of each store, by name. Raises Forbidden."""
    if not (caller.is_admin or caller.is_service):
        raise Forbidden("Details of stores are for administrators.", remedy="GET /v2/info/stores lists the stores.")
    return {
        name: {"type": store.kind, "weight": site.weights.get(name, 0), "properties": dict(store.properties)}
        for name, store in site.stores.items()
    }


async def delete_from(site: Site, caller: Caller, store: str, image_id: str) -> None:
    """`DELETE /v2/stores/{store}/{image}`. The other copies stay.

    Raises Conflict (unknown store, image not active), NotFound, Forbidden (the last copy, or not an administrator).
    """
    if store not in site.stores:
        raise Conflict(
            f"Store for identifier {store} not found",
            remedy=f"Stores here: {', '.join(site.stores)}.",
            code="unknown-store",
        )
    async with site.catalog.begin() as tx:
        image = await visible(tx, caller, image_id)
        if not caller.is_admin:
            raise Forbidden("Copies of images are removed by administrators.", remedy="Delete the image instead.")
        if image.status is not Status.ACTIVE:
            raise Conflict(
                f"Image {image_id} is {image.status}; only copies of active images are removed.",
                remedy="Wait until it is active.",
                code="status-conflict",
            )
        blobs = await tx.locations(image_id)
        here = [blob for blob in blobs if blob.store == store]
        if not here:
            raise NotFound(f"Image {image_id} is not in store {store}.", remedy="Its 'stores' lists where it is.")
        if len(here) == len(blobs):
            raise last_copy(store)
        await doom(tx, here)
    site.kick_reaper()
