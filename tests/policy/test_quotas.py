"""Quotas in a policy: carried by the plan of a decision, one for each way in which an import may be granted."""

from __future__ import annotations

import json
from itertools import product

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.decision import Action, Within
from gateway.model.usage import Counted, Quota
from gateway.policy.decide import decide
from gateway.policy.offers import discovery, offers
from gateway.policy.rules import Policy
from gateway.policy.within import covers, meet, quota
from gateway.policy.wording import over_quota, said_within
from gateway.shipped_files import shipped
from tests.policy.making import GIB, NOW, exemption, facts, image, policy, rule, who, within

METHODS = ("glance-direct", "web-download")
HOST = {"host": "a.example", "scheme": "https"}
EVERYTHING = rule("allow", "everything")


def quotas(made: Policy, **caller: list[str]) -> set[Quota]:
    return set(decide(made, "glance-direct", facts(image(), **caller), final=True).plan.quotas)


def test_every_limit_holds_so_the_tightest_does() -> None:
    wide = rule("limit", "wide", within=within(max_total_size=9, max_images=2))
    tight = rule("limit", "tight", within=within(max_total_size=7, max_active_imports=3))
    made = policy(EVERYTHING, wide, tight)
    assert quotas(made) == {Quota(max_total_size=7, max_images=2, max_active_imports=3)}


def test_each_grant_brings_its_own_and_the_limits() -> None:
    made = policy(
        rule("allow", "large", within=within(max_size=9 * GIB, max_total_size=10 * GIB)),
        rule("allow", "small", within=within(max_size=2 * GIB, max_total_size=90 * GIB)),
        rule("limit", "count", within=within(max_images=5)),
    )
    assert quotas(made) == {
        Quota(max_total_size=10 * GIB, max_images=5),
        Quota(max_total_size=90 * GIB, max_images=5),
    }
    too_large_for_small = decide(made, "glance-direct", facts(image(3 * GIB)), final=True)
    assert too_large_for_small.plan.quotas == (Quota(max_total_size=10 * GIB, max_images=5),)


def test_a_grant_without_a_quota_asks_for_nothing() -> None:
    made = policy(EVERYTHING, rule("allow", "few", within=within(max_size=1, max_images=1)))
    assert quotas(made) == set()


def test_a_quota_is_no_question_about_an_import() -> None:
    made = policy(rule("allow", "none", within=within(max_images=0, max_total_size=0, max_active_imports=0)))
    assert decide(made, "glance-direct", facts(image()), final=True).action is Action.ALLOW


def test_an_exemption_raises_it_for_its_project_alone() -> None:
    later = NOW.replace(year=2027)
    more = exemption("more", "cap", later, selector=who(projects=["p1"]), within=within(max_images=9))
    made = policy(EVERYTHING, rule("limit", "cap", within=within(max_images=3)), exemptions=[more])
    assert [one.max_images for one in quotas(made)] == [9]
    assert [one.max_images for one in quotas(made, project="p2")] == [3]  # type: ignore[arg-type]


def test_before_a_method_is_chosen_the_most_generous_one_counts() -> None:
    direct = rule("limit", "direct", ["glance-direct"], within=within(max_images=3))
    web = rule("limit", "web", ["web-download"], within=within(max_images=5))
    assert set(offers(policy(EVERYTHING, direct, web, methods=METHODS), facts()).quotas) == {
        Quota(max_images=3),
        Quota(max_images=5),
    }
    assert offers(policy(EVERYTHING, direct, methods=METHODS), facts()).quotas == ()


def test_who_is_offered_nothing_is_still_held_to_the_limits() -> None:
    made = policy(rule("limit", "cap", within=within(max_images=3)), methods=METHODS)
    assert offers(made, facts()).methods == ()
    assert offers(made, facts()).quotas == (Quota(max_images=3),)


def test_discovery_tells_them_and_a_limit_that_may_come() -> None:
    later = rule("limit", "later", when='request.host == "a.example"', within=within(max_active_imports=1))
    made = policy(EVERYTHING, rule("limit", "cap", within=within(max_images=3, max_total_size=GIB)), later)
    found = discovery(made, facts())
    jsonschema.validate(found, json.loads((shipped("schemas") / "discovery.schema.json").read_text()))
    assert {key: found[key]["value"] for key in ("max_images", "max_total_size")} == {
        "max_images": 3,
        "max_total_size": GIB,
    }
    offer = found["import-policy"]["value"]["methods"]["web-download"]
    assert offer["within"] == [{"max_images": 3, "max_total_size": GIB}]
    assert offer["refused_when"] == ["Some imports are held to: at most 1 active import at once in the project."]


def test_they_are_said_in_words() -> None:
    limits = Within(max_images=1, max_total_size=20 * GIB, max_active_imports=2)
    assert said_within(limits, "glance-direct") == (
        "at most 1 image in the project, at most 20GiB in the project, at most 2 active imports at once in the project"
    )
    message, remedy = over_quota(Counted.SIZE, 20 * GIB, 19 * GIB, 2 * GIB)
    assert message == "This project may have at most 20GiB; it has 19GiB, and this needs 2GiB more."
    assert remedy
    assert over_quota(Counted.IMAGES, 1, 2, 0)[0] == "This project may have at most 1 image; it has 2 images."


def fits(quota_: Quota, used: tuple[int, int, int]) -> bool:
    limits = (quota_.max_images, quota_.max_total_size, quota_.max_active_imports)
    return all(limit is None or have <= limit for limit, have in zip(limits, used, strict=True))


amounts = st.one_of(st.none(), st.integers(0, 4))
withins = st.builds(Within, max_images=amounts, max_total_size=amounts, max_active_imports=amounts, max_size=amounts)


@settings(deadline=None)
@given(withins, withins)
def test_what_fits_two_limits_fits_their_meeting_and_nothing_else_does(one: Within, other: Within) -> None:
    for used in product((0, 2, 4), repeat=3):
        both = fits(quota(one), used) and fits(quota(other), used)
        assert fits(quota(meet(one, other)), used) == both
        if covers(one, other) and fits(quota(other), used):
            assert fits(quota(one), used)
