"""What `policy diff` says of two trees holds for every caller and import, drawn or named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway.model.decision import Action
from gateway.policy.callers import callers_of
from gateway.policy.decide import decide
from gateway.policy.diffing import diff, rule_changes
from gateway.policy.facts import Facts
from gateway.policy.reader import Source
from gateway.policy.rules import BreakGlass, Exemption, Mode, Policy, Rule, Verb
from gateway.policy.tightness import loosenings
from gateway.shipped_files import shipped
from tests.cli.running import Done, cli
from tests.policy.making import NOW, call, condition, exemption, facts, policy, rule, who, within
from tests.policy.test_decide_properties import (
    CONDITIONS,
    GUARDRAILS,
    METHODS,
    NUMBERS,
    some_exemption,
    some_import,
    some_rule,
    some_selector,
    some_within,
    trees,
)
from tests.policy.trees import compiled_from


def tree(rules: Any, exempt: Any = ()) -> Policy:
    return policy(*rules, exemptions=exempt, methods=METHODS)


def _without_one(random: Random, rules: list[Rule]) -> list[Rule]:
    gone = random.choice(rules)
    return [one for one in rules if one is not gone]


def _edited(edit: Callable[[Random, Rule], Rule]) -> Callable[[Random, list[Rule]], list[Rule]]:
    def one(random: Random, rules: list[Rule]) -> list[Rule]:
        position = random.randrange(len(rules))
        return [edit(random, rule) if number == position else rule for number, rule in enumerate(rules)]

    return one


def _shifted(random: Random, one: Rule) -> Rule:
    day = timedelta(days=random.choice([-1, 1]))
    return replace(one, active_until=random.choice([None, NOW, NOW + day]), active_from=random.choice([None, NOW]))


def _split(random: Random, rules: list[Rule]) -> list[Rule]:
    """One rule for two tags becomes two rules, or loses one of them."""
    both = rule("limit", "both", METHODS, selector=who(tags=["gold", "silver"]), within=some_within(random))
    halves = [replace(both, id=tag, selector=who(tags=[tag])) for tag in ("gold", "silver")]
    others = [one for one in rules if one.id not in ("both", "gold", "silver")]  # a tree has a name once
    return [*others, *random.choice([[both], halves, halves[:1]])]


EDITS: tuple[Callable[[Random, list[Rule]], list[Rule]], ...] = (
    _without_one,
    lambda random, rules: [*rules, some_rule(random.randrange(2**20), ("allow", "limit", "require", "deny"))],
    _split,
    _edited(lambda random, one: replace(one, id=f"renamed-{random.random()}")),
    _edited(lambda random, one: replace(one, within=some_within(random)) if one.verb in ("allow", "limit") else one),
    _edited(lambda random, one: replace(one, selector=some_selector(random))),
    _edited(lambda random, one: replace(one, methods=frozenset(random.sample(METHODS, random.randint(1, 3))))),
    _edited(lambda random, one: replace(one, when=(*one.when, condition(random.choice(CONDITIONS))))),
    _edited(lambda random, one: replace(one, when=one.when[1:])),
    _edited(lambda random, one: replace(one, mode=random.choice(list(Mode)))),
    _edited(lambda random, one: replace(one, stages=one.stages[1:]) if one.verb is Verb.REQUIRE else one),
    _edited(_shifted),
)


def _exemptions(random: Random, rules: list[Rule], before: list[Exemption]) -> list[Exemption]:
    known = {one.name for one in rules}
    kept = [one for one in before if one.rule in known and random.random() < 0.8]
    fresh = [replace(some_exemption(one), id=f"x{one.id}") for one in rules if one.verb is Verb.LIMIT]
    return kept + ([random.choice(fresh)] if fresh and random.random() < 0.3 else [])


@st.composite
def pairs(draw: Any) -> tuple[Policy, Policy]:
    """A tree, and the same tree after a few edits."""
    rules, exempt = draw(trees())
    random = Random(draw(NUMBERS))
    edited = rules
    for _ in range(random.choice([1, 1, 2])):
        edited = random.choice(EDITS)(random, edited) or edited
    return tree(rules, exempt), tree(edited, _exemptions(random, edited, exempt))


WHO_ASKS: tuple[dict[str, Any], ...] = (
    {"tags": ("gold",), "roles": ("admin",)},
    {"tags": ("silver",), "roles": ("member",)},
    {"tags": ("gold", "silver"), "roles": ("member",)},
    {},
)


def _request(random: Random) -> tuple[str, Facts]:
    method, day = random.choice(METHODS), timedelta(days=random.choice([-1, 0, 1]))
    return method, facts(some_import(random.randrange(2**20), method), now=NOW + day, **random.choice(WHO_ASKS))


@st.composite
def requests(draw: Any) -> list[tuple[str, Facts]]:
    """Callers and imports drawn apart from the trees."""
    random = Random(draw(NUMBERS))
    return [_request(random) for _ in range(25)]


@given(pairs(), requests())
@settings(deadline=None, max_examples=400)
def test_what_is_not_looser_allows_nothing_that_was_refused(pair: Any, asked: Any) -> None:
    old, new = pair
    if diff(old, new, {}, NOW).looser:
        return
    event("not looser")
    for method, known in asked:
        if decide(new, method, known, final=True).action is Action.ALLOW:
            assert decide(old, method, known, final=True).action is Action.ALLOW


@given(pairs(), requests())
@settings(deadline=None, max_examples=200)
def test_what_is_not_tighter_refuses_nothing_that_was_allowed(pair: Any, asked: Any) -> None:
    old, new = pair
    if diff(old, new, {}, NOW).tighter:
        return
    event("not tighter")
    for method, known in asked:
        if decide(old, method, known, final=True).action is Action.ALLOW:
            assert decide(new, method, known, final=True).action is Action.ALLOW


@given(trees(), GUARDRAILS)
@settings(deadline=None, max_examples=150)
def test_a_guardrail_more_is_never_looser_and_one_less_never_tighter(made: Any, more: Rule) -> None:
    rules, exempt = made
    less, guarded = tree(rules, exempt), tree([*(one for one in rules if one.id != more.id), more], exempt)
    if more.id not in {one.id for one in rules}:
        assert not loosenings(less, guarded)
        assert not diff(guarded, less, {}, NOW).tighter


@given(trees())
@settings(deadline=None, max_examples=100)
def test_a_tree_is_no_different_from_itself_under_other_names(made: Any) -> None:
    rules, exempt = made
    same = diff(tree(rules, exempt), tree(rules, exempt), callers_of([tree(rules, exempt)]), NOW)
    assert (same.rules, same.groups) == ((), ())
    renamed = diff(tree(rules), tree([replace(one, id=f"n{one.id}") for one in rules]), {}, NOW)
    assert not renamed.looser
    assert not renamed.tighter


@given(pairs())
@settings(deadline=None, max_examples=100)
def test_nobody_gains_where_the_rules_say_not_looser(pair: Any) -> None:
    old, new = pair
    found = diff(old, new, callers_of(pair), NOW)
    signs = {change.sign for group in found.groups for change in group.changes if "offered" in change.text}
    assert found.looser or "+" not in signs
    assert found.tighter or "-" not in signs


ALL = rule("allow", "all", METHODS)
CAP = rule("limit", "cap", METHODS, within=within(max_size=5, hosts=["*.a.example"]))
SCAN = rule("require", "scan", METHODS, stages=(call("inspect"), call("checksum", algorithm="sha512")))
NO = rule("deny", "no", METHODS, selector=who(tags=["gold", "silver"]), when=["content.size > 4"])
GLASS = replace(ALL, break_glass=BreakGlass(frozenset({"oncall"}), timedelta(hours=1)))


def _ends(days: int, **keys: Any) -> Exemption:
    return exemption(
        "e", "cap", NOW + timedelta(days=days), **{"selector": who(), "within": within(max_size=9), **keys}
    )


SKIP = exemption("s", "scan", NOW, selector=who(), without=("inspect",))
DIRECTIONS: dict[str, tuple[Any, Any, str]] = {
    "a larger limit": ([CAP], [replace(CAP, within=within(max_size=6, hosts=["*.a.example"]))], "looser"),
    "more hosts": ([CAP], [replace(CAP, within=within(max_size=5, hosts=["*.example"]))], "looser"),
    "a limit on less": ([CAP], [replace(CAP, within=within(max_size=5))], "looser"),
    "a limit for fewer methods": ([CAP], [replace(CAP, methods=frozenset(METHODS[:1]))], "looser"),
    "a limit in two halves": (
        [CAP],
        [replace(CAP, id="x", within=within(max_size=5)), replace(CAP, id="y", within=within(hosts=["*.a.example"]))],
        "same",
    ),
    "a limit that only warns": ([CAP], [replace(CAP, mode=Mode.WARN)], "looser"),
    "a limit that ends": ([CAP], [replace(CAP, active_until=NOW)], "looser"),
    "a limit that begins later": ([CAP], [replace(CAP, active_from=NOW)], "looser"),
    "a limit with one condition more": ([CAP], [replace(CAP, when=(condition("content.size > 4"),))], "looser"),
    "one stage less": ([SCAN], [replace(SCAN, stages=SCAN.stages[:1])], "looser"),
    "other options": ([SCAN], [replace(SCAN, stages=(SCAN.stages[0], call("checksum")))], "either"),
    "a denial for fewer": ([NO], [replace(NO, selector=who(tags=["gold"]))], "looser"),
    "a denial in two halves": (
        [NO],
        [replace(NO, id=tag, selector=who(tags=[tag])) for tag in ("gold", "silver")],
        "same",
    ),
    "another condition": ([NO], [replace(NO, when=(condition("content.size > 6"),))], "either"),
    "a verb that was changed": ([NO], [replace(NO, verb=Verb.LIMIT, within=within(max_size=1))], "either"),
    "an allow for fewer": ([ALL], [replace(ALL, selector=who(roles=["admin"]))], "tighter"),
    "an allow that asks to be opened": ([ALL], [GLASS], "tighter"),
    "another allow to be opened": ([GLASS], [GLASS, replace(GLASS, id="more")], "looser"),
    "an allow with limits": ([ALL], [replace(ALL, within=within(max_size=1))], "tighter"),
    "an allow from a bounded file": ([ALL], [replace(ALL, bounds=(who(tags=["gold"]),))], "tighter"),
    "an allow with a credential": (
        [replace(ALL, within=within(credentials=[]))],
        [replace(ALL, within=within(credentials=["ours"]))],
        "looser",
    ),
    "a rule of the log alone": ([], [replace(NO, mode=Mode.AUDIT)], "same"),
}


@pytest.mark.parametrize("case", DIRECTIONS)
def test_the_direction_of_a_change(case: str) -> None:
    old, new, direction = DIRECTIONS[case]
    _directed(tree(old), tree(new), direction)


EXEMPTIONS: dict[str, tuple[list[Exemption], list[Exemption], str]] = {
    "a new one": ([], [_ends(1)], "looser"),
    "one for another key": ([_ends(1)], [_ends(1, within=within(hosts=["b"]))], "either"),
    "one that reaches further": ([_ends(1)], [_ends(1, within=within(max_size=10))], "looser"),
    "one for more callers": ([_ends(1, selector=who(tags=["gold"]))], [_ends(1)], "looser"),
    "one that lasts longer": ([_ends(1)], [_ends(2)], "looser"),
    "one from a stage": ([], [SKIP], "looser"),
    "one that is gone": ([SKIP, _ends(1)], [], "tighter"),
}


@pytest.mark.parametrize("case", EXEMPTIONS)
def test_the_direction_of_an_exemption(case: str) -> None:
    old, new, direction = EXEMPTIONS[case]
    rules = [rule("allow", "z"), CAP, SCAN]
    _directed(tree(rules, old), tree(rules, new), direction)


def _directed(old: Policy, new: Policy, direction: str) -> None:
    for before, after, expected in ((old, new, direction), (new, old, {"looser": "tighter", "tighter": "looser"})):
        found = diff(before, after, {}, NOW)
        wanted = expected if isinstance(expected, str) else expected.get(direction, direction)
        assert (found.looser, found.tighter) == (wanted in ("looser", "either"), wanted in ("tighter", "either"))


def test_a_set_with_another_member_is_another_condition() -> None:
    text = "version: 1\npolicy: p\nsets: {v: [a%s]}\nrules:\n  - {id: a, allow: all}\n"
    text += "  - {id: d, deny: all, when: 'user.id in sets.v', message: No.}\n"
    trees = [compiled_from(Source("p.yaml", (text % more).encode())) for more in ("", ", b")]
    assert [change.direction for change in rule_changes(*trees)] == ["either"]


def test_every_value_a_selector_names_has_its_caller() -> None:
    made = tree(
        [
            rule("allow", "a", scope=who(tags=["t1", "t2"]), selector=who(roles=["r1"], projects=["p1"])),
            rule("deny", "d", selector=who(domains=["d1"]), when='"spoken" in project.tags'),
            rule("limit", "l", within=within(max_size=1)),
        ],
        [exemption("e", "l", NOW, selector=who(projects=["p2"]), within=within(max_size=2))],
    )
    names = set(callers_of([made]))
    assert {"anyone", "project p1", "project p2", "domain d1", "tag t1", "tag spoken", "role r1"} <= names
    assert "project p1 + tag t2 + role r1" in names
    assert "tag t1 + tag t2" in names
    assert not [name for name in names if "p1" in name and "p2" in name]


def test_where_history_counts_callers_have_one() -> None:
    text = "version: 1\npolicy: p\nrules:\n  - {id: a, allow: all%s}\n"
    old, new = (
        compiled_from(Source("p.yaml", (text % more).encode()))
        for more in (", when: project.imports.accepted > 9", ", when: project.imports.rejected == 0")
    )
    found = diff(old, new, callers_of((old, new)), NOW)
    assert {group.callers: group.changes[0].sign for group in found.groups} == {
        ("anyone",): "+",
        ("anyone with many imports, many refused",): "-",
    }


def _changes(old: Policy, new: Policy, **who_asks: Any) -> list[tuple[str, str, str]]:
    found = diff(old, new, {"me": facts(**who_asks).values}, NOW, images={"big": {"size": "3KiB"}})
    return [tuple(change) for group in found.groups for change in group.changes]


def test_gains_and_losses_are_told_by_method() -> None:
    base = [rule("allow", "a", ["glance-direct"], within=within(max_size=2048)), rule("allow", "w", ["web-download"])]
    more = [replace(base[0], within=within(max_size=4096)), rule("require", "s", stages=(call("inspect"),))]
    assert _changes(tree(base), tree(more)) == [
        ("+", "glance-direct", "may now import at most 4KiB (was at most 2KiB)"),
        ("-", "glance-direct", "must now pass inspect"),
        ("+", "glance-direct", "may now import big"),
        ("-", "web-download", "is not offered any more: Nothing allows this project to import by web-download."),
    ]


# The command


OLD = """version: 1
policy: tiers
rules:
  - {id: up, allow: [glance-direct], within: {max_size: 20GiB}}
  - {id: silver, allow: [glance-direct, web-download], for: {tags: ["tier:silver"]}, within: {max_size: 50GiB}}
