"""Whose import starts next, seen from outside: caps hold over all gateways, and nobody waits behind another's queue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from time import monotonic, sleep

import pytest

from tests.catalog import postgres
from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.sources import Sources
from tests.fleet.fleet import Fleet, fleet

pytestmark = postgres.needed

SIZE = 256 << 10


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[Fleet]:
    """Of four places, each project gets two."""
    with fleet(tmp_path_factory.mktemp("two"), 2, fetched_from.port, concurrency=2, per_project=2) as started:
        yield started


def queued(user: User, source: Sources, seed: int, milliseconds: int, image: str = "") -> str:
    image = image or user.create()
    assert user.start(image, "web-download", uri=source.paced(seed, SIZE, milliseconds)).status_code == 202
    return image


def test_a_project_with_many_imports_delays_nobody_and_keeps_to_its_cap(two: Fleet, fetched_from: Sources) -> None:
    running = "SELECT project, count(*) AS number FROM imports WHERE runner IS NOT NULL AND status = 'processing'"
    with two.users("gold") as gold, two.users("silver") as silver:
        made, late = [gold[0].create() for _ in range(7)], silver[0].create()
        many = [queued(gold[n % 2], fetched_from, n, 2500, image) for n, image in enumerate(made)]
        one = queued(silver[0], fetched_from, 50, 200, late)
        most, end = 0, monotonic() + 30
        while gold[0].show(many[-1])["status"] != "active" and monotonic() < end:
            counts = {row["project"]: row["number"] for row in two.rows(f"{running} GROUP BY project")}
            most = max(most, counts.get("demo-gold", 0))
            sleep(0.05)
        for image in many:
            gold[0].reaches(image, "active")
        silver[0].reaches(one, "active")
    assert most == 2
    begun = {row["image_id"]: row["begun_at"] for row in two.rows("SELECT image_id, begun_at FROM imports")}
    assert begun[one] < min(begun[image] for image in many[4:])
    hosts = {row["runner"] for row in two.rows("SELECT runner FROM imports")}
    assert len(hosts) == 2


def test_tasks_tell_the_place_in_the_queue_and_when_an_import_may_end(two: Fleet, fetched_from: Sources) -> None:
    with two.users("stranger") as users, two.users("admin") as admins:
        first, second, third, fourth = [queued(users[0], fetched_from, 60 + n, 2000) for n in range(4)]
        places = eventually(
            lambda: found if (found := [users[1].task(i)["queue_position"] for i in (third, fourth)])[0] else None
        )
        assert places == [1, 2]
        expected = eventually(lambda: users[1].task(first)["expected_at"])
        assert users[1].task(first)["queue_position"] is None
        datetime.fromisoformat(expected)
        shown = admins[0].http.get(f"/v2/tasks/{users[0].task(fourth)['id']}").json()
        assert shown["queue_position"] in (None, 1, 2)
        ended = users[0].ended(fourth)
        assert (ended["queue_position"], ended["expected_at"]) == (None, None)
    assert second


def test_health_tells_which_policy_each_gateway_runs(two: Fleet) -> None:
    with two.users("admin") as admins:
        found = admins[0].http.get("/healthcheck?detailed").json()["processes"]
        mine = admins[0].http.get("/healthcheck?detailed").json()["policy"]["live"]["revision"]
    assert [one["policy"] for one in found] == [mine, mine]
    assert sorted(one["here"] for one in found) == [False, True]
    assert all(one["beat_seconds"] < 3 and not one["draining"] for one in found)
    assert {one["host"].rpartition(":")[2] for one in found} == {one.url.rpartition(":")[2] for one in two.members}
