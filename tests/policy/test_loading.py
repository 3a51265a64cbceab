"""Loading a tree again: only what has changed is read, and what comes out is what a first loading gives."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.compiler import Loaded, load_tree
from gateway.policy.expression import engine
from gateway.policy.problems import Problems
from gateway.policy.reader import Node, Source
from gateway.policy.rules import Policy, Rule
from gateway.shipped_files import shipped
from gateway.trees import load

SCHEMA = json.loads((shipped("schemas") / "policy.schema.json").read_text())
METHODS = ("glance-direct", "web-download")
CEL = engine("cel-expr")
HEAD = "version: 1\npolicy: {name}\nrules:\n"
PLATFORM = (
    HEAD.format(name="platform")
    + "  - {id: cap, limit: all, within: {max_size: 9GiB}}\n"
    + "sets: {mirrors: [a.example], projects: [p1]}\n"
)
GIVEN = (
    HEAD.format(name="given")
    + "  - {id: r, allow: all, for: {roles: [r2]}}\n"
    + "delegates: [{directory: team, verbs: [allow, limit], scope: {tags: [t1]}}]\n"
)
NAMED = HEAD.format(name="named") + "  - {id: r, allow: all, within: {hosts: sets.mirrors}}\n"
ESCAPED = HEAD.format(name="escaped") + '  - {id: r, allow: all, for: {projects: "s\\u0065ts.projects"}}\n'
PLAIN = HEAD.format(name="plain") + "  - {id: r, allow: [web-download], within: {max_size: 1GiB}}\n"
TEAM = HEAD.format(name="team") + "  - {id: r, allow: all}\n  - {id: s, limit: all, within: {max_size: 1GiB}}\n"
EXEMPT = (
    HEAD.format(name="exempt")
    + "  - {id: r, allow: all, for: {roles: [r1]}}\n"
    + "exemptions:\n  - {id: e, rule: platform/cap, for: {projects: [p1]}, within: {max_size: 10GiB},\n"
    + "     reason: r, approved_by: a, until: 2027-01-01T00:00:00Z}\n"
)
TREE = {
    "platform.yaml": PLATFORM,
    "given.yaml": GIVEN,
    "named.yaml": NAMED,
    "escaped.yaml": ESCAPED,
    "plain.yaml": PLAIN,
    "team/team.yaml": TEAM,
    "exempt.yaml": EXEMPT,
}
CHANGES = [
    ("a.example", "b.example"),
    ("[p1]", "[p2]"),
    ("[t1]", "[t2]"),
    ("verbs: [allow, limit]", "verbs: [allow]"),
    ("directory: team", "directory: elsewhere"),
    ("mirrors", "others"),
    ("id: cap", "id: top"),
    ("1GiB", "2GiB"),
    ("policy: plain", "policy: named"),
    ("policy: team", "policy: platform"),
    ("platform/cap", "platform/none"),
    ("allow: all", "require: all, stages: [inspect]"),
    ("allow: all", "allow: all, when: project.id in sets.projects"),
    ("rules:", "ruls:"),
    ("version: 1", "version: ["),
    ("", ""),
]


def sources(tree: Mapping[str, str]) -> list[Source]:
    return [Source(name, text.encode()) for name, text in tree.items()]


def loaded(tree: Mapping[str, str], previous: Loaded | None = None) -> Loaded:
    return load_tree(sources(tree), schema=SCHEMA, engine=CEL, methods=METHODS, previous=previous)


def said(tree: Mapping[str, str], previous: Loaded | None = None) -> tuple[Loaded | None, Any]:
    """What comes out, in values that compare."""
    try:
        found = loaded(tree, previous)
    except Problems as problems:
        return None, str(problems)
    return found, (shown(found.policy.rules), found.policy.exemptions, found.policy.index, found.policy.revision)


def shown(rules: Iterable[Rule]) -> list[object]:
    """Rules without the compiled conditions: two compilations of one text are two programs."""
    names = [name for name in Rule.__dataclass_fields__ if name != "when"]
    return [(*(getattr(rule, name) for name in names), [one.source for one in rule.when]) for rule in rules]


def changed(tree: Mapping[str, str], file: str, change: tuple[str, str]) -> dict[str, str]:
    return {**tree, file: tree.get(file, TREE[file]).replace(*change)}


def without(tree: Mapping[str, str], file: str) -> dict[str, str]:
    return {name: text for name, text in tree.items() if name != file}


def rules(policy: Policy) -> dict[str, Rule]:
    return {rule.name: rule for rule in policy.rules}


steps = st.lists(st.tuples(st.sampled_from(sorted(TREE)), st.none() | st.sampled_from(CHANGES)), max_size=6)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_a_tree_loaded_again_is_what_a_first_loading_makes_of_it(changes: list[tuple[str, Any]]) -> None:
    tree, previous = dict(TREE), loaded(TREE)
    for file, change in changes:
        tree = without(tree, file) if change is None else changed(tree, file, change)
        if not tree:
            return
        again, found = said(tree, previous)
        assert found == said(tree)[1]
        previous = again or previous


def test_a_file_that_is_the_same_is_taken_over() -> None:
    previous = loaded(TREE)
    before = rules(previous.policy)
    after = rules(loaded(changed(TREE, "plain.yaml", ("1GiB", "2GiB")), previous).policy)
    assert {name for name, rule in after.items() if rule is not before[name]} == {"plain/r"}


@pytest.mark.parametrize(
    ("file", "change", "anew"),
    [
        ("platform.yaml", ("a.example", "b.example"), {"platform/cap", "named/r", "escaped/r"}),
        ("platform.yaml", ("9GiB", "8GiB"), {"platform/cap"}),
        ("given.yaml", ("[t1]", "[t2]"), {"given/r", "team/r", "team/s"}),
    ],
)
def test_what_others_say_about_a_file_makes_it_new(file: str, change: tuple[str, str], anew: set[str]) -> None:
    previous = loaded(TREE)
    before = rules(previous.policy)
    after = rules(loaded(changed(TREE, file, change), previous).policy)
    assert {name for name, rule in after.items() if rule is not before[name]} == anew


def test_another_gateway_takes_nothing_over() -> None:
    previous = loaded(TREE)
    fewer = load_tree(sources(TREE), schema=SCHEMA, engine=CEL, methods=METHODS[:1], previous=previous).policy
    assert {method for rule in fewer.rules for method in rule.methods if rule.name == "exempt/r"} == {METHODS[0]}


def test_rules_of_one_name_in_two_files_are_told_apart() -> None:
    tree = {"a.yaml": PLAIN, "b.yaml": "# b\n" + PLAIN, "c.yaml": TEAM}
    with pytest.raises(Problems) as raised:
        loaded(tree)
    assert str(raised.value).splitlines()[0] == (
        "b.yaml:5:10: error[duplicate-id]: rule 'plain/r' is there twice; first at a.yaml:4:10"
    )


def test_a_rule_that_cannot_be_read_is_not_told_again_by_what_names_it() -> None:
    with pytest.raises(Problems) as raised:
        loaded(changed(TREE, "platform.yaml", ("limit: all", "lmit: all")))
    assert [(one.code, str(one.place)) for one in raised.value.problems] == [("unknown-key", "platform.yaml:4:15")]


def test_a_loaded_tree_keeps_nothing_of_what_was_written_but_what_files_say_about_each_other() -> None:
    many = HEAD.format(name="many") + "".join(f"  - {{id: r{one}, allow: all}}\n" for one in range(1000))
    gc.collect()
    before = sum(isinstance(one, Node) for one in gc.get_objects())
    kept = loaded({**TREE, "many.yaml": many})
    nodes = sum(isinstance(one, Node) for one in gc.get_objects()) - before
    assert nodes < 100
    assert len(kept.policy.rules) == 1008


def test_the_collector_is_as_it_was_after_a_tree_and_after_problems() -> None:
    before = gc.get_threshold()
    load(sources(TREE), schema=SCHEMA, engine=CEL, methods=METHODS)
    with pytest.raises(Problems):
        load(sources({"a.yaml": "x"}), schema=SCHEMA, engine=CEL, methods=METHODS)
    assert gc.get_threshold() == before
