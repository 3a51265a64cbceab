"""Trust that moves: methods that are earned and lost by a project's history, and rules that are opened for a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.model.decision import Action
from gateway.policy.compiler import compile_tree
from gateway.policy.decide import decide
from gateway.policy.explain import explain, text
from gateway.policy.expression import Truth, engine
from gateway.policy.facts import OPENED, Facts
from gateway.policy.offers import discovery, offers
from gateway.policy.problems import Problems
from gateway.policy.quantity import opening_seconds
from gateway.policy.reader import Source
from gateway.policy.record import record
from gateway.policy.rules import BreakGlass, Policy
from gateway.policy.testfile import read_tests
from gateway.policy.testing import Outcome, run
from gateway.shipped_files import shipped
from tests.policy.making import NOW, facts, image, policy, rule, who, within
from tests.policy.test_decide_properties import METHODS, questions

HOURS = BreakGlass(frozenset({"oncall"}), timedelta(hours=4))
OPENING = {"id": "o1", "by": "u7", "until": "2026-11-22T04:00:00Z"}
OPEN = {OPENED: {"p/glass": OPENING}}
EARNED = "project.imports.accepted >= 5 && project.imports.rejected == 0"


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shipped("schemas") / f"{name}.schema.json").read_text())
    return found


def tree(rules: str) -> Policy:
    source = Source("a.yaml", f"version: 1\npolicy: p\nrules:\n{rules}".encode())
    return compile_tree([source], schema=schema("policy"), engine=engine("cel-expr"), methods=METHODS)


def told(rules: str) -> list[tuple[str, str]]:
    with pytest.raises(Problems) as raised:
        tree(rules)
    return [(problem.code, str(problem.place)) for problem in raised.value.problems]


def history(accepted: int, rejected: int, first_at: int | None = None) -> dict[str, int]:
    known = {"project.imports.accepted": accepted, "project.imports.rejected": rejected}
    return known if first_at is None else {**known, "project.imports.first_at": first_at}


class TestHistory:
    @pytest.mark.parametrize(
        ("known", "action"),
        [
            (history(0, 0), Action.DENY),
            (history(4, 0, 9), Action.DENY),
            (history(5, 0, 9), Action.ALLOW),
            (history(99, 1, 9), Action.DENY),
        ],
    )
    def test_a_method_is_earned_and_lost_again(self, known: dict[str, int], action: Action) -> None:
        earned = policy(rule("allow", "earned", ["web-download"], when=EARNED))
        assert decide(earned, "web-download", facts({**image(), **known}), final=True).action is action

    @pytest.mark.parametrize("name", ["cel-expr", "cel-python"])
    def test_what_a_project_never_had_is_never_awaited(self, name: str) -> None:
        """A new project has no first import: that will not become known before its import is over."""
        old = engine(name).compile("project.imports.first_at >= 30")
        assert old.evaluate(history(3, 0, 30)) is Truth.YES
        assert old.evaluate(history(3, 0, 29)) is Truth.NO
        assert old.evaluate(history(0, 0)) is Truth.ERROR
        either = engine(name).compile('project.imports.first_at >= 30 || request.host == "a"')
        assert either.evaluate(history(0, 0)) is Truth.OPEN
        assert either.evaluate({**history(0, 0), "request.host": "a"}) is Truth.YES

    def test_without_a_first_import_an_age_grants_nothing_and_holds_newcomers_back(self) -> None:
        aged = policy(
            rule("allow", "any", ["glance-direct"]),
            rule("allow", "old", ["web-download"], when="project.imports.first_at >= 30"),
            rule("require", "new", when="project.imports.first_at < 90", stages=()),
            rule("deny", "young", ["copy-image"], when="project.imports.first_at < 2", message="Too young."),
        )
        new, grown = facts(history(0, 0)), facts(history(3, 0, 100))
        assert offers(aged, new).methods == ("glance-direct",)
        assert offers(aged, grown).methods == ("glance-direct", "web-download")
        assert decide(aged, "glance-direct", new).outcomes["p/new"] == "error"
        assert decide(aged, "glance-direct", grown).outcomes["p/new"] == "no"

    def test_a_tree_says_which_facts_it_asks_for(self) -> None:
        asking = tree("  - {id: a, allow: all, when: project.imports.accepted > 1}\n")
        saying = tree("  - {id: a, allow: all}\n  - {id: d, deny: all, message: 'Of {project.imports.rejected}.'}\n")
        assert "project.imports.accepted" in asking.facts
        assert saying.facts == {"project.imports.rejected"}
        refused = decide(saying, "web-download", facts(history(1, 3, 1)))
        assert refused.reasons[0].message == "Of 3."
        assert tree("  - {id: a, allow: all}\n").facts == frozenset()

    def test_the_record_keeps_it_so_that_a_replay_is_exact(self) -> None:
        earned = policy(rule("allow", "earned", ["web-download"], when=EARNED))
        known = facts({**image(), **history(5, 0, 9)})
        decision = decide(earned, "web-download", known, final=True)
        entry = record(decision, known, decision_id="d", image_id=None, final=True)
        Draft202012Validator(schema("decision")).validate(entry)
        kept = {name: entry["facts"][name] for name in history(5, 0, 9)}
        assert kept == history(5, 0, 9)


GLASS = policy(
    rule("allow", "small", ["glance-direct"], within=within(max_size=1)),
    rule("allow", "glass", ["glance-direct", "web-download"], selector=who(tags=["t"]), break_glass=HOURS),
    rule("limit", "ceiling", within=within(max_size=1 << 40)),
    rule("deny", "raw", when='request.disk_format == "raw"', message="No raw images."),
)
ONCALL = {"tags": ["t"], "roles": ["member", "oncall"]}


class TestBreakGlass:
    def test_it_grants_only_while_it_is_open(self) -> None:
        shut = decide(GLASS, "web-download", facts(image(), tags=["t"]), final=True)
        opened = decide(GLASS, "web-download", facts({**image(), **OPEN}, tags=["t"]), final=True)
        elsewhere = decide(GLASS, "web-download", facts({**image(), **OPEN}), final=True)
        assert (shut.action, shut.reasons[0].code) == (Action.DENY, "not-granted")
        assert (opened.action, elsewhere.action) == (Action.ALLOW, Action.DENY)

    def test_guardrails_hold_while_it_is_open(self) -> None:
        raw, huge = image(disk_format="raw"), image(1 << 41)
        for found, code in ((raw, "denied"), (huge, "over-limit")):
            decision = decide(GLASS, "web-download", facts({**found, **OPEN}, tags=["t"]), final=True)
            assert (decision.action, decision.reasons[0].code) == (Action.DENY, code)

    def test_a_decision_names_the_opening_it_rests_on(self) -> None:
        known = facts({**image(), **OPEN}, tags=["t"])
        entry = record(decide(GLASS, "glance-direct", known, final=True), known, decision_id="d", image_id=None)
        Draft202012Validator(schema("decision")).validate(entry)
        assert entry["break_glass"] == {"rule": "p/glass", "reason_given": True, **OPENING}
        assert entry["facts"][OPENED] == OPEN[OPENED]
        small = facts({**image(1), **OPEN}, tags=["t"])
        ordinary = decide(GLASS, "glance-direct", small, final=True)
        assert (ordinary.action, ordinary.lent) == (Action.ALLOW, None)
        assert "break_glass" not in record(ordinary, small, decision_id="d", image_id=None)

    def test_who_may_open_it_is_told_how_and_nobody_else(self) -> None:
        able, other, elsewhere = facts(**ONCALL), facts(tags=["t"]), facts(roles=["oncall"])
        document = discovery(GLASS, able)
        Draft202012Validator(schema("discovery")).validate(document)
        said = document["import-policy"]["value"]["break_glass"]
        methods = ["glance-direct", "web-download"]
        assert said["may_open"] == [{"rule": "p/glass", "methods": methods, "max_seconds": 4 * 3600}]
        withheld = document["import-policy"]["value"]["withheld"]["web-download"]["message"]
        assert "you may open 'p/glass': POST /v2/info/import/break-glass" in withheld
        for one in (other, elsewhere):
            value = discovery(GLASS, one)["import-policy"]["value"]
            assert "break_glass" not in value
            assert "p/glass" not in json.dumps(value)

    def test_what_is_open_is_told_to_everybody_it_is_open_for(self) -> None:
        document = discovery(GLASS, facts(OPEN, tags=["t"]))
        Draft202012Validator(schema("discovery")).validate(document)
        value = document["import-policy"]["value"]
        assert "web-download" in value["methods"]
        assert value["break_glass"] == {"open": [{"rule": "p/glass", **OPENING}]}

    def test_a_refusal_for_its_size_points_to_it_too(self) -> None:
        refused = decide(GLASS, "glance-direct", facts(image(), **ONCALL), final=True)
        assert refused.reasons[0].remedy.startswith("Granted: at most 1B. In an emergency you may open 'p/glass'")

    def test_it_is_explained(self) -> None:
        shut = text(explain(GLASS, "web-download", facts(tags=["t"])))
        opened = text(explain(GLASS, "web-download", facts(OPEN, tags=["t"])))
        assert "- break_glass not opened   (roles oncall may, for at most 4:00:00)" in shut
        assert "+ break_glass opened by u7 until 2026-11-22T04:00:00Z" in opened

    def test_one_that_is_tried_out_cannot_be_opened(self) -> None:
        tried = policy(rule("allow", "glass", ["web-download"], break_glass=HOURS, mode="warn"))
        assert tried.break_glass == ()
        assert decide(tried, "web-download", facts({**image(), **OPEN}), final=True).action is Action.DENY

    @settings(deadline=None, max_examples=60)
    @given(questions(), st.data())
    def test_opening_is_exactly_the_rule_without_its_lock(self, question: Any, data: st.DataObject) -> None:
        """Opened, it decides as an ordinary `allow` would; shut, as if it were not there."""
        made, exempt, method, asking, found = question
        allows = [one for one in made if one.verb == "allow"]
        if not allows:
            return
        locked = data.draw(st.sampled_from(allows))
        others = [one for one in made if one is not locked]
        ordinary, without = policy(*made, exemptions=exempt), policy(*others, exemptions=exempt)
        glass = policy(*others, replace(locked, break_glass=HOURS), exemptions=exempt)
        known = facts(found, **asking)
        opened = known.knowing({OPENED: {locked.name: OPENING}})
        for final in (False, True):
            assert _answer(glass, method, opened, final) == _answer(ordinary, method, opened, final)
            assert _answer(glass, method, known, final) == _answer(without, method, known, final)


def _answer(tree: Policy, method: str, known: Facts, final: bool) -> tuple[Any, ...]:
    found = decide(tree, method, known, final=final)
    return (found.action, [one.code for one in found.reasons], found.plan, found.within, found.refused_when)


class TestWriting:
    def test_it_is_read(self) -> None:
        found = tree("  - {id: g, allow: [web-download], break_glass: {roles: [oncall, admin], max: 90m}}\n").rules[0]
        assert found.break_glass == BreakGlass(frozenset({"oncall", "admin"}), timedelta(minutes=90))

    @pytest.mark.parametrize(
        ("written", "code"),
        [
            ("deny: all, break_glass: {roles: [a], max: 4h}", "misplaced-key"),
            ("limit: all, within: {max_size: 1GiB}, break_glass: {roles: [a], max: 4h}", "misplaced-key"),
            ("require: all, stages: [inspect], break_glass: {roles: [a], max: 4h}", "misplaced-key"),
            ("allow: all, break_glass: {max: 4h}", "missing-key"),
            ("allow: all, break_glass: {roles: [a]}", "missing-key"),
            ("allow: all, break_glass: {roles: [], max: 4h}", "empty"),
            ("allow: all, break_glass: {roles: [a], max: 4 hours}", "bad-duration"),
            ("allow: all, break_glass: {roles: [a], max: 0h}", "bad-duration"),
            ("allow: all, break_glass: {roles: [a], max: 31d}", "bad-duration"),
            ("allow: all, break_glass: {roles: sets.none, max: 4h}", "unknown-set"),
            ("allow: all, when: size(project.opened) > 0", "cel"),
            ("allow: all, when: project.imports.acepted > 0", "cel"),
        ],
    )
    def test_what_is_wrong_is_told(self, written: str, code: str) -> None:
        assert [found for found, _ in told(f"  - {{id: g, {written}}}\n")] == [code]

    @pytest.mark.parametrize(("text_", "seconds"), [("1s", 1), ("4h", 14400), ("30d", 2592000)])
    def test_durations(self, text_: str, seconds: int) -> None:
        assert opening_seconds(text_) == seconds

    @pytest.mark.parametrize("text_", ["0s", "31d", "721h", "999999999d", "1w", "-1h", "", "٣h"])
    def test_what_is_no_duration_of_an_emergency(self, text_: str) -> None:
        with pytest.raises(ValueError, match="not"):
            opening_seconds(text_)


RULES = (
    f"  - {{id: earned, allow: [web-download], when: '{EARNED}'}}\n"
    "  - {id: glass, allow: [glance-direct], break_glass: {roles: [oncall], max: 4h}}\n"
)
CASES = """
version: 1
who:
  new: {}
  known: {imports: {accepted: 5, first_at: 30}}
  lost: {imports: {accepted: 50, rejected: 1}}
  opened: {opened: [p/glass]}
images: {any: {size: 1GiB, disk_format: qcow2}}
tests:
  - {name: earned, discover: {new: [], known: [web-download], lost: [], opened: [glance-direct]}}
  - {name: opened, who: [new, opened], import: glance-direct, image: any, expect: {new: deny, opened: allow}}
"""


class TestTestFiles:
    def outcome(self, cases: str) -> Outcome:
        found = tree(RULES)
        sources = [Source("a.test.yaml", cases.encode())]
        return run(found, read_tests(sources, schema=schema("policy-test"), policy=found, now=NOW))

    def test_callers_have_a_history_and_openings(self) -> None:
        assert self.outcome(CASES).failures == ()
        wrong = self.outcome(CASES.replace("known: [web-download]", "known: []"))
        assert [failure.message for failure in wrong.failures] == [
            "known is offered web-download, which is not expected"
        ]

    def test_a_rule_that_cannot_be_opened_is_an_unknown_name(self) -> None:
        with pytest.raises(Problems) as raised:
            self.outcome(CASES.replace("p/glass", "p/earned"))
        assert [problem.code for problem in raised.value.problems] == ["unknown-name"]