"""
EDIT = OLD.replace("max_size: 50GiB", "max_size: 80GiB").replace("up, allow: [glance-direct]", "up, allow: all")
SCANNED = "  - {id: scan, require: all, for: {tags: ['tier:silver']}, stages: [malware-scan]}\n"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, text in (("old", OLD), ("new", EDIT + SCANNED), ("tight", OLD + SCANNED)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiers.yaml").write_text(text)
    (tmp_path / "who.yaml").write_text("version: 1\nwho: {stranger: {}, silver: {tags: ['tier:silver']}}\n")
    return tmp_path


def told(folder: Path, *words: str) -> Done:
    return cli(folder, "policy", "diff", *words)


def test_the_command_tells_who_gains_and_who_loses(folders: Path) -> None:
    done = told(folders, "old", "new", "--who", "who.yaml")
    assert done.returncode == 0
    assert "+ stranger, anyone " in done.stdout
    assert "web-download: is offered now: at most 20GiB" in done.stdout
    assert "may now import at most 80GiB (was at most 50GiB)" in done.stdout
    assert "glance-direct: must now pass malware-scan" in done.stdout
    assert "looser   allow   tiers/silver" in done.stdout
    assert "new/tiers.yaml:4" in done.stdout


@pytest.mark.parametrize(
    ("new", "gate", "code"),
    [
        ("new", "looser", 1),
        ("new", "tighter", 1),
        ("tight", "looser", 0),
        ("tight", "tighter", 1),
        ("tight", "any", 1),
        ("old", "any", 0),
    ],
)
def test_the_gate_of_a_pipeline(folders: Path, new: str, gate: str, code: int) -> None:
    assert told(folders, "old", new, "--fail-on", gate).returncode == code


def test_formats_for_programs(folders: Path) -> None:
    found = json.loads(told(folders, "old", "new", "--format", "json").stdout)
    assert (found["looser"], found["tighter"]) == (True, True)
    assert {"rule": "tiers/scan", "direction": "tighter"}.items() <= found["rules"][0].items()
    assert ["tag tier:silver"] in [group["callers"] for group in found["groups"]]
    lines = told(folders, "old", "new", "--format", "github").stdout.splitlines()
    assert any(
        line.startswith("::warning file=new/tiers.yaml,line=5,col=5,title=looser::tiers/silver") for line in lines
    )


def test_a_tree_that_is_wrong_is_told_with_its_place(folders: Path) -> None:
    (folders / "new" / "tiers.yaml").write_text("version: 1\npolicy: p\nrules: [{id: a, alow: all}]\n")
    done = told(folders, "old", "new")
    assert done.returncode == 1
    assert "new/tiers.yaml:3:17: error[unknown-key]" in done.stderr


def test_shipped_trees_compare() -> None:
    done = cli(shipped("policies"), "policy", "diff", "public-cloud", "regulated")
    assert done.returncode == 0
    assert "tag compliance:medical" in done.stdout
