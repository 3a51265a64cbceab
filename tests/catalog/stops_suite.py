"""What every catalog must do with emergency stops. A database joins as it does `CatalogSuite`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.model.errors import NotFound
from gateway.model.stop import Stop, StopKind
from gateway.ports import Catalog
from tests.catalog.made import LATER, NOW, played


def stop(name: str, **values: Any) -> Stop:
    given = {"kind": StopKind.HOST, "value": "*.bad.example", "message": "Off for now.", "reason": "INC-1"}
    return Stop(**{"id": name, "added_by": "ops", "added_at": NOW, **given, **values})


async def stopped(catalog: Catalog, *stops: Stop) -> None:
    async with catalog.begin() as tx:
        for one in stops:
            await tx.add_stop(one)


class StopsSuite:
    def test_stops_outlive_the_process_oldest_first(self, place: Path) -> None:
        first, second = stop("b"), stop("a", kind=StopKind.METHOD, value="web-download", added_at=LATER)
        played(place, lambda catalog: stopped(catalog, second, first))

        async def scene(catalog: Catalog) -> None:
            async with catalog.read() as tx:
                assert await tx.stops() == [first, second]

        played(place, scene)

    def test_a_lifted_stop_is_kept_with_who_and_why(self, place: Path) -> None:
        async def scene(catalog: Catalog) -> None:
            await stopped(catalog, stop("a"), stop("b", added_at=LATER))
            async with catalog.begin() as tx:
                lifted = await tx.lift_stop("a", by="root", reason="fixed", now=LATER)
            assert (lifted.lifted_by, lifted.lifted_reason, lifted.lifted_at) == ("root", "fixed", LATER)
            async with catalog.read() as tx:
                assert [one.id for one in await tx.stops()] == ["b"]
                assert await tx.stops(lifted=True) == [lifted, stop("b", added_at=LATER)]

        played(place, scene)

    @pytest.mark.parametrize("times", [0, 1])
    def test_what_is_not_in_force_cannot_be_lifted(self, place: Path, times: int) -> None:
        async def scene(catalog: Catalog) -> None:
            await stopped(catalog, *[stop("a")] * times)
            for _ in range(times):
                async with catalog.begin() as tx:
                    await tx.lift_stop("a", by="root", reason="", now=NOW)
            with pytest.raises(NotFound):
                async with catalog.begin() as tx:
                    await tx.lift_stop("a", by="other", reason="again", now=LATER)
            async with catalog.read() as tx:
                assert [one.lifted_by for one in await tx.stops(lifted=True)] == ["root"] * times

        played(place, scene)
