"""A stop is a deny laid over a tree: nothing is allowed by it, and a record of it decides the same again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.decision import Action, ReasonCode
from gateway.model.stop import Stop, StopKind
from gateway.policy.decide import decide
from gateway.policy.explain import explain, text
from gateway.policy.offers import discovery
from gateway.policy.record import record
from gateway.policy.rules import Policy
from gateway.policy.stops import laid_over, stop_from_json, stop_rules, stop_value
from tests.policy.making import NOW, facts, image, policy, rule, within
from tests.policy.test_decide_properties import HOSTS, METHODS, PATTERNS, questions

FROM_BAD = {"request.host": "cdn.bad.example", "request.scheme": "https", "request.port": 443, "request.path": "/i"}


def stop(kind: str, value: str, name: str = "s1") -> Stop:
    return Stop(
        id=name, kind=StopKind(kind), value=value, message="Off for now.", reason="r", added_by="a", added_at=NOW
    )


def stopped(tree: Policy, *stops: Stop) -> Policy:
    return laid_over(tree, stop_rules(stops))


OPEN_TO_ALL = policy(rule("allow", "all"))


@pytest.mark.parametrize(
    ("one", "refused"),
    [
        (stop("method", "web-download"), True),
        (stop("method", "glance-direct"), False),
        (stop("host", "*.bad.example"), True),
        (stop("host", "cdn.bad.example"), True),
        (stop("host", "bad.example"), False),
        (stop("project", "p1"), True),
        (stop("project", "p2"), False),
    ],
)
def test_a_stop_refuses_what_it_names_and_nothing_else(one: Stop, refused: bool) -> None:
    decision = decide(stopped(OPEN_TO_ALL, one), "web-download", facts({**image(), **FROM_BAD}), final=True)
    assert (decision.action is Action.DENY) == refused
    if refused:
        first = decision.reasons[0]
        assert (first.code, first.rule) == (ReasonCode.STOPPED, "stops/s1")
        assert first.message == "Off for now."


def test_it_comes_before_what_the_tree_itself_refuses() -> None:
    tree = policy(rule("allow", "all"), rule("deny", "a", message="No."), rule("limit", "l", within=within(max_size=1)))
    decision = decide(stopped(tree, stop("project", "p1")), "web-download", facts(image()))
    assert [reason.code.value for reason in decision.reasons][:2] == ["stopped", "denied"]


def test_a_stopped_host_leaves_uploads_alone() -> None:
    tree = stopped(OPEN_TO_ALL, stop("host", "*.bad.example"))
    assert decide(tree, "glance-direct", facts(image()), final=True).action is Action.ALLOW


def test_discovery_says_stopped_and_warns_of_hosts() -> None:
    tree = stopped(OPEN_TO_ALL, stop("method", "copy-image"), stop("host", "*.bad.example", "s2"))
    policy_value = discovery(tree, facts())["import-policy"]["value"]
    assert policy_value["withheld"]["copy-image"]["reason"] == "stopped"
    assert policy_value["methods"]["web-download"]["refused_when"] == ["Off for now."]
    assert policy_value["methods"]["glance-direct"]["refused_when"] == []
    assert policy_value["revision"] == OPEN_TO_ALL.revision


def test_explain_shows_the_stop() -> None:
    said = text(explain(stopped(OPEN_TO_ALL, stop("host", "*.bad.example")), "web-download", facts(FROM_BAD)))
    assert "stops/s1" in said
    assert '+ when: request.host is "*.bad.example"' in said


def test_values_are_spelled_as_facts_are() -> None:
    assert stop_value(StopKind.HOST, "CDN.Bad.Example.") == "cdn.bad.example"
    assert stop_value(StopKind.PROJECT, "3F2a") == "3F2a"
    for kind, value in ((StopKind.HOST, "*"), (StopKind.HOST, "a b"), (StopKind.METHOD, "web-downlaod")):
        with pytest.raises(ValueError):
            stop_value(kind, value)


STOPS = st.lists(
    st.one_of(
        st.sampled_from(METHODS).map(lambda value: stop("method", value)),
        st.sampled_from([*PATTERNS, *HOSTS]).map(lambda value: stop("host", value)),
        st.sampled_from(["p1", "p2"]).map(lambda value: stop("project", value)),
    ),
    max_size=4,
).map(lambda some: [replace(one, id=f"s{number}") for number, one in enumerate(some)])


@given(questions(), STOPS, st.booleans())
@settings(deadline=None, max_examples=200)
def test_a_stop_only_ever_takes_away(question: Any, stops: list[Stop], final: bool) -> None:
    made, exempt, method, caller, known = question
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    told = facts(known, **caller)
    under = decide(stopped(tree, *stops), method, told, final=final)
    without = decide(tree, method, told, final=final)
    if under.action is not Action.DENY or under.reasons[0].code is not ReasonCode.STOPPED:
        assert (under.action, under.plan, under.reasons) == (without.action, without.plan, without.reasons)
    assert stopped(stopped(tree, *stops)) == tree


@given(questions(), STOPS, st.booleans())
@settings(deadline=None, max_examples=200)
def test_a_record_decides_the_same_again(question: Any, stops: list[Stop], final: bool) -> None:
    made, exempt, method, caller, known = question
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    told = facts(known, **caller)

    def recorded(over: Policy) -> Any:
        decision = decide(over, method, told, final=final)
        return json.loads(json.dumps(record(decision, told, decision_id="d", image_id=None, final=final)))

    entry = recorded(stopped(tree, *stops))
    assert recorded(stopped(tree, *map(stop_from_json, entry["stops"]))) == entry


def test_a_stop_does_not_look_at_the_tree_it_lies_over() -> None:
    tree = policy(rule("allow", "all"), rule("deny", "d", message="No."))
    over = stopped(tree, stop("project", "p1"))
    assert over.rules is tree.rules
    assert over.index is tree.index
    assert over.revision == tree.revision


def test_another_projects_stop_is_not_part_of_a_decision() -> None:
    decision = decide(stopped(OPEN_TO_ALL, stop("project", "p2")), "glance-direct", facts(image()), final=True)
    assert (decision.stops, [*decision.outcomes]) == ((), ["p/all"])
