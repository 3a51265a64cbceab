"""One file of a tree, compiled for itself: what it means among the other files.

Its nodes are let go of here, so that a large tree is never in memory as written; and what comes out depends on
nothing but the file and its `Surroundings`, so that a reload takes it over where neither has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.policy.conditions import waits
from gateway.policy.delegates import Bounds
from gateway.policy.document import File, WrittenRule
from gateway.policy.facts import METHODS, VOCABULARY
from gateway.policy.methodlists import unknown_methods
from gateway.policy.problems import MOST, Problem
from gateway.policy.reader import Node, Source
from gateway.policy.rules import Mode, Rule, Selector, Verb
from gateway.policy.stagewords import TRANSFORMS
from gateway.policy.within import QUOTAS, granting, meet
from gateway.policy.zones import Zone


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that the meaning of a file's rules takes from other files."""

    bounds: Bounds
    sets: Mapping[str, tuple[str, ...]]


def surroundings(source: Source, zone: Zone) -> Surroundings:
    return Surroundings(zone.bounds, zone.resolver.sets if mentions(source, b"sets") else {})


def mentions(source: Source, word: bytes) -> bool:
    """Whether the word may be in a file as it is read: only double quotes and a backslash spell it in other bytes."""
    return word in source.text or b"\\" in source.text


@dataclass(frozen=True, slots=True)
class Piece:
    """A file compiled: `rules` in the order in which they are written. `file` is the rest of it; of its rules it only
    has the ids of those that cannot be read.

    `transforming` are the rules that give options to a transform, with the node that does.
    """

    source: Source
    around: Surroundings
    file: File
    scope: Selector
    rules: tuple[Rule, ...]
    transforming: tuple[tuple[Rule, Node], ...]


@dataclass(slots=True)
class Maker:
    """Makes the pieces of one tree. `methods` are those this build registers."""

    methods: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    _known: frozenset[str] = field(init=False)
    _sets_of_methods: dict[frozenset[str], frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = frozenset((*METHODS, *self.methods))

    def piece(self, source: Source, file: File, zone: Zone) -> Piece:
        scope = zone.resolver.selector(file.scope)
        rules = tuple(self.rules(file, scope, zone))
        broken = file.rule_ids.difference(rule.id for rule in rules)
        outline = replace(file, rules=(), rule_ids=broken)
        return Piece(source, surroundings(source, zone), outline, scope, rules, tuple(_transforming(rules, file.rules)))

    def rules(self, file: File, scope: Selector, zone: Zone) -> Iterator[Rule]:
        """As long as the file has not more problems than are told."""
        before = self.found(zone)
        for written in file.rules:
            if self.found(zone) - before > MOST:
                return
            yield self.rule(file.policy, scope, written, zone)

    def found(self, zone: Zone) -> int:
        return len(self.problems) + len(zone.resolver.problems) + len(zone.conditions.problems)

    def rule(self, policy: str, scope: Selector, written: WrittenRule, zone: Zone) -> Rule:
        node, resolver = written.node, zone.resolver
        self.problems += zone.bounds.broken(written)
        when = zone.conditions.read(node.get("when"))
        if written.verb in (Verb.DENY, Verb.REQUIRE) and "message" not in written.keys and waits(when):
            self.problems.append(_silent(node, written.verb))
        mode = node.get("mode")
        self.problems += _untriable(node)
        since, until = resolver.time(node.get("from")), resolver.time(node.get("until"))
        if since is not None and until is not None and since >= until:
            self.problems.append(node.key("until").problem("empty-period", "the rule ends before it begins"))
        within = resolver.within(node.get("within"))
        return Rule(
            policy=policy,
            id=str(written.at("id").value),
            verb=written.verb,
            methods=self.methods_of(written.at(written.verb), zone),
            scope=scope,
            bounds=zone.bounds.scopes,
            selector=resolver.selector(node.get("for")),
            when=when,
            within=granting(meet(within, zone.bounds.within)) if written.verb is Verb.ALLOW else within,
            stages=resolver.stages(node.get("stages")),
            message=resolver.message(node.get("message"), VOCABULARY),
            mode=Mode.ENFORCE if mode is None else Mode(mode.value),
            break_glass=resolver.break_glass(node.get("break_glass")),
            active_from=since,
            active_until=until,
            place=node.place,
        )

    def methods_of(self, node: Node, zone: Zone) -> frozenset[str]:
        """Equal ones are one object: of few things a tree has so many that say the same."""
        if isinstance(node.value, str):
            found = zone.bounds.methods(self.methods)
        else:
            self.problems += unknown_methods(node, self._known)
            found = frozenset(item.value for item in node.value)
        return self._sets_of_methods.setdefault(found, found)


def _transforming(rules: Iterable[Rule], written: Iterable[WrittenRule]) -> Iterator[tuple[Rule, Node]]:
    for rule, one in zip(rules, written, strict=False):
        if any(call.options and call.name in TRANSFORMS for call in rule.stages):
            yield rule, one.node.get("stages") or one.node


def _untriable(node: Node) -> Iterator[Problem]:
    """A decision does not know what a project has, so it cannot tell whether a quota would have refused it."""
    mode, within = node.get("mode"), node.get("within")
    if mode is not None and mode.value != Mode.ENFORCE and within is not None:
        for key in QUOTAS:
            if within.get(key) is not None:
                hint = "put it in a rule of its own, in force"
                yield within.key(key).problem("quota-mode", f"'{key}' cannot be tried out with mode {mode.value}", hint)


def _silent(node: Node, verb: Verb) -> Problem:
    message = f"this {verb} depends on what is only known later, and says nothing to the caller"
    return node.key(verb).problem("missing-message", message, "write a `message`")
