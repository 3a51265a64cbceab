"""Records as the API shows them, and the versions document."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.versions import canonical_path, versions_document
from gateway.api.wire import image_json, image_task_json, images_json, task_json, tasks_json
from gateway.model.imports import ImportStatus
from tests.api.records import ID, image, work


def test_a_new_image_as_the_api_shows_it_in_its_order() -> None:
    shown = image_json(image(properties={"os_distro": "debian"}))
    assert list(shown.items()) == [
        ("os_distro", "debian"),
        ("name", None),
        ("disk_format", None),
        ("container_format", None),
        ("visibility", "shared"),
        ("size", None),
        ("virtual_size", None),
        ("status", "queued"),
        ("checksum", None),
        ("protected", False),
        ("min_ram", 0),
        ("min_disk", 0),
        ("owner", "p1"),
        ("os_hidden", False),
        ("os_hash_algo", None),
        ("os_hash_value", None),
        ("id", ID),
        ("created_at", "2026-11-22T08:50:42Z"),
        ("updated_at", "2026-11-22T08:50:42Z"),
        ("tags", []),
        ("self", f"/v2/images/{ID}"),
        ("file", f"/v2/images/{ID}/file"),
        ("schema", "/v2/schemas/image"),
    ]


def test_the_import_task_shows_while_an_import_is_open_and_only_then() -> None:
    assert image_json(image(import_id="t"))["os_glance_import_task"] == "t"
    assert not [name for name in image_json(image()) if name.startswith("os_glance")]


def test_stores_are_one_string_at_the_end() -> None:
    assert list(image_json(image(stores=("fast", "cheap"))).items())[-1] == ("stores", "fast,cheap")


def test_locations_show_only_where_asked() -> None:
    assert image_json(image(), locations=[])["locations"] == []
    assert "locations" not in image_json(image())


QUERIES = st.lists(st.tuples(st.sampled_from(["name", "tag", "limit", "marker", "x"]), st.text(max_size=5)), max_size=6)


@settings(deadline=None, max_examples=100)
@given(QUERIES)
def test_links_keep_the_query_and_move_the_marker(query: list[tuple[str, str]]) -> None:
    page = images_json([image(id="a"), image(id="b")], query, more=True)
    kept = [pair for pair in query if pair[0] != "marker"]
    assert parse_qsl(urlsplit(page["first"]).query, keep_blank_values=True) == kept
    assert parse_qsl(urlsplit(page["next"]).query, keep_blank_values=True) == [*kept, ("marker", "b")]


def test_the_last_page_has_no_next() -> None:
    page = images_json([image()], [], more=False)
    assert page == {"images": [image_json(image())], "first": "/v2/images", "schema": "/v2/schemas/images"}
    assert "next" not in images_json([], [("limit", "0")], more=True)


def test_a_task_is_glances_with_progress_stages_and_the_reason() -> None:
    report = ({"name": "inspect", "verdict": "refused", "findings": [], "seconds": 0.1, "bytes": 5},)
    failed = work(
        status=ImportStatus.FAILURE,
        bytes_done=50,
        bytes_total=200,
        report=report,
        code="backing-file",
        message="It has a backing file.",
        remedy="Flatten it.",
        request_id="req-1",
    )
    shown = task_json(failed)
    assert (shown["type"], shown["status"], shown["image_id"]) == ("api_image_import", "failure", ID)
    assert shown["progress"] == {"bytes": 50, "total": 200, "percent": 25}
    assert shown["stages"] == list(report)
    assert (shown["code"], shown["message"], shown["remedy"]) == (
        "backing-file",
        "It has a backing file.",
        "Flatten it.",
    )
    assert (shown["result"], shown["request_id"]) == (None, "req-1")
    assert shown["input"]["import_req"]["method"] == {"name": "web-download", "uri": "https://host/path"}
    assert shown["self"] == f"/v2/tasks/{failed.id}"


def test_nothing_sealed_is_shown() -> None:
    assert "secret" not in json.dumps([image_task_json(work()), task_json(work())])


def test_tasks_are_pages_with_links() -> None:
    page = tasks_json([work()], [("owner", "a b"), ("marker", "m"), ("limit", "1")], more=True)
    assert page["first"] == "/v2/tasks?owner=a+b&limit=1"
    assert page["next"] == f"/v2/tasks?owner=a+b&limit=1&marker={work().id}"
    assert page["tasks"][0]["self"] == f"/v2/tasks/{work().id}"
    assert tasks_json([], [], more=False) == {"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}


@pytest.mark.parametrize(
    ("done", "total", "status", "percent"),
    [
        (0, None, "processing", None),
        (0, 0, "processing", None),
        (0, 3, "pending", 0),
        (2, 3, "processing", 66),
        (3, 3, "processing", 99),
        (9, 3, "processing", 99),
        (3, 3, "success", 100),
        (3, None, "success", 100),
    ],
)
def test_percent_is_whole_and_100_only_at_the_end(
    done: int, total: int | None, status: str, percent: int | None
) -> None:
    shown = task_json(work(bytes_done=done, bytes_total=total, status=ImportStatus(status)))
    assert shown["progress"]["percent"] == percent


def test_versions_are_listed_newest_first_with_one_current() -> None:
    entries = versions_document("https://images.example")["versions"]
    assert [entry["id"] for entry in entries][:3] == ["v2.17", "v2.15", "v2.13"]
    assert [entry["id"] for entry in entries if entry["status"] == "CURRENT"] == ["v2.17"]
    assert {entry["links"][0]["href"] for entry in entries} == {"https://images.example/v2/"}


@pytest.mark.parametrize(
    ("path", "found"),
    [("/v2.15", "/v2"), ("/v2.0/images", "/v2/images"), ("/v20/images", None), ("/versions", "/versions"), ("/", "/")],
)
def test_version_prefixes(path: str, found: str | None) -> None:
    assert canonical_path(path) == found
