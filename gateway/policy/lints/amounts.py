"""Lints about limits and stages: what no import can reach, and what none is held to."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from gateway.policy.lints.audiences import Wide, disjoint
from gateway.policy.lints.lint import Linted, lint, said
from gateway.policy.problems import Level, Problem
from gateway.policy.reader import Node
from gateway.policy.rules import Rule, Verb
from gateway.policy.stagewords import TRANSFORMS
from gateway.policy.within import AMOUNTS, LIMIT_FACTS, QUOTAS, for_method, host_matches, limits, meet
from gateway.policy.wording import said_limit

_INSPECT = "inspect"


@lint(Level.WARNING)
def allow_over_limit(tree: Linted) -> Iterator[Problem]:
    """An allow grants more than a limit that always holds for the same callers. No import ever gets that far, and
    who reads the allow is promised what the limit refuses.

    before:
    - {id: gold, allow: all, for: {tags: [gold]}, within: {max_size: 300GiB}}
    - {id: cap, limit: all, within: {max_size: 200GiB}}
    after:
    - {id: gold, allow: all, for: {tags: [gold]}, within: {max_size: 200GiB}}
    - {id: cap, limit: all, within: {max_size: 200GiB}}
    """
    ceilings = Wide(rule for rule in tree.rules(Verb.LIMIT) if rule.name not in tree.policy.exemptions)
    for rule in tree.rules(Verb.ALLOW):
        over = {key: limit for limit in ceilings.than(rule) for key in _beyond(rule, limit)}
        for key, limit in over.items():
            message = f"'{rule.name}' never gets past '{limit.name}' ({limit.place})"
            hint = f"that is {said_limit(key, getattr(limit.within, key))}"
            yield said(tree.at(rule, "within", key), message, hint)


def _beyond(rule: Rule, limit: Rule) -> Iterator[str]:
    """The keys of which an allow grants values that the limit refuses, for every method of the allow."""
    if not rule.methods <= limit.methods:
        return
    for method in sorted(rule.methods)[:1]:
        both = meet(for_method(rule.within, method), for_method(limit.within, method))
        for key, value in limits(rule.within, method):
            if getattr(limit.within, key) is not None and getattr(both, key) != value:
                yield key


@lint(Level.WARNING)
def idle_limit_key(tree: Linted) -> Iterator[Problem]:
    """A limit asks for something that none of its methods has: an upload has no host. The key is ignored for such
    methods, so it holds nobody to anything.

    before:
    - {id: a, limit: [glance-direct], within: {hosts: [mirror.example.com], max_size: 20GiB}}
    after:
    - {id: a, limit: [glance-direct], within: {max_size: 20GiB}}
    """
    for rule in tree.policy.rules:
        known = {key for method in rule.methods for key, _ in limits(rule.within, method)}
        node = tree.written[rule.name].node.get("within")
        if node is None or not rule.methods:
            continue
        for key in node.value:
            if key not in known:
                message = f"{', '.join(sorted(rule.methods))} has no {LIMIT_FACTS[key]}, so '{key}' holds nobody"
                yield said(node.key(key), message, "leave it out, or name another method")


@lint(Level.WARNING)
def host_never_fetched(tree: Linted) -> Iterator[Problem]:
    """A host pattern matches nothing that is ever fetched: a `*` before an address, or an address or name inside the
    gateway's own network, which the fetch refuses whatever a policy says.

    before:
    - {id: a, allow: [web-download], within: {hosts: ["*.192.0.2.7", localhost, cloud.example.com]}}
    after:
    - {id: a, allow: [web-download], within: {hosts: [cloud.example.com]}}
    """
    for rule in tree.policy.rules:
        for host in rule.within.hosts or ():
            reason = _unreachable(host)
            if reason:
                yield said(_item(tree.at(rule, "within", "hosts"), host), f"'{host}' {reason}", "name a public host")


def _item(node: Node, text: str) -> Node:
    """The item of a list that says this; the whole node where a set says it, or says it otherwise."""
    items = node.value if isinstance(node.value, list) else []
    return next((item for item in items if str(item.value).lower() == text), node)


def _unreachable(host: str) -> str:
    name = host.removeprefix("*.")
    try:
        address = ip_address(name)
    except ValueError:
        local = name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
        return "is inside the gateway's own network" if local else ""
    if host != name:
        return "is no pattern: an address has no labels below it"
    return "" if address.is_global else "is no public address, and is fetched only where the settings open it"


@lint(Level.WARNING)
def wide_host(tree: Linted) -> Iterator[Problem]:
    """A host pattern stands for a whole top-level domain. Anybody can register a name in it.

    before:
    - {id: a, allow: [web-download], within: {hosts: ["*.com"]}}
    after:
    - {id: a, allow: [web-download], within: {hosts: ["*.example.com"]}}
    """
    for rule in tree.policy.rules:
        for host in rule.within.hosts or ():
            if host.startswith("*.") and "." not in host[2:]:
                where = _item(tree.at(rule, "within", "hosts"), host)
                yield said(where, f"'{host}' is every host of a top-level domain", "name the domains you trust")


@lint(Level.WARNING)
def redundant_host(tree: Linted) -> Iterator[Problem]:
    """A host is listed beside a pattern that matches it anyway. Taking the host away later would change nothing.

    before:
    - {id: a, allow: [web-download], within: {hosts: ["*.example.com", cloud.example.com]}}
    after:
    - {id: a, allow: [web-download], within: {hosts: ["*.example.com"]}}
    """
    for rule in tree.policy.rules:
        hosts = rule.within.hosts or ()
        patterns = [host for host in hosts if host.startswith("*.")]
        for host in hosts if patterns else ():
            if host_matches(host, [pattern for pattern in patterns if pattern != host]):
                where = _item(tree.at(rule, "within", "hosts"), host)
                yield said(where, f"'{host}' is matched by a pattern beside it", "leave it out")


@lint(Level.WARNING)
def zero_amount(tree: Linted) -> Iterator[Problem]:
    """An amount of 0 refuses every import, and tells the caller a size instead of a reason. A deny says why.

    before:
    - {id: a, limit: [web-download], within: {max_size: 0B}}
    after:
    - {id: a, deny: [web-download], message: Downloads are off until the move is done.}
    """
    for rule in tree.policy.rules:
        for key in AMOUNTS:
            if getattr(rule.within, key) == 0 and key not in QUOTAS:
                yield said(
                    tree.at(rule, "within", key), f"{key} of 0 refuses everything", "write a deny with a message"
                )


@lint(Level.WARNING)
def uninspected(tree: Linted) -> Iterator[Problem]:
    """A method is allowed, and no rule requires `inspect` of everybody who uses it. Images that point at files of
    the hosts which boot them, or are not what they say, are then stored as they come.

    before:
    - {id: any, allow: [web-download]}
    after:
    - {id: any, allow: [web-download]}
    - {id: real-images, require: all, stages: [inspect]}
    """
    checks = Wide(rule for rule in tree.rules(Verb.REQUIRE) if any(call.name == _INSPECT for call in rule.stages))
    for rule in tree.rules(Verb.ALLOW):
        checked = frozenset[str]().union(*(check.methods for check in checks.than(rule)))
        left = sorted(rule.methods - checked - {"copy-image"})
        if left:
            message = f"'{rule.name}' grants {', '.join(left)} without inspecting what comes"
            yield said(tree.verb(rule), message, "require `inspect` of all")


@lint(Level.WARNING)
def stage_not_built(tree: Linted) -> Iterator[Problem]:
    """A required stage is part of the language, but not of this build. Every import that needs it is refused with
    `stage-unavailable`, and its methods are withheld from discovery.

    before:
    - {id: a, require: all, stages: [approve]}
    after:
    - {id: a, require: all, stages: [inspect]}
    """
    for rule in tree.policy.rules:
        for call in rule.stages:
            if call.name not in tree.stages:
                built = ", ".join(sorted(tree.stages))
                where = _stage(tree.at(rule, "stages"), call.name)
                yield said(where, f"this build cannot run '{call.name}'", f"it has {built}")


def _stage(node: Node, name: str) -> Node:
    found = (item for item in node.value if item.value == name or (isinstance(item.value, dict) and name in item.value))
    return next(found, node)


@lint(Level.WARNING)
def transforms_may_conflict(tree: Linted) -> Iterator[Problem]:
    """Two rules demand a transform with different values of one option. They are not certain to meet, but an import
    that is under both is refused with `policy-conflict`, and only the operators can help.

    before:
    - {id: a, require: all, for: {tags: [kvm]}, stages: [convert: {target: qcow2}]}
    - {id: b, require: all, for: {tags: [fast]}, stages: [convert: {target: raw}]}
    after:
    - {id: a, require: all, for: {projects: [3f2a1c]}, stages: [convert: {target: qcow2}]}
    - {id: b, require: all, for: {projects: [7b9d0e]}, stages: [convert: {target: raw}]}
    """
    first: dict[tuple[str, str, str], dict[object, Rule]] = {}
    for rule in tree.rules(Verb.REQUIRE):
        for call in rule.stages:
            for option, value in call.options if call.name in TRANSFORMS else ():
                other = _clashing(rule, call.name, option, value, first)
                if other is not None:
                    message = f"'{other.name}' ({other.place}) demands another '{option}' of '{call.name}'"
                    yield said(
                        _stage(tree.at(rule, "stages"), call.name), message, "make sure that nobody is under both"
                    )


def _clashing(
    rule: Rule, stage: str, option: str, value: object, first: dict[tuple[str, str, str], dict[object, Rule]]
) -> Rule | None:
    found: Rule | None = None
    for method in sorted(rule.methods):
        seen = first.setdefault((method, stage, option), {})
        found = found or next(
            (other for known, other in seen.items() if known != value and not disjoint(rule, other)), None
        )
        seen.setdefault(value, rule)
    return found
