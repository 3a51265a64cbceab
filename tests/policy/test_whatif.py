"""The smallest change: it passes, nothing smaller does, and it is found among what discovery offers."""

from __future__ import annotations

import json
from collections.abc import Container
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway.model.decision import Action
from gateway.policy.advice import advice, answer_json, said_passing
from gateway.policy.changes import FACTS, Change, changes, method_changes, switched
from gateway.policy.decide import decide
from gateway.policy.facts import Facts
from gateway.policy.problems import Problems
from gateway.policy.rules import Policy
from gateway.policy.whatif import MOST_CHANGES, MOST_DECISIONS, Question, applied, smallest_change
from tests.policy.campaign.drawing import Case, case, compiled
from tests.policy.campaign.properties import CHOICES, Tried
from tests.policy.making import GIB, call, facts, image, policy, rule, who, within

DOWNLOAD, UPLOAD = "web-download", "glance-direct"
OTHERS = who(projects=["p9"])
SOURCE = {"request.host": "x.example", "request.scheme": "http", "request.port": 80, "request.path": "/"}


def asked(tree: Policy, more: dict[str, Any], method: str = DOWNLOAD, **keys: Any) -> Question:
    return Question(policy=tree, method=method, facts=facts(more), choices=CHOICES, **keys)


def changed(question: Question) -> dict[str, Any] | None:
    found = smallest_change(question)
    return {change.kind: change.value for change in found.changes} if found else None


@pytest.mark.parametrize(
    ("limit", "more", "expected"),
    [
        ({"schemes": ["https"]}, SOURCE, {"scheme": "https"}),
        ({"ports": [443]}, SOURCE, {"scheme": "https"}),
        ({"hosts": ["*.a.example"]}, SOURCE, {"host": "*.a.example"}),
        ({"disk_formats": ["raw", "qcow2"]}, {"request.disk_format": "vmdk"}, {"disk_format": "qcow2"}),
        ({"container_formats": ["bare"]}, {"request.container_format": "ova"}, {"container_format": "bare"}),
        ({"stores": ["a", "b"]}, {"request.stores": ("c", "b", "a")}, {"stores": ("b", "a")}),
        ({"stores": ["a"]}, {"request.stores": ("c",)}, {"stores": ("a",)}),
        ({"max_size": 5}, {"content.size": 6}, {"size": 5}),
        ({"max_virtual_size": 5}, {"content.virtual_size": 6}, {"virtual_size": 5}),
        ({"schemes": ["https"], "hosts": ["a.example"]}, SOURCE, {"scheme": "https", "host": "a.example"}),
    ],
)
def test_what_is_outside_of_a_limit_is_brought_inside(limit: Any, more: Any, expected: Any) -> None:
    tree = policy(rule("allow", "any"), rule("limit", "l", within=within(**limit)), methods=(DOWNLOAD,))
    assert changed(asked(tree, more)) == expected


def test_what_a_denial_looks_at_is_changed() -> None:
    tree = policy(
        rule("allow", "any"),
        rule("deny", "public", when='request.visibility == "public"', message="No."),
        rule("deny", "odd", when="request.properties.exists(p, p.startsWith('hw_'))", message="No."),
    )
    more = {"request.visibility": "public", "request.properties": {"hw_a": "1", "b": "2"}}
    assert changed(asked(tree, more)) == {"visibility": "private", "properties": {"b": "2"}}


def test_another_method_is_the_last_resort() -> None:
    tree = policy(rule("allow", "up", [UPLOAD]), rule("allow", "https", [DOWNLOAD], within=within(schemes=["https"])))
    assert changed(asked(tree, SOURCE)) == {"scheme": "https"}
    assert changed(asked(policy(rule("allow", "up", [UPLOAD])), SOURCE)) == {"method": UPLOAD}


def test_where_nothing_helps_nothing_is_said() -> None:
    granted_to_nobody = policy(rule("allow", "others", selector=OTHERS))
    assert changed(asked(granted_to_nobody, SOURCE)) is None
    denied = policy(rule("allow", "any"), rule("deny", "all", message="Closed."))
    told = advice(asked(denied, SOURCE), asked(denied, SOURCE).decided())
    assert (told.passing, told.reason.remedy) == (None, "")


def test_what_another_method_suggests_is_told_alone_where_it_is_enough() -> None:
    tree = policy(
        rule("allow", "up", [UPLOAD]),
        rule("deny", "large", [UPLOAD], when="content.size > 5", message="Too large."),
        rule("allow", "down", [DOWNLOAD], within=within(max_size=2)),
        methods=(UPLOAD, DOWNLOAD),
    )
    assert changed(asked(tree, {"content.size": 9}, UPLOAD)) == {"size": 2}


