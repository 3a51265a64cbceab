"""Imports as tasks for administrators, and the schemas of tasks, over the real service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator

from tests.cli.service import eventually
from tests.sharing.conftest import As

Create = Callable[..., str]


def imported(http: httpx.Client, path: str) -> dict[str, Any]:
    """A finished glance-direct import of an image, as its owner sees it."""
    head = {"Content-Type": "application/octet-stream"}
    http.put(f"{path}/stage", content=b"x" * 512, headers=head).raise_for_status()
    http.post(f"{path}/import", json={"method": {"name": "glance-direct"}}).raise_for_status()

    def ended() -> dict[str, Any] | None:
        [task] = http.get(f"{path}/tasks").raise_for_status().json()["tasks"]
        return task if task["status"] in ("success", "failure") else None

    task: dict[str, Any] = eventually(ended)
    assert task["status"] == "success", task["message"]
    return task


def tasks(http: httpx.Client, **query: str) -> list[dict[str, Any]]:
    """All pages of a list of tasks."""
    found: list[dict[str, Any]] = []
    link: str | None = str(httpx.URL("/v2/tasks", params=query))
    while link:
        page = http.get(link).raise_for_status().json()
        assert page["schema"] == "/v2/schemas/tasks"
        found += page["tasks"]
        link = page.get("next")
    return found


def test_tasks_are_what_the_schemas_say(as_: As, create: Create) -> None:
    task = imported(as_("owner"), create())
    assert {"expires_at": None, "deleted": False, "deleted_at": None}.items() <= task.items()
    alone = as_("owner").get(task["self"]).raise_for_status().json()
    assert alone == {name: value for name, value in task.items() if name not in ("expires_at", "deleted", "deleted_at")}
    schema = as_("owner").get("/v2/schemas/task").json()
    assert schema["name"] == "task"
    assert alone.keys() <= schema["properties"].keys()
    Draft4Validator(schema).validate(alone)
    page = as_("admin").get("/v2/tasks").json()
    schemas = as_("owner").get("/v2/schemas/tasks").json()
    Draft4Validator(schemas).validate(page)
    [row] = [row for row in page["tasks"] if row["id"] == task["id"]]
    assert row == {name: alone[name] for name in row}
    assert {"input", "result", "message"}.isdisjoint(row)


def test_tasks_are_filtered_sorted_and_paged(as_: As, create: Create) -> None:
    own = [imported(as_("other"), create(user="other"))["id"] for _ in range(3)]
    imported(as_("friend"), create(user="friend"))
    admin = as_("admin")
    assert [row["id"] for row in tasks(admin, owner="other")] == own[::-1]
    assert [row["id"] for row in tasks(admin, owner="other", sort_dir="asc", limit="2")] == own
    by_id = [row["id"] for row in tasks(admin, owner="other", sort_key="id", sort_dir="asc", limit="1")]
    assert by_id == sorted(own)
    assert [row["id"] for row in tasks(admin, owner="other", status="success", type="api_image_import")] == own[::-1]
    assert tasks(admin, owner="other", status="failure") == []
    assert tasks(admin, type="import") == []
    assert tasks(admin, limit="0") == []
    page = admin.get("/v2/tasks", params={"owner": "other", "limit": "3"}).json()
    assert page["first"] == "/v2/tasks?owner=other&limit=3"
    assert "next" not in page


@pytest.mark.parametrize(
    "query",
    [
        "type=zork", "status=zork", "limit=-1", "limit=x", "marker=zork", "sort_key=zork", "sort_dir=up", "zork=1",
        "status=success&status=failure", "marker=00000000-0000-0000-0000-000000000000",
    ],
)  # fmt: skip
def test_bad_lists_of_tasks(as_: As, query: str) -> None:
    answer = as_("admin").get(f"/v2/tasks?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_tasks_are_for_administrators(as_: As, create: Create) -> None:
    task = imported(as_("owner"), create())
    for user in ("owner", "owner-reader", "other"):
        assert as_(user).get("/v2/tasks").status_code == 403
        assert as_(user).post("/v2/tasks", json={"type": "import", "input": {}}).status_code == 403
    assert as_("admin").get(task["self"]).status_code == 200
    assert as_("owner").get(task["self"]).status_code == 200
    assert as_("other").get(task["self"]).status_code == 404


def test_other_projects_see_no_tasks_of_an_image(as_: As, create: Create) -> None:
    path = create()
    imported(as_("owner"), path)
    as_("owner").post(f"{path}/members", json={"member": "friend"}).raise_for_status()
    assert as_("friend").get(f"{path}/tasks").json() == {"tasks": []}
    assert as_("other").get(f"{path}/tasks").status_code == 404


@pytest.mark.parametrize("body", [{}, {"type": "import"}, {"input": {}}, {"type": "import", "input": {"a": 1}}])
def test_tasks_are_not_created_by_hand(as_: As, body: dict[str, Any]) -> None:
    answer = as_("admin").post("/v2/tasks", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["remedy"]


def test_tasks_go_by_themselves(as_: As, create: Create) -> None:
    task = imported(as_("owner"), create())
    answer = as_("admin").delete(task["self"])
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("name", ["member", "members", "task", "tasks"])
def test_schemas_are_for_callers_without_a_body(as_: As, url: str, name: str) -> None:
    assert as_("other").get(f"/v2/schemas/{name}").json()["name"] == name
    assert httpx.get(f"{url}/v2/schemas/{name}", trust_env=False).status_code == 401
    assert as_("other").request("GET", f"/v2/schemas/{name}", content=b"{}").status_code == 400
