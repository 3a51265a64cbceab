"""approve as people meet it: imports that wait for somebody, across restarts, races and changes of mind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.cli.running import process
from tests.cli.service import eventually
from tests.governing.running import Service, write
from tests.serving.backing import held

CONTENT = b"an image" * 1000
PATH = "/v2/info/import/approvals"


def rule(project: str, **options: str) -> dict[str, Any]:
    stages = ["inspect", {"inject": {"checked": "yes"}}, {"approve": options}]
    return {"id": project, "require": "all", "for": {"projects": [f"demo-{project}"]}, "stages": stages}


def started(home: Path) -> Service:
    """gold and silver may decide about each other's and stranger's; about gold's only administrators may."""
    everything = {"id": "everything", "allow": "all"}
    rules = [
        everything,
        rule("silver", by="member"),
        rule("gold", by="auditor"),
        rule("stranger", by="member", expires="1s"),
    ]
    write(home / "policies", {"people": rules})
    quick = {"reaper_interval": "100ms", "progress_interval": "50ms", "concurrency": 1}
    return Service(home, {"imports": quick})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    site = started(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        yield site
    finally:
        site.kill()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Service]:
    site = started(tmp_path)
    try:
        site.start()
        yield site
    finally:
        site.kill()


def waiting(site: Service, user: str = "silver") -> tuple[str, str]:
    """Ids of an image and of its import, which waits."""
    one = site.user(user)
    image = one.create(name="mine")
    one.stage(image, CONTENT).raise_for_status()
    one.start(image).raise_for_status()
    task = eventually(lambda: found if "Waits for" in (found := one.task(image))["message"] else None)
    assert (task["status"], one.show(image)["status"]) == ("processing", "importing")
    return image, task["id"]


def listed(site: Service, user: str) -> dict[str, dict[str, Any]]:
    found = site.user(user).http.get(PATH).raise_for_status().json()["approvals"]
    return {one["import_id"]: one for one in found}


def decide(site: Service, user: str, import_id: str, decision: str = "approve", **more: str) -> httpx.Response:
    return site.user(user).http.post(f"{PATH}/{import_id}", json={"decision": decision, **more})


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["error"]["reason"])


def events(site: Service, import_id: str) -> list[dict[str, Any]]:
    lines = (site.home / "data" / "decisions.jsonl").read_text().splitlines()
    return [entry for line in lines if (entry := json.loads(line)).get("event") and entry["id"] == import_id]


def test_an_import_waits_for_somebody_who_sees_what_it_is(shared: Service) -> None:
    image, work = waiting(shared)
    task = shared.user("silver").task(image)
    assert "somebody with the role 'member'" in task["message"]
    assert [(stage["name"], stage["verdict"]) for stage in task["stages"]] == [
        ("inspect", "passed"), ("inject", "passed"), ("approve", "skipped"),
    ]  # fmt: skip
    shown = listed(shared, "gold")[work]
    assert (shown["image_id"], shown["image_name"], shown["project_id"]) == (image, "mine", "demo-silver")
    assert (shown["source"], shown["bytes"]) == ({"name": "glance-direct"}, len(CONTENT))
    assert shown["stages"] == task["stages"]
    decide(shared, "gold", work, reason="Looks fine.").raise_for_status()
    ended = shared.user("silver").ended(image)
    assert (ended["status"], ended["message"]) == ("success", "")
    assert shared.user("silver").show(image)["checked"] == "yes"
    assert shared.user("silver").file(image).content == CONTENT
    last = ended["stages"][-1]
    assert (last["name"], last["verdict"]) == ("approve", "passed")
    assert last["findings"][0]["message"] == "Approved by gold. The reason: Looks fine."
    assert work not in listed(shared, "gold")
    (event,) = events(shared, work)
    assert (event["event"], event["user_id"], event["image_id"]) == ("import-approved", "gold", image)


def test_it_holds_no_place_while_it_waits(shared: Service) -> None:
    waits = [waiting(shared)[1] for _ in range(3)]
    admin = shared.user("admin")
    image = admin.create()
    admin.stage(image, CONTENT).raise_for_status()
    admin.start(image).raise_for_status()
    assert admin.ended(image)["status"] == "success"
    assert set(waits) <= set(listed(shared, "gold"))


def test_who_is_refused_is_told_why(shared: Service) -> None:
    image, work = waiting(shared)
    assert decide(shared, "gold", work, "refuse").status_code == 400
    decide(shared, "gold", work, "refuse", reason="Ask\x1b us first.").raise_for_status()
    silver = shared.user("silver")
    task = silver.ended(image)
    assert (task["status"], task["code"]) == ("failure", "approval-refused")
    assert "The reason: Ask us first." in task["message"]
    assert (task["stages"][-1]["name"], task["stages"][-1]["verdict"]) == ("approve", "refused")
    assert silver.show(image)["status"] == "queued"
    assert reason_of(decide(shared, "gold", work)) == (409, "already-decided")
    assert [event["event"] for event in events(shared, work)] == ["import-refused"]


