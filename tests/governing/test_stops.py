"""Emergency stops against the running service: at once, for what runs too, and across a kill."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.catalog import open_catalog
from gateway.model.stop import Stop, StopKind
from gateway.service.stopping import GRACE_SECONDS, POLL_SECONDS
from gateway.shipped_files import shipped
from tests.cli.running import cli
from tests.cli.service import eventually
from tests.clients.gate import Gate, gated
from tests.clients.site import User
from tests.governing.running import Service, service, write
from tests.serving.backing import catalog_url
from tests.serving.process import LONGEST

STOPS = "/v2/info/import/stops"
WORDS = {"message": "Off for now.", "reason": "INC-7"}
OPEN = {"open": [{"id": "all", "allow": "all"}]}
SCHEMA = Draft202012Validator(json.loads((shipped("schemas") / "decision.schema.json").read_text()))


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with gated("127.0.0.1") as one:
        yield one


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Service]:
    """Nothing but a stop ends what is silent here."""
    fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [gate.port], "idle_timeout": "10m"}
    with service(tmp_path_factory.mktemp("stops"), fetch=fetch, server={"idle_timeout": "10m"}) as one:
        write(one.policies, OPEN)
        one.start()
        yield one


@pytest.fixture(autouse=True)
def _lifted(running: Service) -> Iterator[None]:
    """No test leaves a stop to the next one."""
    yield
    admin = running.user().http
    for stop in admin.get(STOPS).json()["stops"]:
        admin.delete(f"{STOPS}/{stop['id']}").raise_for_status()


def add(running: Service, **named: str) -> dict[str, Any]:
    found: dict[str, Any] = running.user().http.post(STOPS, json={**named, **WORDS}).raise_for_status().json()
    return found


def methods(user: User) -> list[str]:
    found: list[str] = user.http.get("/v2/info/import").json()["import-methods"]["value"]
    return found


def halfway(user: User, gate: Gate) -> str:
    """An image whose source has sent half of it, and sends no more."""
    gate.close()
    gate.asked.clear()
    image = user.create()
    assert user.start(image, "web-download", uri=gate.url).status_code == 202
    assert gate.asked.wait(LONGEST)
    return image


@pytest.mark.parametrize(
    "named",
    [{"method": "web-download"}, {"host": "127.0.0.1"}, {"project": "demo-gold"}],
    ids=lambda named: next(iter(named)),
)
def test_a_running_import_of_a_silent_source_ends_by_name(running: Service, gate: Gate, named: dict[str, str]) -> None:
    gold = running.user("gold")
    image = halfway(gold, gate)
    stop = add(running, **named)
    task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", "stopped")
    assert "Off for now." in task["message"]
    assert gold.show(image)["status"] == "queued"
    lines = [json.loads(line) for line in (running.home / "data" / "decisions.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["image_id"] == image][-1]
    SCHEMA.validate(last)
    assert last["reasons"][0] == {"code": "stopped", "rule": f"stops/{stop['id']}"}
    assert last["stops"] == [{"id": stop["id"], **named}]
    gate.open()


def test_other_projects_imports_go_on(running: Service, gate: Gate) -> None:
    gold, silver = running.user("gold"), running.user("silver")
    stays, goes = halfway(silver, gate), halfway(gold, gate)
    add(running, project="demo-gold")
    assert gold.ended(goes)["code"] == "stopped"
    gate.open()
    assert silver.ended(stays)["status"] == "success"


def test_a_slow_upload_is_told_at_once(running: Service) -> None:
    gold, over = running.user("gold"), threading.Event()
    image, answers = gold.create(), []

    def body() -> Iterator[bytes]:
        yield b"x" * 100
        over.wait(2 * LONGEST)

    def send() -> None:
        answers.append(
            gold.http.put(
                f"/v2/images/{image}/stage", content=body(), headers={"Content-Type": "application/octet-stream"}
            )
        )

    thread = threading.Thread(target=send)
    thread.start()
    gold.reaches(image, "uploading")
    add(running, method="glance-direct")
    gold.reaches(image, "queued")
    over.set()
    thread.join()
    assert answers[0].status_code == 403
    assert gold.error(answers[0])["reason"] == "stopped"


def test_new_imports_are_refused_and_the_method_is_withheld_until_it_is_lifted(running: Service, gate: Gate) -> None:
    gold = running.user("gold")
    stop = add(running, host="127.0.0.1")
    image = gold.create()
    answer = gold.start(image, "web-download", uri=gate.url)
    assert answer.status_code == 403
    assert gold.error(answer)["reason"] == "stopped"
    assert "web-download" in methods(gold)
    add(running, method="web-download")
    assert "web-download" not in methods(gold)
    for one in running.user().http.get(STOPS).json()["stops"]:
        running.user().http.delete(f"{STOPS}/{one['id']}", params={"reason": "fixed"}).raise_for_status()
    gate.open()
    assert gold.start(image, "web-download", uri=gate.url).status_code == 202
    assert gold.ended(image)["status"] == "success"
    kept = [one for one in running.user().http.get(f"{STOPS}?all=true").json()["stops"] if one["id"] == stop["id"]]
    assert (kept[0]["added_by"], kept[0]["lifted_by"], kept[0]["lifted_reason"]) == ("admin", "admin", "fixed")


def test_stops_are_for_administrators_and_named_exactly(running: Service) -> None:
    gold, admin = running.user("gold").http, running.user().http
    assert gold.get(STOPS).status_code == 403
    assert gold.post(STOPS, json={"method": "web-download", **WORDS}).status_code == 403
    assert gold.delete(f"{STOPS}/x").status_code == 403
    assert admin.delete(f"{STOPS}/x").status_code == 404
    for bad in ({}, {"method": "a", "host": "b"}, {"method": "web-downlaod"}, {"host": "*"}, {"host": 7}, {"tag": "x"}):
        assert admin.post(STOPS, json={**bad, **WORDS}).status_code == 400, bad
    assert admin.post(STOPS, json={"host": "a.example", "reason": "r"}).status_code == 400
    add(running, host="a.example")
    assert admin.post(STOPS, json={"host": "A.example.", **WORDS}).status_code == 409


def test_a_stop_of_another_process_is_seen(running: Service) -> None:
    """Another process is another connection to the same records."""
    gold = running.user("gold")
    assert "copy-image" not in methods(gold)
    before = methods(gold)
    stop = Stop(
        id="elsewhere", kind=StopKind.METHOD, value="web-download", message="m", reason="r", added_by="o",
        added_at=datetime.now(UTC),
    )  # fmt: skip

    async def written() -> None:
        async with open_catalog(catalog_url(running.data)) as catalog, catalog.begin() as tx:
            await tx.add_stop(stop)

    asyncio.run(written())
    eventually(lambda: methods(gold) != before)
    assert "web-download" not in methods(gold)


def test_running_work_hears_of_a_stop_within_a_second() -> None:
    assert POLL_SECONDS + GRACE_SECONDS < 1


def test_the_command_line_adds_lists_and_lifts(running: Service) -> None:
    who = ("--url", running.url, "--user", "admin", "--password", "demo")
    added = cli(running.home, "stop", "add", "--host", "*.bad.example", "--message", "Off.", "--reason", "INC-8", *who)
    assert added.returncode == 0, added.stderr
    name = added.stdout.split()[0]
    listed = cli(running.home, "stop", "list", *who).stdout
    assert "host *.bad.example" in listed
    assert "by admin: INC-8" in listed
    assert cli(running.home, "stop", "lift", name, "--reason", "over", *who).returncode == 0
    assert name not in cli(running.home, "stop", "list", *who).stdout
    assert "by admin: over" in cli(running.home, "stop", "list", "--all", *who).stdout
    none = cli(running.home, "stop", "add", "--message", "Off.", "--reason", "INC-8", *who)
    assert none.returncode == 2


def test_a_killed_service_comes_back_with_its_stops(running: Service, gate: Gate) -> None:
    gold = running.user("gold")
    image = halfway(gold, gate)
    add(running, project="demo-silver")
    asked = threading.Thread(target=add, args=(running,), kwargs={"host": "127.0.0.1"})
    asked.start()
    asked.join()
    running.kill()
    running.start()
    assert methods(running.user("silver")) == []
    again = running.user("gold")
    assert again.ended(image)["code"] == "stopped"
    gate.open()
