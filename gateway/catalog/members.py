"""Members of images: the projects an image is shared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import image_members
from gateway.model.errors import Conflict, NotFound
from gateway.model.member import Member, MemberStatus

_MEMBERS = select(image_members)


def _member(row: Row[Any]) -> Member:
    values = dict(row._mapping)
    values["status"] = MemberStatus(values["status"])
    return Member(**values)


def _one(image_id: str, member_id: str) -> ColumnElement[bool]:
    return and_(image_members.c.image_id == image_id, image_members.c.member_id == member_id)


def _missing(image_id: str, member_id: str) -> NotFound:
    return NotFound(
        f"{member_id} not found in the member list of the image {image_id}.",
        remedy="GET /v2/images/{id}/members lists its members.",
    )


class Members(Rows):
    async def member(self, image_id: str, member_id: str) -> Member | None:
        row = await self._first(_MEMBERS.where(_one(image_id, member_id)))
        return _member(row) if row else None

    async def members(self, image_id: str) -> Sequence[Member]:
        oldest_first = (image_members.c.created_at, image_members.c.member_id)
        rows = await self._all(_MEMBERS.where(image_members.c.image_id == image_id).order_by(*oldest_first))
        return [_member(row) for row in rows]

    async def add_member(self, member: Member) -> None:
        values = {column.name: getattr(member, column.name) for column in image_members.c}
        refusal = Conflict(
            f"Member {member.member_id} is duplicated for image {member.image_id}",
            remedy="It is a member already.",
            code="member-exists",
        )
        await self._add(image_members, values | {"status": member.status.value}, refusal)

    async def change_member(self, image_id: str, member_id: str, status: MemberStatus, *, now: datetime) -> Member:
        statement = update(image_members).where(_one(image_id, member_id))
        await self._change(statement.values(status=status.value, updated_at=now))
        member = await self.member(image_id, member_id)
        if member is None:
            raise _missing(image_id, member_id)
        return member

    async def drop_member(self, image_id: str, member_id: str) -> None:
        if not await self._change(delete(image_members).where(_one(image_id, member_id))):
            raise _missing(image_id, member_id)
