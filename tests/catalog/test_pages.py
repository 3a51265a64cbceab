"""Pages of a list against a plain Python model: filters, tags, sorting by any keys, markers."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cmp_to_key
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.catalog import open_catalog, seldom
from gateway.model.caller import Caller
from gateway.model.image import Image
from gateway.model.member import MemberStatus
from gateway.ports import Filter, ImageQuery, Transaction
from tests.catalog import postgres
from tests.catalog.made import ADMIN, ALICE, BOB, NOW, added, image
from tests.catalog.members_suite import member, shared

FIELDS = ("name", "size", "min_disk", "protected", "created_at", "visibility", "disk_format", "owner", "status")
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq,
}  # fmt: skip
COUNT = 60


def collection() -> list[Image]:
    """Images with many equal and many missing values, so that ties and nulls decide."""
    return [
        image(
            id=str(UUID(int=n * 7919 % 1009)),
            owner=("alice", "bob", "carol", None)[n % 4],
            name=(None, "a", "B", "é", "a b")[n % 5],
            size=(None, 0, 5, 1 << 40)[n % 4],
            min_disk=n % 3,
            protected=n % 7 == 0,
            disk_format=(None, "raw", "qcow2")[n // 2 % 3],
            visibility=("private", "public", "community", "shared")[n // 3 % 4],
            os_hidden=n % 11 == 0,
            created_at=NOW + timedelta(seconds=n % 6, microseconds=n % 2),
            tags=tuple(tag for tag in ("x", "y") if (n + ord(tag)) % 3),
            properties={"os": ("debian", "ubuntu")[n % 2]} if n % 3 else {},
        )
        for n in range(COUNT)
    ]


IMAGES = collection()
MEMBERSHIPS = {
    (one.id, project): tuple(MemberStatus)[n % 3]
    for n, one in enumerate(IMAGES)
    for project in ("bob", "carol", "nobody")
    if (n + len(project)) % 2
}


def values_of(field: str) -> st.SearchStrategy[Any]:
    if field == "os":
        return st.sampled_from(["debian", "ubuntu", "none"])
    return st.sampled_from(sorted({value for one in IMAGES if (value := getattr(one, field)) is not None}))


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    field = draw(st.sampled_from([*FIELDS, "os"]))
    how = draw(st.sampled_from([*ORDER, "neq", "in"]))
    values = draw(st.lists(values_of(field), min_size=1, max_size=3 if how == "in" else 1))
    return Filter(field=field, operator=how, values=tuple(values))


sorts = st.lists(st.tuples(st.sampled_from(FIELDS), st.booleans()), max_size=3, unique_by=lambda key: key[0])
queries = st.builds(
    ImageQuery,
    caller=st.sampled_from([ALICE, BOB, ADMIN, Caller(project_id="nobody", user_id="n")]),
    filters=st.lists(filters(), max_size=2).map(tuple),
    tags=st.lists(st.sampled_from("xyz"), max_size=2).map(tuple),
    sort=st.builds(lambda keys, descending: (*keys, ("id", descending)), sorts, st.booleans()),
    limit=st.integers(1, 9),
    hidden=st.booleans(),
    member_status=st.sampled_from([*map(str, MemberStatus), "all"]),
)


def modelled(query: ImageQuery) -> list[Image]:
    def sees(one: Image) -> bool:
        if one.owner == query.caller.project_id or one.visibility == "public":
            return True
        if query.caller.is_admin and one.visibility != "community":
            return True
        if one.visibility == "shared" and (status := MEMBERSHIPS.get((one.id, query.caller.project_id))):
            return query.member_status in (status, "all")
        return one.visibility == "community" and any(
            item.field == "visibility" and item.operator in ("eq", "in") and "community" in item.values
            for item in query.filters
        )

    def holds(one: Image, item: Filter) -> bool:
        value = one.properties.get(item.field) if item.field == "os" else getattr(one, item.field)
        if item.operator == "in":
            return value in item.values
        if item.operator == "neq":
            return bool(value != item.values[0])
        return value is not None and ORDER[item.operator](value, item.values[0])

    found = [one for one in IMAGES if one.os_hidden == query.hidden and sees(one)]
    found = [one for one in found if all(holds(one, item) for item in query.filters) and {*query.tags} <= {*one.tags}]
    return sorted(found, key=cmp_to_key(lambda a, b: compared(a, b, query.sort)))


def compared(a: Image, b: Image, sort: Sequence[tuple[str, bool]]) -> int:
    for field, descending in sort:
        one, two = ((value is not None, value) for value in (getattr(a, field), getattr(b, field)))
        if one != two:
            return -1 if (one < two) != descending else 1
    return 0


async def walked(tx: Transaction, query: ImageQuery) -> list[Image]:
    """All pages, each from the last image of the one before."""
    found: list[Image] = []
    while page := await tx.images(query):
        assert len(page) <= query.limit
        found += page
        assert len(found) <= COUNT
        query = replace(query, marker=page[-1].id)
    return found


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=postgres.needed)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path | str:
    return postgres.fresh() if request.param == "postgresql" else tmp_path_factory.mktemp("pages") / "r.sqlite"


@pytest.fixture(scope="module")
def ask(place: Path | str) -> Iterator[Callable[[ImageQuery], list[Image]]]:
    """One open catalog for all examples."""
    with asyncio.Runner() as runner:
        opened = open_catalog(place)
        catalog = runner.run(opened.__aenter__())
        runner.run(added(catalog, *IMAGES))
        runner.run(shared(catalog, *(member(*key, status=status) for key, status in MEMBERSHIPS.items())))

        async def walk(query: ImageQuery) -> list[Image]:
            async with catalog.read() as tx:
                return await walked(tx, query)

        yield lambda query: runner.run(walk(query))
        runner.run(opened.__aexit__(None, None, None))


@pytest.mark.parametrize("few", [0, 5, seldom.FEW])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(query=queries)
def test_pages_are_what_the_model_says(ask: Callable[[ImageQuery], list[Image]], few: int, query: ImageQuery) -> None:
    """However the pages are found: by walking, or among the few images a filter leaves."""
    with pytest.MonkeyPatch.context() as setting:
        setting.setattr(seldom, "FEW", few)
        assert [one.id for one in ask(query)] == [one.id for one in modelled(query)]


def test_a_page_of_nothing(ask: Callable[[ImageQuery], list[Image]]) -> None:
    assert ask(ImageQuery(caller=ALICE, limit=0)) == []


@pytest.mark.parametrize(("field", "value"), [("name", "a"), ("size", 5), ("os", "debian"), ("owner", "alice")])
def test_a_missing_value_differs_from_every_value(
    ask: Callable[[ImageQuery], list[Image]], field: str, value: str | int
) -> None:
    query = ImageQuery(caller=ADMIN, filters=(Filter(field=field, operator="neq", values=(value,)),))
    assert {one.id for one in ask(query)} == {one.id for one in modelled(query)}
