"""A shadow tree is asked everything and decides nothing; what it would change is counted and written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from gateway.policy.decide import decide
from gateway.policy.record import record
from gateway.service import shadow as shadowing
from gateway.service.metrics import Metrics
from gateway.service.shadow import Asked, Shadow
from gateway.shipped_files import shipped
from tests.cli.service import eventually
from tests.governing.running import Service, service, write
from tests.policy.making import facts, image, policy, rule
from tests.serving.process import LONGEST

SCHEMA = Draft202012Validator(json.loads((shipped("schemas") / "decision.schema.json").read_text()))
CANDIDATE = {"next": [{"id": "all", "allow": "all"}, {"id": "small", "limit": "all", "within": {"max_size": "1KiB"}}]}
EXEMPTION = {
    "id": "SEC-1", "rule": "live/size", "for": {"projects": ["p"]}, "within": {"max_size": "2MiB"}, "reason": "r",
    "approved_by": "a", "until": "2999-01-01T00:00:00Z",
}  # fmt: skip
LIVE = json.dumps(
    {
        "version": 1,
        "policy": "live",
        "rules": [
            {"id": "all", "allow": "all"},
            {"id": "size", "limit": "all", "within": {"max_size": "1MiB"}},
            {"id": "real", "require": "all", "stages": ["inspect"]},
        ],
        "exemptions": [EXEMPTION],
    }
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("shadow"), policy={"shadow": "candidate"}) as one:
        write(one.policies, {"live": LIVE})
        write(one.home / "candidate", CANDIDATE)
        one.start()
        eventually(lambda: one.health()["policy"]["shadow"]["revision"])
        yield one


def numbers(running: Service) -> dict[tuple[str, ...], float]:
    """Every sample: its name and its labels' values, in the order of their names."""
    text = httpx.get(f"{running.url}/metrics", trust_env=False).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


def staged(running: Service, size: int) -> int:
    gold = running.user("gold")
    return gold.stage(gold.create(), b"x" * size).status_code


def test_the_live_tree_decides_and_the_shadow_is_written_down(running: Service) -> None:
    before = numbers(running)
    change = ("import_gateway_shadow_changes_total", "open", "deny:over-limit")
    assert staged(running, 100_000) == 204
    eventually(lambda: numbers(running).get(change, 0) > before.get(change, 0))
    log = running.home / "data" / "shadow.jsonl"
    last = json.loads(log.read_text().splitlines()[-1])
    SCHEMA.validate(last)
    assert last["action"] != "deny"
    assert last["shadow"]["action"] == "deny"
    assert last["shadow"]["reasons"] == [{"code": "over-limit", "rule": "next/small"}]
    assert (last["revision"], last["shadow"]["revision"]) == tuple(
        running.health()["policy"][name]["revision"] for name in ("live", "shadow")
    )


def test_a_bad_shadow_leaves_the_live_tree_alone(running: Service) -> None:
    live = running.live()["revision"]
    write(running.home / "candidate", {"next": "version: 1\npolicy: next\nrules: [{}]\n"})
    running.reload()
    eventually(lambda: running.health()["policy"]["shadow"]["pending"])
    assert not running.live()["pending"]
    assert running.live()["revision"] == live
    assert staged(running, 10) == 204
    write(running.home / "candidate", CANDIDATE)
    running.reload()
    eventually(lambda: not running.health()["policy"]["shadow"]["pending"])


def test_the_numbers_follow_what_happens(running: Service) -> None:
    gold = running.user("gold")
    before = numbers(running)
    image_id = gold.create()
    assert gold.stage(image_id, b"x" * 1000).status_code == 204
    assert gold.start(image_id).status_code == 202
    gold.ended(image_id)
    assert staged(running, 2 << 20) == 403
    after = numbers(running)

    def more(*sample: str) -> float:
        return after.get(sample, 0) - before.get(sample, 0)

    assert more("import_gateway_imports_ended_total", "", "glance-direct", "success") == 1
    assert more("import_gateway_decisions_total", "deny", "over-limit") == 1
    assert more("import_gateway_received_bytes_total") == 1000
    assert more("import_gateway_stage_seconds_count", "inspect", "passed") == 1
    assert after["import_gateway_policy_info", running.live()["revision"], "live"] == 1
    assert after["import_gateway_policy_pending_error", "live"] == 0
    assert after["import_gateway_policy_age_seconds", "live"] > 0
    assert after["import_gateway_imports_open", "processing"] == 0
    assert after["import_gateway_stops",] == 0
    assert after["import_gateway_exemption_days_left", "live/SEC-1"] > 300_000


def test_metrics_are_for_this_machine(running: Service) -> None:
    behind = httpx.get(f"{running.url}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}, trust_env=False)
    assert behind.status_code == 403


@pytest.mark.parametrize(("allowed", "status"), [("off", 404), ("any", 200)])
def test_metrics_may_be_shut_or_open(tmp_path: Path, allowed: str, status: int) -> None:
    with service(tmp_path, server={"metrics": allowed}) as one:
        write(one.policies, {"live": LIVE})
        one.start()
        behind = httpx.get(f"{one.url}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}, trust_env=False)
        assert behind.status_code == status


class Held:
    """A log whose disk hangs until it is let go."""

    def __init__(self) -> None:
        self.writing, self.free = threading.Event(), threading.Event()
        self.entries: list[Mapping[str, object]] = []

    def record(self, entry: Mapping[str, object]) -> None:
        self.writing.set()
        self.free.wait(LONGEST)
        self.entries.append(entry)


def test_a_shadow_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "WAITING", 5)
    log, metrics = Held(), Metrics()
    shadow = Shadow(log, metrics)
    shadow.policy = policy(rule("deny", "d"))
    known, tree = facts(image()), policy(rule("allow", "a"))
    decision = decide(tree, "glance-direct", known)
    entry: dict[str, Any] = record(decision, known, decision_id="d", image_id=None)
    shadow.ask(Asked(decision, known, False, (), entry))
    assert log.writing.wait(LONGEST)
    for _ in range(8):
        shadow.ask(Asked(decision, known, False, (), entry))
    assert metrics.registry.get_sample_value("import_gateway_shadow_dropped_total") == 3
    log.free.set()
    shadow.close()
    assert len(log.entries) == 6
    changes = {"from": "allow", "to": "deny:denied"}
    assert metrics.registry.get_sample_value("import_gateway_shadow_changes_total", changes) == 6


def test_an_unchanged_outcome_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    log, metrics = Held(), Metrics()
    log.free.set()
    shadow, tree = Shadow(log, metrics), policy(rule("allow", "a"))
    shadow.policy = policy(rule("allow", "another"))
    known = facts(image())
    decision = decide(tree, "glance-direct", known)
    shadow.ask(Asked(decision, known, False, (), record(decision, known, decision_id="d", image_id=None)))
    shadow.close()
    assert log.entries == []
    assert metrics.registry.get_sample_value("import_gateway_shadow_decisions_total") == 1
