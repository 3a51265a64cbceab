"""Opening a rule for a time: who may, when it ends, what the log keeps, and that nothing else is loosened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.catalog import open_catalog
from gateway.decisionlog import JsonLines
from gateway.model.caller import Caller
from gateway.model.decision import Action
from gateway.model.errors import BadRequest, Conflict, Forbidden, NotFound, PolicyRefused, Unavailable
from gateway.model.trust import Opening
from gateway.policy.compiler import compile_tree
from gateway.policy.expression import engine
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.service import break_glass
from gateway.service.break_glass import Wanted, read_wanted
from gateway.service.discovery import import_document
from gateway.service.judge import judge, who
from gateway.service.policies import PolicyTrees
from gateway.service.site import Limits, Site
from gateway.shipped_files import shipped
from tests.catalog.made import NOW
from tests.serving.backing import catalog_url

METHODS = ("glance-direct", "web-download")
REASON = "The mirror is down and patches are due."
TREE = """
version: 1
policy: p
rules:
  - {id: glass, allow: [web-download], for: {tags: [t]}, break_glass: {roles: [oncall], max: 4h}}
  - {id: any, allow: [glance-direct]}
"""
SOURCE = {"request.host": "a.example", "request.scheme": "https", "request.port": 443, "request.path": "/"}
ONCALL = Caller(project_id="ours", project_tags=("t",), user_id="olga", roles=("member", "oncall"))
MEMBER = Caller(project_id="ours", project_tags=("t",), user_id="mike")
STRANGER = Caller(project_id="theirs", user_id="sam", roles=("member", "oncall"))
ADMIN = Caller(project_id="admins", user_id="ada", roles=("admin", "oncall"))


@dataclass
class Hands:
    """A clock that moves when it is told to."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class Desk:
    """A site with real records, a real log and a real tree, and the clock in the test's hands."""

    site: Site
    clock: Hands
    log: Path
    schema: Draft202012Validator = field(default_factory=lambda: Draft202012Validator(_schema("break-glass-event")))

    async def open(self, caller: Caller = ONCALL, duration: str = "1h", **more: str) -> Opening:
        body = {"rule": "p/glass", "reason": REASON, "duration": duration, **more}
        return await break_glass.open_rule(self.site, caller, read_wanted(body))

    async def grants(self, caller: Caller = MEMBER) -> bool:
        """Whether an import by web-download would be let in now, asked as an import asks."""
        try:
            found = await judge(self.site, "web-download", {**who(caller), **SOURCE}, image_id="i")
        except PolicyRefused:
            return False
        return found.decision.action is not Action.DENY

    def events(self) -> list[dict[str, Any]]:
        found = [line for line in map(json.loads, self.log.read_text().splitlines()) if "event" in line]
        for line in found:
            self.schema.validate(line)
        return found


def _schema(name: str) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((shipped("schemas") / f"{name}.schema.json").read_text())
    return found


def tree(text: str = TREE) -> Policy:
    source = Source("p.yaml", text.encode())
    return compile_tree([source], schema=_schema("policy"), engine=engine("cel-expr"), methods=METHODS)


def at_a_desk(folder: Path, scene: Callable[[Desk], Coroutine[Any, Any, None]], text: str = TREE) -> None:
    async def run() -> None:
        clock, log, unused = Hands(), folder / "decisions.jsonl", None
        numbers = iter(range(1000))
        async with open_catalog(catalog_url(folder)) as catalog:
            with JsonLines(log) as decisions:
                any_: Any = unused
                site = Site(
                    catalog=catalog, stores={}, default_store="local", methods={}, stages=frozenset(),
                    policy=PolicyTrees(tree(text), any_), decisions=decisions, jobs=any_, seal=any_, clock=clock,
                    limits=Limits(), writer="w", new_id=lambda: f"id-{next(numbers)}",
                )  # fmt: skip
                await scene(Desk(site, clock, log))

    asyncio.run(run())


