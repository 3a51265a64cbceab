"""Sharing an image: its project names other projects, and each of them accepts or rejects for itself.

The order of checks and the rights are Glance's defaults ("Sharing" in the Images API reference): the owner adds and
removes, a member answers, both read; of other members a member learns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.caller import Caller
from gateway.model.errors import Forbidden, NotFound, TooLarge
from gateway.model.image import Image
from gateway.model.member import Member, MemberStatus
from gateway.ports import Transaction
from gateway.service.images import visible, writable
from gateway.service.site import Site


async def members(site: Site, caller: Caller, image_id: str) -> Sequence[Member]:
    """All members for the owner, its own membership for a member. Raises NotFound, Forbidden."""
    async with site.catalog.read() as tx:
        image = await _shared(tx, caller, image_id)
        if _owns(caller, image):
            return await tx.members(image_id)
        own = await tx.member(image_id, caller.project_id)
    return [own] if own is not None else []


async def member(site: Site, caller: Caller, image_id: str, member_id: str) -> Member:
    """Raises NotFound, also for what the caller may not see."""
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        return await _membership(tx, caller, image, member_id)


async def add(site: Site, caller: Caller, image_id: str, member_id: str) -> Member:
    """Share with one more project, as pending. Raises NotFound, Forbidden, TooLarge, Conflict."""
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        await _shared(tx, caller, image_id)
        await writable(tx, caller, image_id)
        if len(await tx.members(image_id)) >= site.limits.members:
            raise TooLarge(
                f"Image {image_id} is shared with {site.limits.members} projects; no more are allowed.",
                remedy="Remove a member first, or make the image 'community'.",
                code="too-many-members",
            )
        added = Member(image_id=image_id, member_id=member_id, created_at=now, updated_at=now)
        await tx.add_member(added)
    return added


async def answer(site: Site, caller: Caller, image_id: str, member_id: str, status: MemberStatus) -> Member:
    """The member's own decision; an owner cannot take it. Raises NotFound, Forbidden."""
    async with site.catalog.begin() as tx:
        image = await _shared(tx, caller, image_id)
        await _membership(tx, caller, image, member_id)
        if not _answers(caller, member_id):
            raise Forbidden(
                f"Not allowed to update members for image {image_id}.",
                remedy="Only a user with the role 'member' in that project may answer for it.",
            )
        return await tx.change_member(image_id, member_id, status, now=site.clock.now())


async def remove(site: Site, caller: Caller, image_id: str, member_id: str) -> None:
    """Raises NotFound, Forbidden."""
    async with site.catalog.begin() as tx:
        image = await _shared(tx, caller, image_id)
        await _membership(tx, caller, image, member_id)
        await writable(tx, caller, image_id)
        await tx.drop_member(image_id, member_id)


async def _shared(tx: Transaction, caller: Caller, image_id: str) -> Image:
    image = await visible(tx, caller, image_id)
    if image.visibility != "shared":
        raise Forbidden(
            f"Only shared images have members; image {image_id} is {image.visibility}.",
            remedy="Set its 'visibility' to 'shared' first.",
            code="not-shared",
        )
    return image


async def _membership(tx: Transaction, caller: Caller, image: Image, member_id: str) -> Member:
    """One membership, for those who may know of it."""
    found = await tx.member(image.id, member_id) if image.visibility == "shared" else None
    if found is None or not (_owns(caller, image) or member_id == caller.project_id):
        raise NotFound(f"{member_id} not found in the member list of the image {image.id}.")
    return found


def _owns(caller: Caller, image: Image) -> bool:
    return caller.is_admin or image.owner == caller.project_id


def _answers(caller: Caller, member_id: str) -> bool:
    return caller.is_admin or ("member" in caller.roles and member_id == caller.project_id)