def test_a_refusal_at_the_end_says_what_image_would_pass() -> None:
    tree = policy(rule("allow", "up", [UPLOAD], within=within(max_size=2 * GIB)), methods=(UPLOAD,))
    question = asked(tree, image(3 * GIB), UPLOAD, final=True)
    assert said_passing(smallest_change(question)) == "The smallest change that would pass: make it at most 2GiB."


def test_the_answer_never_shows_an_expression_or_a_rule_of_others() -> None:
    tree = policy(
        rule("allow", "mine", within=within(hosts=["a.example"])),
        rule("deny", "hidden", when='request.host == "secret.example"', message="Not from there."),
        rule("allow", "theirs", selector=OTHERS, within=within(hosts=["private.theirs.example"])),
    )
    for host in ("x.example", "secret.example", "a.example"):
        said = json.dumps(answer_json(asked(tree, {**SOURCE, "request.host": host})))
        assert "theirs" not in said
        assert "==" not in said


class Counting(Container[object]):
    """Stages that are all there. Each decision asks for the one stage of its plan."""

    asked = 0

    def __contains__(self, stage: object) -> bool:
        self.asked += 1
        return True


def test_how_often_it_asks_is_bounded() -> None:
    """Many facts, each with many values, none of which helps."""
    hosts = [f"h{number}.example" for number in range(50)]
    looks = 'request.host != "" && !("" in request.stores || "" in request.properties) && request.visibility != ""'
    tree = policy(
        rule("allow", "any", within=within(hosts=hosts, stores=["a", "b", "c"])),
        rule("deny", "all", when=looks),
        rule("require", "inspect", stages=(call("inspect"),)),
        methods=(DOWNLOAD,),
    )
    stages = Counting()
    properties = {f"p{number}": "" for number in range(9)}
    more = {**SOURCE, "request.stores": ("a",), "request.visibility": "private", "request.properties": properties}
    assert changed(asked(tree, more, stages=stages)) is None
    assert MOST_DECISIONS / 2 < stages.asked < 2 * MOST_DECISIONS


def drawn(number: int) -> Tried | None:
    found: Case = case(number)
    try:
        return Tried(number, found, compiled(found.documents, found.stops))
    except Problems:
        return None


def options(question: Question, method: str) -> list[list[Change]]:
    """For each kind all changes there are, read off discovery."""
    ways = question.offered(method)
    values = switched(question.facts.values, method) if method != question.method else question.facts.values
    return [found for kind in FACTS if (found := list(changes(kind, values, ways, question.choices)))]


def brute(question: Question, count: int) -> bool:
    """Whether any import that differs by `count` changes passes: all of them tried, none left out."""
    starts: list[tuple[Change, ...]] = [()]
    starts += [(one,) for one in method_changes(question.method, question.policy.methods)]
    for start in starts:
        method = str(start[0].value) if start else question.method
        if start and not question.offered(method):
            continue
        for kinds in combinations(options(question, method), count - len(start)) if count >= len(start) else ():
            if any(applied(question, (*start, *made)).decided().action is not Action.DENY for made in product(*kinds)):
                return True
    return False


@given(st.integers(0, 10**9), st.booleans())
@settings(deadline=None, max_examples=60)
def test_nothing_smaller_passes(number: int, final: bool) -> None:
    tried = drawn(number)
    if tried is None:
        return
    question = tried.asked(tried.case.facts if final else tried.early, final=final)
    if question.decided().action is not Action.DENY:
        return
    found = smallest_change(question)
    event(f"{len(found.changes) if found else 'no'} changes")
    if found:
        assert applied(question, found.changes).decided().action is found.action is not Action.DENY
    tries = len(found.changes) - 1 if found else min(2, MOST_CHANGES)
    assert not any(brute(question, count) for count in range(1, tries + 1))


@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=50)
def test_a_what_if_that_knows_all_is_the_decision(number: int) -> None:
    tried = drawn(number)
    if tried is None:
        return
    answer = answer_json(tried.asked(tried.case.facts))
    event(answer["decision"])
    if answer["decision"] != "open":
        end = decide(tried.policy, tried.case.method, Facts(tried.case.facts, tried.asked({}).facts.now), final=True)
        assert answer["decision"] == end.action
        assert answer["stages"] == list(dict.fromkeys(call.name for call in end.plan.stages))
    else:
        assert answer["unknown"]