def test_it_grants_while_it_is_open_and_ends_by_itself(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        assert not await desk.grants()
        opening = await desk.open()
        assert opening.until == NOW + timedelta(hours=1)
        assert await desk.grants()
        desk.clock.at = opening.until - timedelta(microseconds=1)
        assert await desk.grants()
        desk.clock.at = opening.until
        assert not await desk.grants()
        assert not (await break_glass.shown(desk.site, ONCALL)).open

    at_a_desk(tmp_path, scene)


def test_it_ends_early_when_it_is_closed(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        opening = await desk.open()
        await break_glass.close(desk.site, ONCALL, opening.id)
        assert not await desk.grants()
        with pytest.raises(NotFound):
            await break_glass.close(desk.site, ONCALL, opening.id)

    at_a_desk(tmp_path, scene)


def test_who_why_and_until_are_in_the_log_before_it_counts(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        opening = await desk.open()
        desk.clock.at += timedelta(minutes=5)
        await break_glass.close(desk.site, ADMIN, opening.id)
        opened, closed = desk.events()
        assert (opened["event"], opened["user_id"], opened["reason"]) == ("break-glass-opened", "olga", REASON)
        assert opened["until"] == closed["until"] == "2026-11-22T13:00:00Z"
        assert (closed["event"], closed["user_id"], closed["at"]) == (
            "break-glass-closed",
            "ada",
            "2026-11-22T12:05:00Z",
        )
        assert (opened["id"], opened["project_id"], opened["rule"]) == (opening.id, "ours", "p/glass")

    at_a_desk(tmp_path, scene)


def test_what_cannot_be_logged_is_not_opened(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        desk.site.decisions = JsonLines(tmp_path / "missing" / "log")
        with pytest.raises(Unavailable):
            await desk.open()
        desk.site.decisions = JsonLines(desk.log)
        assert not await desk.grants()

    at_a_desk(tmp_path, scene)


def test_decisions_name_the_opening_they_rest_on(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        opening = await desk.open()
        found = await judge(desk.site, "web-download", {**who(MEMBER), **SOURCE}, image_id="i")
        assert found.entry["break_glass"] == {
            "id": opening.id,
            "rule": "p/glass",
            "reason_given": True,
            "by": "olga",
            "until": "2026-11-22T13:00:00Z",
        }
        Draft202012Validator(_schema("decision")).validate(found.entry)

    at_a_desk(tmp_path, scene)


def test_what_was_granted_under_it_stays_granted(tmp_path: Path) -> None:
    """The facts an import was granted with are its own; a new request is asked anew."""

    async def scene(desk: Desk) -> None:
        opening = await desk.open()
        granted = await judge(desk.site, "web-download", {**who(MEMBER), **SOURCE}, image_id="i")
        desk.clock.at = opening.until + timedelta(hours=1)
        again = await judge(desk.site, "web-download", granted.facts, image_id="i", final=True)
        assert again.decision.action is Action.ALLOW
        assert not await desk.grants()

    at_a_desk(tmp_path, scene)


def test_who_may_open_it(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        for caller, refusal in ((MEMBER, Forbidden), (STRANGER, NotFound)):
            with pytest.raises(refusal):
                await desk.open(caller)
        for caller in (ONCALL, STRANGER):
            with pytest.raises(Forbidden):
                await desk.open(caller, project_id="another")
        roleless = Caller(project_id="admins", user_id="bo", roles=("admin",))
        with pytest.raises(Forbidden):
            await desk.open(roleless, project_id="ours")
        assert not await desk.grants()
        await desk.open(ADMIN, project_id="ours")
        assert await desk.grants()
        assert not await desk.grants(ADMIN)

    at_a_desk(tmp_path, scene)


def test_who_may_close_it(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        opening = await desk.open()
        with pytest.raises(NotFound):
            await break_glass.close(desk.site, STRANGER, opening.id)
        with pytest.raises(Forbidden):
            await break_glass.close(desk.site, MEMBER, opening.id)
        desk.site.policy.swap(tree(TREE.replace("glass, allow", "other, allow")))
        await break_glass.close(desk.site, ONCALL, opening.id)

    at_a_desk(tmp_path, scene)


def test_it_opens_the_rule_for_its_project_alone(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        await desk.open()
        same_tags = Caller(project_id="others", project_tags=("t",), user_id="oz", roles=("member", "oncall"))
        assert not await desk.grants(same_tags)
        assert (await break_glass.shown(desk.site, same_tags)).open == []
        assert [one.project for one in (await break_glass.shown(desk.site, ADMIN)).open] == ["ours"]

    at_a_desk(tmp_path, scene)


def test_a_rule_is_open_once_for_a_project_however_many_ask(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        came = await asyncio.gather(*(desk.open() for _ in range(16)), return_exceptions=True)
        assert [type(one) for one in came].count(Opening) == 1
        assert [type(one) for one in came].count(Conflict) == 15
        desk.clock.at += timedelta(hours=1)
        again = await desk.open()
        assert [one.id for one in (await break_glass.shown(desk.site, ONCALL)).open] == [again.id]

    at_a_desk(tmp_path, scene)


def test_it_is_never_open_for_longer_than_its_rule_says(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        with pytest.raises(BadRequest, match="at most 4:00:00"):
            await desk.open(duration="241m")
        assert (await desk.open(duration="240m")).duration == timedelta(hours=4)

    at_a_desk(tmp_path, scene)


def test_discovery_says_what_may_be_opened_and_what_is_open(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        async def said(caller: Caller) -> dict[str, Any]:
            found: dict[str, Any] = (await import_document(desk.site, caller))["import-policy"]["value"]
            return found

        able, other = await said(ONCALL), await said(MEMBER)
        assert able["break_glass"]["may_open"][0]["rule"] == "p/glass"
        assert "p/glass" in able["withheld"]["web-download"]["message"]
        assert "break_glass" not in other
        assert "p/glass" not in other["withheld"]["web-download"]["message"]
        opening = await desk.open()
        for caller in (ONCALL, MEMBER):
            found = await said(caller)
            assert "web-download" in found["methods"]
            assert [one["id"] for one in found["break_glass"]["open"]] == [opening.id]
            assert "may_open" not in found["break_glass"]

    at_a_desk(tmp_path, scene)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reason": "too short"}, "'reason' has to have 10 to 500 characters, and has 9"),
        ({"reason": " " * 40}, "'reason' has to have 10 to 500 characters, and has 0"),
        ({"reason": "x" * 501}, "'reason' has to have 10 to 500 characters, and has 501"),
        ({"reason": 7}, "'reason' must be a text"),
        ({"duration": "4 hours"}, "'4 hours' is not a duration"),
        ({"duration": "0h"}, "'0h' is not between 1s and 30d"),
        ({"rule": ""}, "'rule' must be a text"),
        ({"until": "tomorrow"}, "'until' is not a key here"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read_wanted({"rule": "p/glass", "reason": REASON, "duration": "1h", **changed})
    assert message in raised.value.message


def test_a_request_lacks_nothing() -> None:
    whole = {"rule": "p/glass", "reason": REASON, "duration": "1h"}
    assert read_wanted(whole) == Wanted(rule="p/glass", reason=REASON, duration=timedelta(hours=1))
    for key in whole:
        with pytest.raises(BadRequest, match=f"'{key}' is missing"):
            read_wanted({name: value for name, value in whole.items() if name != key})
