"""Lints about who is trusted with what: tags, exemptions, delegates, and lists nobody uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from gateway.model.decision import Within
from gateway.policy.document import File
from gateway.policy.lints.audiences import contradictory
from gateway.policy.lints.lint import Linted, lint, said
from gateway.policy.problems import Level, Problem
from gateway.policy.quantity import parse_size
from gateway.policy.reader import Node
from gateway.policy.rules import EVERYONE, Mode, Rule, Verb
from gateway.policy.typecheck import SETS
from gateway.policy.within import loosened

_LONG = timedelta(hours=24)
_SET = re.compile(re.escape(SETS) + r"(\w+)")


@lint(Level.INFO)
def tags_as_trust(tree: Linted) -> Iterator[Problem]:
    """A rule gives or takes by project tags. Under Keystone's defaults a project's own administrator may write its
    tags, and so choose its tier. Restrict `identity:create_project_tag` and its relatives to the operators, or select
    by `projects` or `domains`.

    before:
    - {id: gold, allow: all, for: {tags: [gold]}}
    after:
    - {id: gold, allow: all, for: {projects: [3f2a1c]}}
    """
    found = [rule for rule in tree.policy.rules if _by_tags(rule)]
    if found:
        more = f" and {len(found) - 1} more trust" if len(found) > 1 else " trusts"
        message = f"'{found[0].name}'{more} project tags, which a project's own administrator may write"
        yield said(_tags(tree, found[0]), message, "restrict identity:create_project_tag")


def _tags(tree: Linted, rule: Rule) -> Node:
    if rule.selector.tags is not None:
        return tree.at(rule, "for", "tags")
    scope = tree.scope(rule)
    return scope if scope is not None and rule.scope.tags is not None else tree.at(rule, "when")


def _by_tags(rule: Rule) -> bool:
    reads = any("project.tags" in condition.facts for condition in rule.when)
    return reads or any(selector.tags is not None for selector in rule.audience)


@lint(Level.WARNING)
def unused_set(tree: Linted) -> Iterator[Problem]:
    """No rule uses the set. Who edits it believes that it changes something, and the list that does is elsewhere.

    before:
    sets: {vendors: [cloud.example.com]}
    rules:
      - {id: any, allow: [web-download], within: {hosts: [cloud.example.com]}}
    after:
    sets: {vendors: [cloud.example.com]}
    rules:
      - {id: any, allow: [web-download], within: {hosts: sets.vendors}}
    """
    used = {name for file in tree.files for node in _nodes(file) for name in _named(node)}
    for file in tree.files:
        for name, node in file.sets.items():
            if name not in used:
                yield said(node, f"no rule uses the set '{name}'", f"write {SETS}{name}, or take it away")


def _nodes(file: File) -> Iterator[Node]:
    yield from (one.node for one in file.rules)
    yield from file.exemptions
    yield from file.delegates
    yield from [file.scope] if file.scope is not None else []


def _named(node: Node) -> Iterator[str]:
    """The sets that any text of a tree names."""
    if isinstance(node.value, dict):
        yield from (name for entry in node.value.values() for name in _named(entry.node))
    elif isinstance(node.value, list):
        yield from (name for item in node.value for name in _named(item))
    elif isinstance(node.value, str) and SETS in node.value:
        yield from _SET.findall(node.value)


@lint(Level.WARNING)
def exemption_without_effect(tree: Linted) -> Iterator[Problem]:
    """An exemption does not loosen its rule: what it names is no more than the rule lets everybody do.

    before:
    rules:
      - {id: cap, limit: all, within: {max_size: 40GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 20GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    after:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    """
    for exemption, rule in tree.exemptions():
        if exemption.within != Within() and loosened(rule.within, exemption.within) == rule.within:
            name = f"{exemption.policy}/{exemption.id}"
            where = tree.exempting(exemption, "within")
            yield said(where, f"'{name}' loosens nothing of '{rule.name}'", "for less than the rule, write a limit")


@lint(Level.WARNING)
def exemption_of_a_trial(tree: Linted) -> Iterator[Problem]:
    """An exemption is from a rule on trial, which refuses nobody. On the day the rule is enforced, nobody will
    remember who was spared.

    before:
    rules:
      - {id: cap, limit: all, mode: warn, until: "2027-06-30T00:00:00Z", within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    after:
    rules:
      - {id: cap, limit: all, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [a]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    """
    for exemption, rule in tree.exemptions():
        if rule.mode is not Mode.ENFORCE:
            where = tree.exempting(exemption, "rule")
            yield said(
                where, f"'{rule.name}' is in mode {rule.mode} and refuses nobody", "write it when the rule counts"
            )


@lint(Level.WARNING)
def exemption_reaches_nobody(tree: Linted) -> Iterator[Problem]:
    """Nobody can be under both the exemption and the rule it loosens: they name different projects or domains. Those
    it was approved for are refused all the same.

    before:
    rules:
      - {id: cap, limit: all, for: {projects: [a]}, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [b]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    after:
    rules:
      - {id: cap, limit: all, for: {projects: [a, b]}, within: {max_size: 20GiB}}
    exemptions:
      - id: T-1
        rule: p/cap
        for: {projects: [b]}
        within: {max_size: 40GiB}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
    """
    for exemption, rule in tree.exemptions():
        if contradictory((*rule.audience, exemption.selector)) is not None:
            yield said(tree.exempting(exemption, "for"), f"'{rule.name}' is about none of them", "correct `for`")


@lint(Level.WARNING)
def delegated_over_grant(tree: Linted) -> Iterator[Problem]:
    """A delegated file grants more than its folder was given. The grant counts only as far as the delegate goes, and
    who reads the file is promised more.

    before:
    # platform.yaml
    delegates:
      - {directory: lab, verbs: [allow], scope: {tags: [lab]}, within: {max_size: 20GiB}}
    # lab/a.yaml
    version: 1
    policy: lab
    rules:
      - {id: any, allow: all, within: {max_size: 40GiB}}
    after:
    # platform.yaml
    delegates:
      - {directory: lab, verbs: [allow], scope: {tags: [lab]}, within: {max_size: 20GiB}}
    # lab/a.yaml
    version: 1
    policy: lab
    rules:
      - {id: any, allow: all, within: {max_size: 20GiB}}
    """
    for rule in tree.rules(Verb.ALLOW) if any(file.delegates for file in tree.files) else ():
        node = tree.written[rule.name].node.get("within") if rule.bounds else None
        for key, entry in node.value.items() if node is not None else ():
            granted, asked = getattr(rule.within, key), _asked(entry.node)
            if asked is not None and granted is not None and granted < asked:
                yield said(entry.node, f"the delegate of this folder gives less {key}", "write what was delegated")


def _asked(node: Node) -> int | None:
    if isinstance(node.value, str) and not node.value.startswith(SETS):
        return parse_size(node.value)
    return node.value if isinstance(node.value, int) else None


@lint(Level.WARNING)
def break_glass_for_everybody(tree: Linted) -> Iterator[Problem]:
    """A break-glass grant names nobody in `for`, or stays open for more than a day. One opened grant should help one
    group for as long as an incident lasts; everything else is an allow.

    before:
    - {id: night, allow: [web-download], break_glass: {roles: [oncall], max: 72h}}
    after:
    - {id: night, allow: [web-download], for: {tags: [ops]}, break_glass: {roles: [oncall], max: 4h}}
    """
    for rule in tree.policy.rules:
        if rule.break_glass is None:
            continue
        if all(one == EVERYONE for one in rule.audience):
            yield said(tree.at(rule, "break_glass"), f"'{rule.name}' can be opened for every project", "write `for`")
        elif rule.break_glass.longest > _LONG:
            yield said(
                tree.at(rule, "break_glass", "max"), f"'{rule.name}' may stay open for more than a day", "at most 24h"
            )
