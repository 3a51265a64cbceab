"""Why: the account of a decision agrees with the decision, and shows each clause with its mark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings

from gateway.policy.decide import decide
from gateway.policy.explain import as_json, explain, text
from tests.policy.making import GIB, facts, policy, rule, who
from tests.policy.test_decide_properties import METHODS, questions
from tests.policy.trees import compiled

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LARGE = {
    "request.host": "cloud.debian.org",
    "request.scheme": "https",
    "request.disk_format": "raw",
    "content.size": 60 * GIB,
    "content.virtual_size": 60 * GIB,
}


def told(more: dict[str, Any], **caller: Any) -> str:
    return text(explain(compiled("public-cloud"), "web-download", facts(more, now=NOW, **caller)))


def test_a_refusal_shows_every_rule_with_place_and_clauses() -> None:
    lines = [" ".join(line.split()) for line in told(LARGE, tags=["tier:silver"]).splitlines()]
    assert lines[0] == "DENY web-download project demo (tier:silver)"
    assert lines[1].startswith("because not-granted [tiers/silver]: ")
    assert "The image is 60GiB. Granted: at most 50GiB" in lines[1]
    for line in (
        "limit platform/ceiling applies platform.yaml:12",
        "+ at most 200GiB (The image is 60GiB)",
        "+ over https (Its source is fetched over https)",
        "require platform/scan-strangers no platform.yaml:25",
        "- when: !project.tags.exists(t, t in ['tier:silver', 'tier:gold'])",
        '? when: request.visibility == "public" && !("image-publisher" in user.roles)',
        "+ for: tags tier:silver",
        "- at most 50GiB (The image is 60GiB)",
        "- for: tags tier:gold",
    ):
        assert line in lines


def test_before_the_call_what_is_not_known_is_marked_so() -> None:
    lines = [" ".join(line.split()) for line in told({}, tags=["tier:silver"]).splitlines()]
    assert lines[0].startswith("OPEN web-download")
    assert "? at most 50GiB (not known yet)" in lines
    assert "refused when: Only image publishers may import public images." in lines


def test_an_exemption_is_named_with_what_it_loosens() -> None:
    shown = told({}, project="3f2a1c", tags=["tier:gold"])
    assert "exempted by platform/SEC-1234" in shown
    assert "? at most 260GiB" in shown


def test_an_error_has_a_mark_of_its_own() -> None:
    tree = policy(rule("allow", "a"), rule("deny", "odd", when='request.properties["no"] == "x"'))
    shown = text(explain(tree, "glance-direct", facts({"request.properties": {}}), final=True))
    assert '! when: request.properties["no"] == "x"' in shown
    assert "counts against the requester" in shown


def test_a_crowd_of_rules_for_others_is_counted_and_not_listed() -> None:
    tree = policy(rule("allow", "a"), *(rule("deny", f"d{n}", selector=who(projects=[f"x{n}"])) for n in range(70)))
    assert "and 20 more rules that are for other callers" in text(explain(tree, "glance-direct", facts()))


@given(questions())
@settings(deadline=None, max_examples=100)
def test_it_accounts_for_the_decision_that_is_made(question: Any) -> None:
    made, exempt, method, caller, known = question
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    explanation = explain(tree, method, facts(known, **caller), final=True)
    assert explanation.decision == decide(tree, method, facts(known, **caller), final=True)
    shown = json.loads(json.dumps(as_json(explanation)))
    listed = {account["rule"]: account["outcome"] for account in shown["rules"]}
    assert listed.items() >= dict(explanation.decision.outcomes).items()
    assert set(listed) == {one.name for one in made if method in one.methods}
