"""The query string of a list, as the catalog is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.listing import SORT_KEYS, parse_listing
from gateway.model.errors import BadRequest
from gateway.ports import Filter, ImageQuery
from tests.api.records import ID, MEMBER


def parsed(query: str) -> ImageQuery:
    return parse_listing(parse_qsl(query, keep_blank_values=True), MEMBER)


def only(query: str) -> tuple[str, str, tuple[Any, ...]]:
    [found] = parsed(query).filters
    return found.field, found.operator, found.values


def test_a_plain_list_is_the_newest_25() -> None:
    assert parsed("") == ImageQuery(caller=MEMBER)


@pytest.mark.parametrize(("asked", "given"), [("0", 0), ("1", 1), ("1000", 1000), ("1001", 1000), ("9" * 18, 1000)])
def test_limits(asked: str, given: int) -> None:
    assert parsed(f"limit={asked}").limit == given


AT = datetime(2026, 11, 22, 8, 50, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "filtered"),
    [
        ("name=cirros", ("name", "eq", ("cirros",))),
        ("name=a:b", ("name", "eq", ("a:b",))),
        ("name=eq:in:x", ("name", "eq", ("in:x",))),
        ("name=neq:x", ("name", "neq", ("x",))),
        ("name=", ("name", "eq", ("",))),
        ('name=in:a,"b,c",d%20e', ("name", "in", ("a", "b,c", "d e"))),
        ('name=in:"say \\"hi\\"",x', ("name", "in", ('say "hi"', "x"))),
        ("status=in:active,queued", ("status", "in", ("active", "queued"))),
        ("status=killed", ("status", "eq", ("killed",))),
        (f"id=in:{ID}", ("id", "in", (ID,))),
        ("disk_format=in:qcow2,raw", ("disk_format", "in", ("qcow2", "raw"))),
        ("visibility=public", ("visibility", "eq", ("public",))),
        ("visibility=all", ("visibility", "in", ("public", "private", "shared", "community"))),
        ("owner=p2", ("owner", "eq", ("p2",))),
        ("protected=True", ("protected", "eq", (True,))),
        ("size_min=5", ("size", "gte", (5,))),
        ("size_max=0", ("size", "lte", (0,))),
        ("virtual_size_min=5", ("virtual_size", "gte", (5,))),
        ("min_ram_max=7", ("min_ram", "lte", (7,))),
        ("min_ram=512", ("min_ram", "eq", (512,))),
        ("checksum=abc", ("checksum", "eq", ("abc",))),
        ("os_hash_value=abc", ("os_hash_value", "eq", ("abc",))),
        ("os_distro=debian", ("os_distro", "eq", ("debian",))),
        ("hw:a=in:x", ("hw:a", "eq", ("in:x",))),
        ("created_at=gt:2026-11-22T08:50:42Z", ("created_at", "gt", (AT,))),
        ("created_at=2026-11-22T08:50:42Z", ("created_at", "eq", (AT,))),
        ("created_at=2026-11-22T08:50:42", ("created_at", "eq", (AT,))),
        ("updated_at=lte:2026-11-22T09:50:42%2B01:00", ("updated_at", "lte", (AT,))),
        ("updated_at=lte:2026-11-22T09:50:42+01:00", ("updated_at", "lte", (AT,))),
        ("updated_at=neq:2026-11-22T03:50:42-05:00", ("updated_at", "neq", (AT,))),
    ],
)
def test_filters(query: str, filtered: tuple[str, str, tuple[Any, ...]]) -> None:
    assert only(query) == filtered


def test_filters_add_up() -> None:
    found = parsed("name=a&size_min=1&size_max=9&tag=x&tag=y&os_hidden=true&member_status=all&limit=3")
    assert [item.operator for item in found.filters] == ["eq", "gte", "lte"]
    assert (found.tags, found.hidden, found.limit, found.member_status) == (("x", "y"), True, 3, "all")
    assert Filter(field="name", operator="eq", values=("a",)) in found.filters


@pytest.mark.parametrize(
    ("query", "sort"),
    [
        ("sort_key=name", [("name", True), ("created_at", True), ("id", True)]),
        ("sort_key=name&sort_dir=asc", [("name", False), ("created_at", False), ("id", False)]),
        (
            "sort_key=name&sort_key=size&sort_dir=asc&sort_dir=desc",
            [("name", False), ("size", True), ("created_at", True), ("id", True)],
        ),
        ("sort_dir=asc", [("created_at", False), ("id", False)]),
        ("sort=name:asc,size", [("name", False), ("size", True), ("created_at", True), ("id", True)]),
        ("sort=id:asc", [("id", False), ("created_at", True)]),
    ],
)
def test_sorting_is_total(query: str, sort: list[tuple[str, bool]]) -> None:
    assert list(parsed(query).sort) == sort


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=1&limit=2", "limit"),
        ("marker=x", "marker"),
        ("marker=", "marker"),
        ("visibility=zork", "visibility"),
        ("visibility=in:public", "visibility"),
        ("status=zork", "status"),
        ("status=in:active,zork", "status"),
        ("member_status=zork", "member_status"),
        ("protected=maybe", "protected"),
        ("os_hidden=1", "os_hidden"),
        ("size_min=-1", "size_min"),
        ("size_max=1e3", "size_max"),
        ("min_disk=" + "9" * 19, "min_disk"),
        ("created_at=zork", "created_at"),
        ("created_at=in:2026-11-22", "created_at"),
        ("created_at=gt:0001-01-01T00:00:00%2B23:00", "created_at"),
        ('name=in:"a', "name"),
        ("name=in:", "name"),
        ("name=neq:a,b", "name"),
        ("name=%00", "name"),
        ("sort_key=zork", "sort_key"),
        ("sort_key=name&sort_key=name", "sort_key"),
        ("sort_key=name&sort_dir=up", "sort_dir"),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", "sort_dir"),
        ("sort_dir=asc&sort_dir=asc", "sort_dir"),
        ("sort=name&sort_dir=asc", "sort"),
        ("sort=", "sort_key"),
        ("tag=" + "a" * 256, "tag"),
        ("tag=", "tag"),
        ("changes-since=2026-11-22", "changes-since"),
        ("a" * 256 + "=1", "a" * 60),
    ],
)
def test_bad_values_are_refused_by_name(query: str, name: str) -> None:
    with pytest.raises(BadRequest, match=f"'{name}'"):
        parsed(query)


READ = ["limit", "marker", "sort", "sort_key", "sort_dir", "tag", "os_hidden", "member_status", "visibility", "status"]
NAMES = st.sampled_from([*READ, "name", "id", "protected", "size_min", "created_at", "updated_at", "min_ram", "free"])
PIECES = ["in:", "in:a,b", 'in:"', "gt:2026-01-01", "gt:", "asc", "name:asc,id", "name", ID, "9" * 30, "all"]
VALUES = st.text(max_size=12) | st.sampled_from(PIECES)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(NAMES | st.text(max_size=5), VALUES), max_size=6))
def test_no_query_ends_in_anything_but_a_sound_query_or_a_bad_request(items: list[tuple[str, str]]) -> None:
    try:
        query = parse_listing(items, MEMBER)
    except BadRequest:
        return
    fields = [field for field, _ in query.sort]
    assert "id" in fields
    assert len(set(fields)) == len(fields)
    assert set(fields) <= set(SORT_KEYS)
    assert 0 <= query.limit <= 1000
