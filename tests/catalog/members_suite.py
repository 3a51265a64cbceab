"""What every catalog must do with members and with lists of imports. A database joins as it does `CatalogSuite`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.model.errors import BadRequest, Conflict, NotFound
from gateway.model.image import Move
from gateway.model.imports import ImportMove
from gateway.model.member import Member, MemberStatus
from gateway.ports import Catalog, Filter, ImageQuery, ImportQuery
from tests.catalog.made import ADMIN, ALICE, BOB, LATER, NOW, added, image, played, work


def member(image_id: str, project: str = "bob", **values: Any) -> Member:
    return Member(**{"image_id": image_id, "member_id": project, "created_at": NOW, "updated_at": NOW, **values})


async def shared(catalog: Catalog, *members: Member) -> None:
    async with catalog.begin() as tx:
        for one in members:
            await tx.add_member(one)


class MembersSuite:
    def test_members_come_back_as_they_were_added(self, place: Path) -> None:
        one = image()
        first, second = member(one.id, "zoe"), member(one.id, created_at=LATER, status=MemberStatus.REJECTED)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one, image())
            await shared(catalog, second, first)
            async with catalog.read() as tx:
                assert await tx.members(one.id) == [first, second]
                assert await tx.member(one.id, "bob") == second
                assert await tx.member(one.id, "nobody") is None

        played(place, scene)

    def test_a_project_is_a_member_once(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            await shared(catalog, member(one.id))
            with pytest.raises(Conflict):
                await shared(catalog, member(one.id, status=MemberStatus.ACCEPTED))
            async with catalog.read() as tx:
                assert await tx.members(one.id) == [member(one.id)]

        played(place, scene)

    def test_an_answer_changes_one_membership(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            await shared(catalog, member(one.id), member(one.id, "zoe"))
            async with catalog.begin() as tx:
                changed = await tx.change_member(one.id, "bob", MemberStatus.ACCEPTED, now=LATER)
            assert changed == member(one.id, status=MemberStatus.ACCEPTED, updated_at=LATER)
            async with catalog.begin() as tx:
                await tx.drop_member(one.id, "bob")
                assert await tx.members(one.id) == [member(one.id, "zoe")]

        played(place, scene)

    def test_members_that_are_not_there(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            with pytest.raises(NotFound):
                async with catalog.begin() as tx:
                    await tx.change_member(one.id, "bob", MemberStatus.ACCEPTED, now=LATER)
            with pytest.raises(NotFound):
                async with catalog.begin() as tx:
                    await tx.drop_member(one.id, "bob")

        played(place, scene)

    def test_of_many_that_share_at_once_one_wins(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            tries = [shared(catalog, member(one.id)) for _ in range(8)]
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict] * 7

        played(place, scene)

    def test_pages_survive_the_deletion_of_the_image_they_ended_with(self, place: Path) -> None:
        ones = [image(created_at=NOW + timedelta(seconds=n)) for n in range(3)]

        async def scene(catalog: Catalog) -> None:
            await added(catalog, *ones)
            await shared(catalog, *(member(one.id, status=MemberStatus.ACCEPTED) for one in ones))
            query = ImageQuery(caller=BOB, limit=2)
            async with catalog.begin() as tx:
                page = await tx.images(query)
                await tx.move_image(page[-1].id, Move.DELETE, now=LATER)
                rest = await tx.images(replace(query, marker=page[-1].id))
                assert [one.id for one in (*page, *rest)] == [one.id for one in ones[::-1]]

        played(place, scene)

    def test_a_marker_shows_nothing_of_an_image_out_of_sight(self, place: Path) -> None:
        one, two = image(), image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one, two)
            await shared(catalog, member(one.id, "zoe"))
            for hidden in (one, two):
                with pytest.raises(BadRequest):
                    async with catalog.read() as tx:
                        await tx.images(ImageQuery(caller=BOB, marker=hidden.id))

        played(place, scene)

    @pytest.mark.parametrize("visibility", ["private", "community", "public"])
    def test_a_membership_rests_while_the_image_is_not_shared(self, place: Path, visibility: str) -> None:
        one = image(visibility=visibility)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            await shared(catalog, member(one.id, status=MemberStatus.ACCEPTED))
            async with catalog.read() as tx:
                plain = await tx.images(ImageQuery(caller=BOB))
                asked = Filter(field="visibility", operator="eq", values=("shared",))
                assert await tx.images(ImageQuery(caller=BOB, filters=(asked,), member_status="all")) == []
            assert [found.id for found in plain] == ([one.id] if visibility == "public" else [])

        played(place, scene)

    def test_imports_are_listed_over_all_images(self, place: Path) -> None:
        ones = [image(), image(owner="bob")]
        works = [
            replace(work(one), owner=one.owner, created_at=NOW + timedelta(seconds=n)) for n, one in enumerate(ones)
        ]

        async def scene(catalog: Catalog) -> None:
            await added(catalog, *ones)
            async with catalog.begin() as tx:
                for one in works:
                    await tx.add_import(one)
                await tx.move_import(works[0].id, ImportMove.FAIL, attempt=None, now=LATER)

            async def ids(**values: Any) -> Sequence[str]:
                async with catalog.read() as tx:
                    return [found.id for found in await tx.all_imports(ImportQuery(**values))]

            first, second = (one.id for one in works)
            assert await ids() == [second, first]
            assert await ids(sort=(("created_at", False), ("id", False))) == [first, second]
            assert await ids(limit=1) == [second]
            assert await ids(limit=1, marker=second) == [first]
            assert await ids(owner="bob") == [second]
            assert await ids(status="failure") == [first]
            assert await ids(type="location_import") == []
            assert await ids(sort=(("updated_at", True), ("id", True))) == [first, second]
            with pytest.raises(BadRequest):
                await ids(marker="nobody")

        played(place, scene)

    def test_lists_of_the_owner_and_of_administrators_know_no_memberships(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            await shared(catalog, member(one.id, status=MemberStatus.REJECTED))
            async with catalog.read() as tx:
                for caller in (ALICE, ADMIN):
                    assert len(await tx.images(ImageQuery(caller=caller, member_status="accepted"))) == 1

        played(place, scene)
