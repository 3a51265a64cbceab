"""Lints about rules that never apply, or that others make superfluous."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.decision import Within
from gateway.policy.expression import Truth
from gateway.policy.lints.audiences import Wide, contradictory, wider
from gateway.policy.lints.lint import Linted, lint, said
from gateway.policy.problems import Level, Problem
from gateway.policy.rules import Mode, Rule, Verb
from gateway.policy.within import covers, for_method, granting, limits


@lint(Level.WARNING)
def no_grant(tree: Linted) -> Iterator[Problem]:
    """No rule of the tree allows anything. Nothing is granted unless an `allow` says so: a limit alone leaves
    everybody without any import.

    before:
    - {id: cap, limit: all, within: {max_size: 20GiB}}
    after:
    - {id: any, allow: all}
    - {id: cap, limit: all, within: {max_size: 20GiB}}
    """
    if not any(tree.rules(Verb.ALLOW)):
        yield said(tree.at(tree.policy.rules[0]), "no rule of the tree allows anything", "write an `allow`")


@lint(Level.WARNING)
def never_selected(tree: Linted) -> Iterator[Problem]:
    """Nobody can be under the rule: its `for`, the file's `scope` and what was delegated name different projects or
    domains, and all of them have to fit. A deny or a limit that selects nobody guards nothing.

    before:
    scope: {domains: [hospital]}
    rules:
      - {id: a, deny: [web-download], for: {domains: [school]}}
    after:
    scope: {domains: [hospital]}
    rules:
      - {id: a, deny: [web-download], for: {projects: [radiology]}}
    """
    for rule in tree.policy.rules:
        key = contradictory(rule.audience)
        if key is not None:
            yield said(
                tree.at(rule, "for"), f"nobody is under '{rule.name}': its {key} leave none", "widen one of them"
            )


@lint(Level.WARNING)
def never_true(tree: Linted) -> Iterator[Problem]:
    """A condition is false for every method of its rule, so the rule never applies. Mostly `request.method` is
    compared with a method the rule does not list.

    before:
    - {id: a, deny: [glance-direct], when: request.method == "web-download", message: Not from the web.}
    after:
    - {id: a, deny: [web-download], message: Not from the web.}
    """
    for rule in tree.policy.rules:
        known = rule.methods & {*tree.policy.methods}
        for condition, node in tree.conditions(rule):
            answers = {condition.program.evaluate({"request.method": method}) for method in known}
            if answers == {Truth.NO}:
                yield said(node, f"this is never true for {', '.join(sorted(known))}", f"'{rule.name}' never applies")


@lint(Level.WARNING)
def constant_condition(tree: Linted) -> Iterator[Problem]:
    """A condition asks for no fact, so its answer is always the same. `when: "true"` says nothing; `when: "false"`
    switches a rule off in a way nobody finds again.

    before:
    - {id: a, deny: [web-download], when: "1 == 1", message: Not now.}
    after:
    - {id: a, deny: [web-download], message: Not now.}
    """
    for rule in tree.policy.rules:
        for condition, node in tree.conditions(rule):
            if not condition.facts:
                yield said(node, "this asks for no fact, so its answer never changes", "leave it out, or ask for one")


@lint(Level.WARNING)
def method_not_built(tree: Linted) -> Iterator[Problem]:
    """None of the rule's methods is in this build, so the rule never applies here. A misplaced hope, where it is an
    allow; a guard that waits for an upgrade, where it is a deny.

    before:
    - {id: a, deny: [oci-download]}
    after:
    - {id: a, deny: [web-download]}
    """
    for rule in tree.policy.rules:
        if not rule.methods & {*tree.policy.methods}:
            built = ", ".join(sorted(tree.policy.methods))
            message = f"this build has none of {', '.join(sorted(rule.methods)) or 'the delegated methods'}"
            yield said(tree.at(rule, rule.verb), message, f"it has {built}")


@lint(Level.WARNING)
def shadowed_by_deny(tree: Linted) -> Iterator[Problem]:
    """An allow grants nothing, because a deny without conditions of its own refuses all that it grants. Any deny wins
    over every allow; their order means nothing.

    before:
    - {id: off, deny: [web-download]}
    - {id: gold, allow: [web-download], for: {tags: [gold]}}
    after:
    - {id: gold, allow: [web-download], for: {tags: [gold]}}
    """
    denies = Wide(tree.rules(Verb.DENY))
    for rule in tree.rules(Verb.ALLOW):
        over = denies.than(rule)
        left = rule.methods.difference(*(deny.methods for deny in over))
        if over and rule.methods and not left:
            message = f"'{rule.name}' grants nothing: {_named(over)} denies all of it"
            yield said(tree.verb(rule), message, "take one of them away, or narrow the deny")


def _named(rules: list[Rule]) -> str:
    return ", ".join(f"'{rule.name}' ({rule.place})" for rule in rules[:3])


@lint(Level.WARNING)
def allow_is_not_a_limit(tree: Linted) -> Iterator[Problem]:
    """An `allow` with `within` looks as if it held its callers to something, but another allow grants them more.
    Grants add up: one that covers the import is enough. What must hold for every import is a `limit`.

    before:
    - {id: any, allow: [web-download]}
    - {id: lab, allow: [web-download], for: {tags: [lab]}, within: {hosts: [mirror.example.com]}}
    after:
    - {id: any, allow: [web-download]}
    - {id: lab, limit: [web-download], for: {tags: [lab]}, within: {hosts: [mirror.example.com]}}
    """
    allows = Wide(tree.rules(Verb.ALLOW))
    for rule in tree.rules(Verb.ALLOW):
        for other in allows.than(rule) if rule.within != granting(Within()) else ():
            keys = _loose_keys(rule, other)
            if keys:
                message = f"'{rule.name}' holds nobody to {', '.join(keys)}: '{other.name}' ({other.place}) grants more"
                yield said(tree.at(rule, "within"), message, "write a `limit` if it must hold")
                break


def _loose_keys(rule: Rule, other: Rule) -> list[str]:
    """The limits of `rule` that `other` does not keep, for a method that both grant."""
    loose: dict[str, None] = {}
    for method in sorted(rule.methods & other.methods):
        wide = for_method(other.within, method)
        for key, value in limits(rule.within, method):
            if not covers(Within(**{key: value}), Within(**{key: getattr(wide, key)})):
                loose[key] = None
    return list(loose)


@lint(Level.WARNING)
def covered_rule(tree: Linted) -> Iterator[Problem]:
    """Another rule says all that this one says, for everybody it is about. It changes no decision, and who edits it
    believes that it does.

    before:
    - {id: any, allow: all, within: {max_size: 20GiB}}
    - {id: lab, allow: [web-download], for: {tags: [lab]}, within: {max_size: 20GiB}}
    after:
    - {id: any, allow: all, within: {max_size: 20GiB}}
    """
    for verb in Verb:
        rules = Wide(rule for rule in tree.rules(verb) if rule.name not in tree.policy.exemptions)
        for rule in tree.rules(verb):
            over = next((other for other in rules.than(rule) if _covers(other, rule)), None)
            if over is not None:
                yield said(tree.at(rule), f"'{over.name}' ({over.place}) says all of this", "take one of them away")


def _covers(other: Rule, rule: Rule) -> bool:
    """Of two that say the same, the one with the later name is told; one with words of its own says more."""
    if not _says_all(other, rule) or rule.message not in (None, other.message):
        return False
    if rule.verb is Verb.ALLOW and _loose_keys(rule, other):
        return False
    return other.name < rule.name or not (wider(rule, other) and _says_all(rule, other))


def _says_all(other: Rule, rule: Rule) -> bool:
    if not rule.methods <= other.methods:
        return False
    if rule.verb is Verb.ALLOW:
        return covers(other.within, rule.within)
    if rule.verb is Verb.LIMIT:
        return covers(rule.within, other.within)
    return {*rule.stages} <= {*other.stages}


@lint(Level.INFO)
def trial_without_end(tree: Linted) -> Iterator[Problem]:
    """A rule is on trial (`mode: warn` or `audit`) and no date says until when. It decides nothing, and trials that
    nobody ends become rules that everybody believes in.

    before:
    - {id: any, allow: all}
    - {id: a, deny: all, mode: warn, message: Refused from next year on.}
    after:
    - {id: any, allow: all}
    - {id: a, deny: all, mode: warn, message: Refused from next year on., until: "2027-06-30T00:00:00Z"}
    """
    for rule in tree.policy.rules:
        if rule.mode is not Mode.ENFORCE and rule.active_until is None:
            yield said(
                tree.at(rule, "mode"), f"'{rule.name}' is on trial without an end", "write `until`, or enforce it"
            )
