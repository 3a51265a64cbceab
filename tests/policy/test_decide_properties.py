"""What stays true of every policy and every import: drawn at random, decided by the real engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway.model.decision import Action, Within
from gateway.policy.decide import decide
from gateway.policy.expression import Truth
from gateway.policy.facts import SOURCE_FACTS, Facts
from gateway.policy.offers import offers
from gateway.policy.rules import Exemption, Rule, Selector, Verb
from gateway.policy.within import keeps, limits, meet
from tests.policy.making import NOW, call, exemption, facts, image, policy, rule, who, within

METHODS = ("glance-direct", "web-download", "glance-download")
HOSTS = ("a.example", "x.a.example", "y.x.a.example", "b.example")
PATTERNS = (*HOSTS, "*.a.example", "*.x.a.example")
FORMATS = ("qcow2", "raw", "vmdk")
TAGS = ("gold", "silver")
CALLS = [call("inspect"), call("malware-scan"), call("convert", target="raw"), call("inject", a="1")]
DATES = [None, None, None, NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)]
CONDITIONS = (
    'request.visibility == "public"',
    'request.disk_format != "raw"',
    "content.size > 4",
    'request.properties["k"] == "v"',
    "request.properties.exists(p, p == 'k')",
    '"gold" in project.tags',
    'request.host.endsWith("example") || content.size > 6',
    'request.method == "web-download" && user.roles.exists(r, r == "admin")',
    'project.tags[0] == "gold"',
)


def words(random: Random, known: tuple[str, ...]) -> list[str] | None:
    return (
        sorted(random.sample(known, random.randint(1, 3 if len(known) > 2 else 2))) if random.random() < 0.15 else None
    )


def some_within(random: Random) -> Within:
    return within(
        max_size=random.choice([None, None, random.randint(2, 9)]),
        max_virtual_size=random.choice([None, None, None, random.randint(2, 9)]),
        disk_formats=words(random, FORMATS),
        hosts=words(random, PATTERNS),
        schemes=words(random, ("http", "https")),
        regions=words(random, ("one", "two")),
    )


def some_selector(random: Random) -> Selector:
    chosen = {"tags": words(random, TAGS), "roles": words(random, ("admin", "member"))}
    return who(**{key: value for key, value in chosen.items() if value})


def some_rule(number: int, verbs: tuple[str, ...]) -> Rule:
    """One rule for each number: quicker to draw than its parts one by one."""
    random = Random(number)
    verb = random.choice(verbs)
    keys: dict[str, Any] = {"within": some_within(random)} if verb in ("allow", "limit") else {}
    if verb == "require":
        keys["stages"] = tuple(random.sample(CALLS, random.randint(1, 2)))
    return rule(
        verb,
        f"r{number}",
        random.sample(METHODS, random.choice([1, 3, 3])),
        selector=some_selector(random),
        when=random.sample(CONDITIONS, random.choice([1, 2] if verb == "deny" else [0, 0, 0, 0, 1, 2])),
        mode=random.choice(["enforce", "enforce", "enforce", "enforce", "warn", "audit"]),
        message=random.choice([None, "Because."]),
        active_from=random.choice([None, *DATES]),
        active_until=random.choice([None, None, *DATES]),
        **keys,
    )


def some_exemption(rule: Rule) -> Exemption:
    random = Random(rule.id)
    until = NOW + timedelta(days=random.choice([-1, 1]))
    return exemption("e" + rule.id, rule.id, until, selector=some_selector(random), within=some_within(random))


NUMBERS = st.integers(0, 2**20)
WITHINS = NUMBERS.map(lambda number: some_within(Random(number)))
GUARDRAILS = NUMBERS.map(lambda number: some_rule(number, ("limit", "require", "deny")))


@st.composite
def trees(draw: Any) -> tuple[list[Rule], list[Exemption]]:
    """Grants are frequent, so that many trees allow something."""
    grants = [some_rule(number, ("allow",)) for number in draw(st.lists(NUMBERS, min_size=1, max_size=4))]
    others = [some_rule(number, ("limit", "require", "deny")) for number in draw(st.lists(NUMBERS, max_size=4))]
    made = list({one.id: one for one in grants + others}.values())
    exempt = [some_exemption(one) for one in made if one.verb is Verb.LIMIT]
    return made, exempt if draw(st.booleans()) else []


CALLERS = st.fixed_dictionaries(
    {"tags": st.sampled_from([(), ("gold",), ("gold", "silver")]), "roles": st.sampled_from([("member",), ("admin",)])}
)


def some_import(number: int, method: str) -> dict[str, Any]:
    """Every fact the method has, of an import whose bytes have been seen."""
    random = Random(number)
    said = {
        "host": random.choice(HOSTS),
        "scheme": random.choice(["http", "https"]),
        "region": random.choice(["one", "two"]),
        "disk_format": random.choice(FORMATS),
        "visibility": random.choice(["shared", "public"]),
        "properties": random.choice([{}, {"k": "v"}, {"k": "w"}]),
    }
    sources = frozenset[str]().union(*SOURCE_FACTS.values()) - SOURCE_FACTS[method]
    known = image(random.randint(0, 7), **said) | {"content.virtual_size": random.randint(0, 7)}
    return {name: value for name, value in known.items() if name not in sources}


@st.composite
def questions(draw: Any) -> tuple[list[Rule], list[Exemption], str, dict[str, Any], dict[str, Any]]:
    made, exempt = draw(trees())
    method = draw(st.sampled_from(METHODS))
    return made, exempt, method, draw(CALLERS), some_import(draw(NUMBERS), method)


STAGES = st.none() | st.just(("inspect",)) | st.just(("inspect", "malware-scan", "inject"))


def action(made: list[Rule], exempt: list[Exemption], method: str, known: Facts, stages: Any = None) -> Action:
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    return decide(tree, method, known, final=True, stages=stages).action


def inside(within: Within, method: str, values: Any) -> bool:
    return all(keeps(key, limit, values) is Truth.YES for key, limit in limits(within, method))


@given(questions(), STAGES)
@settings(deadline=None, max_examples=300)
def test_what_is_allowed_was_offered(question: Any, stages: Any) -> None:
    made, exempt, method, caller, known = question
    if action(made, exempt, method, facts(known, **caller), stages) is not Action.ALLOW:
        return
    event("allowed")
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    offered = offers(tree, facts(**caller), stages)
    assert method in offered.methods
    assert any(inside(one, method, known) for one in offered.decisions[method].within)


@given(questions(), STAGES)
@settings(deadline=None, max_examples=400)
def test_what_is_offered_without_reserve_is_allowed(question: Any, stages: Any) -> None:
    made, exempt, method, caller, known = question
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    offered = offers(tree, facts(**caller), stages).decisions[method]
    if offered.refused_when or not any(inside(one, method, known) for one in offered.within):
        return
    event(f"{len(offered.within)} ways")
    assert action(made, exempt, method, facts(known, **caller), stages) is Action.ALLOW


@given(questions(), GUARDRAILS, STAGES)
@settings(deadline=None, max_examples=200)
def test_a_guardrail_never_turns_a_refusal_into_an_allow(question: Any, more: Rule, stages: Any) -> None:
    made, exempt, method, caller, known = question
    told = facts(known, **caller)
    if action([*made, more], exempt, method, told, stages) is Action.ALLOW:
        event("allowed")
        assert action(made, exempt, method, told, stages) is Action.ALLOW


@given(questions(), st.randoms())
@settings(deadline=None, max_examples=150)
def test_order_changes_nothing(question: Any, random: Any) -> None:
    made, exempt, method, caller, known = question
    mixed = random.sample(made, len(made))
    for told in (facts(**caller), facts(known, **caller)):
        one = decide(policy(*made, exemptions=exempt, methods=METHODS), method, told)
        other = decide(policy(*mixed, exemptions=exempt[::-1], methods=METHODS), method, told)
        assert one == other


@given(questions(), st.sets(st.sampled_from(["content.size", "content.virtual_size", "request.host", "request.size"])))
@settings(deadline=None, max_examples=200)
def test_knowing_less_never_refuses_what_is_allowed(question: Any, hidden: set[str]) -> None:
    made, exempt, method, caller, known = question
    if action(made, exempt, method, facts(known, **caller)) is not Action.ALLOW:
        return
    event("allowed")
    less = {name: value for name, value in known.items() if name not in hidden}
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    assert decide(tree, method, facts(less, **caller)).action is not Action.DENY


@given(questions())
@settings(deadline=None, max_examples=200)
def test_an_answer_that_is_not_open_is_final(question: Any) -> None:
    made, exempt, method, caller, known = question
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    early = decide(tree, method, facts(known, **caller))
    if early.action is Action.OPEN:
        return
    event(early.action)
    late = decide(tree, method, facts(known, **caller), final=True)
    assert (early.action, early.plan.stages) == (late.action, late.plan.stages)


@given(questions())
@settings(deadline=None, max_examples=150)
def test_an_exemption_never_refuses_more(question: Any) -> None:
    made, exempt, method, caller, known = question
    told = facts(known, **caller)
    if action(made, [], method, told) is Action.ALLOW:
        assert action(made, exempt, method, told) is Action.ALLOW


@given(WITHINS, WITHINS, st.sampled_from(METHODS), NUMBERS)
@settings(deadline=None, max_examples=300)
def test_the_meet_holds_exactly_what_both_hold(one: Within, other: Within, method: str, number: int) -> None:
    known = some_import(number, method)
    both = inside(one, method, known) and inside(other, method, known)
    assert inside(meet(one, other), method, known) is both


def test_the_drawn_trees_are_not_all_alike() -> None:
    """A property about nothing proves nothing: grants, limits and callers of these tests do meet."""
    base = rule("allow", "a", METHODS, within=within(hosts=["*.a.example"], max_size=9))
    asked = facts(image(5, host="x.a.example", scheme="https"))
    assert action([base], [], "web-download", asked) is Action.ALLOW
    assert action([replace(base, selector=who(tags=["gold"]))], [], "web-download", asked) is Action.DENY
