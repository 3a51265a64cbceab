"""A gateway that stands still: what it holds is let go of, and those who wait for it are made good for that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.model.errors import Unavailable
from gateway.model.imports import Import
from gateway.model.process import Process
from gateway.ports import Catalog
from tests.catalog import postgres
from tests.catalog.made import NOW, image, played, work

pytestmark = postgres.needed

LEASE = timedelta(hours=3)
"""Two signs of life are an hour apart, whatever the machine is busy with."""


async def asked(catalog: Catalog, *projects: str) -> None:
    for number, project in enumerate(projects):
        async with catalog.begin() as tx:
            made = image()
            await tx.add_image(made)
            await tx.add_import(work(made, project=project, created_at=NOW + timedelta(seconds=number)))


async def claimed(catalog: Catalog, runner: str) -> Import:
    async with catalog.begin() as tx:
        found = await tx.claim_import(runner, cap=None, now=NOW)
    assert found is not None
    return found


async def beaten(catalog: Catalog, name: str, ago: timedelta) -> None:
    async with catalog.begin() as tx:
        at = await tx.clock() - ago
        await tx.beat(Process(id=name, host=name, slots=4, lease=LEASE, started_at=at, beat_at=at))


async def frozen(catalog: Catalog, taken: list[Import]) -> None:
    """One claims, and says nothing more, while another one claims."""
    async with catalog.begin() as tx:
        first = await tx.claim_import("frozen", cap=None, now=NOW)
        assert first is not None
        taken += [first, await claimed(catalog, "other")]
        await tx.queued()


def test_one_that_freezes_while_it_claims_keeps_nobody_from_claiming() -> None:
    async def scene(catalog: Catalog) -> None:
        await asked(catalog, "a", "a")
        taken: list[Import] = []
        with pytest.raises(Unavailable):
            await frozen(catalog, taken)
        assert len({one.id for one in taken}) == 1, "what was not committed was not taken"

    played(postgres.fresh(), scene)


@pytest.mark.parametrize(("ago", "owed"), [(timedelta(0), 0), (timedelta(hours=2), 1)])
def test_a_project_is_owed_a_place_where_its_gateway_is_silent(ago: timedelta, owed: int) -> None:
    async def scene(catalog: Catalog) -> None:
        await beaten(catalog, "there", ago)
        await asked(catalog, "a", "b")
        await claimed(catalog, "there")
        async with catalog.read() as tx:
            assert {one.project: one.owed for one in await tx.standings()} == {"a": owed, "b": 0}

    played(postgres.fresh(), scene)


def test_a_project_that_lost_a_gateway_has_one_place_more_while_it_is_made_good() -> None:
    async def scene(catalog: Catalog) -> None:
        await beaten(catalog, "here", timedelta(0))
        await beaten(catalog, "dead", timedelta(0))
        await asked(catalog, "a", "a", "a", "b", "b")
        lost = await claimed(catalog, "dead")
        async with catalog.begin() as tx:
            await tx.leave("dead")
            assert await tx.release_imports() == 1
        assert (await claimed(catalog, "here")).id == lost.id
        assert [(await claimed(catalog, "here")).project for _ in range(3)] == ["b", "a", "b"]

    played(postgres.fresh(), scene)
