"""The shipped trees decide what their tests say, with either engine and with every method of the language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.policy.facts import METHODS
from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.policy.testfile import read_tests
from gateway.policy.testing import Outcome, run
from gateway.shipped_files import shipped
from gateway.trees import read_tests as written_tests
from tests.policy.making import NOW
from tests.policy.trees import BUILD, compiled, compiled_from

SCHEMA: dict[str, Any] = json.loads((shipped("schemas") / "policy-test.schema.json").read_text())
TREES = ("private-cloud", "public-cloud", "regulated")
TINY = Source(
    "tiny.yaml",
    b"version: 1\npolicy: tiny\nrules:\n  - id: all\n    allow: all\n  - id: no\n    deny: [web-download]\n",
)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("engine", ["cel-expr", "cel-python"])
def test_its_tests_pass_and_touch_every_rule(name: str, engine: str) -> None:
    policy = compiled(name, BUILD, engine)
    cases = read_tests(written_tests(shipped("policies") / name), schema=SCHEMA, policy=policy, now=NOW)
    outcome = run(policy, cases)
    assert outcome.failures == ()
    assert outcome.idle == ()
    assert outcome.cases >= 10


@pytest.mark.parametrize("name", TREES)
def test_it_compiles_for_a_build_with_every_method(name: str) -> None:
    assert compiled(name, METHODS).methods == METHODS


def checked(text: str) -> Outcome:
    policy = compiled_from(TINY)
    return run(policy, read_tests([Source("t.test.yaml", text.encode())], schema=SCHEMA, policy=policy, now=NOW))


def case(body: str) -> str:
    return f"version: 1\nwho:\n  me: {{}}\nimages:\n  one: {{size: 1GiB}}\ntests:\n  - name: it\n{body}"


def test_a_wrong_expectation_fails_with_what_came_and_why() -> None:
    outcome = checked(case("    who: me\n    import: web-download\n    image: one\n    expect: allow\n"))
    (failure,) = outcome.failures
    assert failure.place.line == 7
    assert "expected allow, got deny because tiny/no" in failure.message


def test_the_wrong_cause_fails() -> None:
    body = "    who: me\n    import: web-download\n    image: one\n    expect: deny\n    because: over-limit\n"
    assert "because of over-limit" in checked(case(body)).failures[0].message


def test_the_wrong_stages_fail() -> None:
    body = "    who: me\n    import: glance-direct\n    image: one\n    expect: allow\n    stages: [inspect]\n"
    assert "expected the stages inspect, got none" in checked(case(body)).failures[0].message


def test_the_wrong_offer_fails_both_ways() -> None:
    outcome = checked(case("    discover: {me: [web-download]}\n"))
    assert [failure.message.split(",")[0] for failure in outcome.failures] == [
        "me is offered glance-direct",
        "me is not offered web-download",
    ]


def test_rules_no_test_applies_are_listed() -> None:
    outcome = checked(case("    who: me\n    import: glance-direct\n    image: one\n    expect: allow\n"))
    assert [rule.name for rule in outcome.idle] == ["tiny/no"]
    assert outcome.coverage == 50.0


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ("    who: mee\n    import: web-download\n    image: one\n    expect: deny\n", "8:10", "no caller 'mee'"),
        ("    who: me\n    import: web-dwnload\n    image: one\n    expect: deny\n", "9:13", "no method"),
        ("    who: me\n    import: web-download\n    image: two\n    expect: deny\n", "10:12", "no image 'two'"),
        (
            "    who: me\n    import: web-download\n    image: one\n    expect: deny\n    because: tiny/not\n",
            "12:14",
            "no rule or reason code 'tiny/not'",
        ),
        (
            "    who: me\n    import: web-download\n    image: one\n    expect: {you: deny}\n",
            "11:14",
            "no caller of this test 'you'",
        ),
        ("    who: me\n    import: web-download\n", "7:5", "lacks image, expect"),
        ("    discover: {me: [web]}\n", "8:21", "no method"),
        ("    discover: {me: []}\n    expct: deny\n", "9:5", "'expct' is not a key here"),
    ],
)
def test_unknown_names_are_problems_with_their_place(body: str, place: str, message: str) -> None:
    with pytest.raises(Problems) as raised:
        checked(case(body))
    assert [f"{one.place.line}:{one.place.column}" for one in raised.value.problems] == [place]
    assert message in raised.value.problems[0].message