def test_only_those_who_may_decide_do(shared: Service) -> None:
    _, mine = waiting(shared)
    assert reason_of(decide(shared, "silver", mine)) == (403, "own-import")
    _, golds = waiting(shared, "gold")
    assert golds not in listed(shared, "silver")
    assert reason_of(decide(shared, "silver", golds)) == (404, "not-found")
    assert golds in listed(shared, "admin")
    decide(shared, "admin", golds).raise_for_status()
    assert reason_of(decide(shared, "admin", "11111111-1111-4111-8111-111111111111")) == (404, "not-found")


def test_two_who_decide_at_once_decide_once(shared: Service) -> None:
    image, work = waiting(shared)
    shared.user("gold"), shared.user("admin")
    together = Barrier(4)

    def one(user: str, decision: str) -> int:
        together.wait()
        return decide(shared, user, work, decision, reason="Because.").status_code

    said = [("gold", "approve"), ("admin", "refuse"), ("gold", "refuse"), ("admin", "approve")]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda pair: one(*pair), said))
    assert sorted(answers) == [200, 409, 409, 409]
    approved = said[answers.index(200)][1] == "approve"
    task = shared.user("silver").ended(image)
    assert task["status"] == ("success" if approved else "failure")
    assert len(events(shared, work)) == 1


def test_what_nobody_decides_expires_by_name(shared: Service) -> None:
    stranger = shared.user("stranger")
    image = stranger.create()
    stranger.stage(image, CONTENT).raise_for_status()
    stranger.start(image).raise_for_status()
    task = stranger.ended(image)
    assert (task["status"], task["code"]) == ("failure", "approval-expired")
    assert stranger.show(image)["status"] == "queued"
    assert [event["event"] for event in events(shared, task["id"])] == ["import-expired"]


def test_deleting_the_image_ends_the_wait(shared: Service) -> None:
    image, work = waiting(shared)
    shared.user("silver").http.delete(f"/v2/images/{image}").raise_for_status()
    assert work not in listed(shared, "gold")
    assert reason_of(decide(shared, "gold", work)) == (409, "already-decided")


def test_an_upload_cannot_wait_and_says_so_before_its_body(shared: Service) -> None:
    silver = shared.user("silver")
    image = silver.create()
    answer = silver.save(image, CONTENT)
    assert reason_of(answer) == (409, "stage-needs-import")
    assert silver.show(image)["status"] == "queued"


def test_it_waits_across_crashes_and_goes_on_across_them(own: Service) -> None:
    image, work = waiting(own)
    for _ in range(2):
        own.kill()
        own.start()
        assert work in listed(own, "gold")
        assert own.user("silver").show(image)["status"] == "importing"
    decide(own, "gold", work).raise_for_status()
    own.kill()
    own.start()
    assert own.user("silver").ended(image)["status"] == "success"
    assert own.user("silver").file(image).content == CONTENT


def test_a_refusal_that_was_kept_ends_the_import_after_a_crash_too(own: Service) -> None:
    image, work = waiting(own)
    decide(own, "gold", work, "refuse", reason="No.").raise_for_status()
    own.kill()
    own.start()
    assert own.user("silver").ended(image)["code"] == "approval-refused"


def test_bytes_that_changed_while_they_waited_do_not_go_on(own: Service) -> None:
    image, work = waiting(own)
    store = held(own.data)
    (blob,) = store.sizes()
    store.replace(blob, b"other content" + CONTENT[13:])
    decide(own, "gold", work).raise_for_status()
    task = own.user("silver").ended(image)
    assert (task["status"], task["code"]) == ("failure", "blob-damaged")
    assert own.user("silver").show(image)["status"] == "queued"


def test_the_command_line_lists_approves_and_refuses(shared: Service) -> None:
    image, work = waiting(shared)
    as_gold = ("--url", shared.url, "--user", "gold", "--password", "demo")
    found = process(shared.home, "approvals", "list", *as_gold)
    assert work in found.stdout
    assert "project demo-silver, asked for by silver" in found.stdout
    assert "stage   inspect: passed" in found.stdout
    assert "goes on" in process(shared.home, "approvals", "approve", work, *as_gold).stdout
    assert shared.user("silver").ended(image)["status"] == "success"
    image, work = waiting(shared)
    process(shared.home, "approvals", "refuse", work, "--reason", "Too old.", *as_gold)
    assert "Too old." in shared.user("silver").ended(image)["message"]
