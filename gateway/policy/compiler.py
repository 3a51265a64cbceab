"""From the files of a tree to a Policy: everything checked, every problem of every file told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.policy.conditions import Conditions, waits
from gateway.policy.document import File, WrittenRule, read_file
from gateway.policy.exemptions import read_exemption
from gateway.policy.expression import Engine
from gateway.policy.facts import METHODS, VOCABULARY
from gateway.policy.indexing import build_index
from gateway.policy.problems import Problem, Problems
from gateway.policy.reader import Node, Source
from gateway.policy.resolving import Resolver
from gateway.policy.rules import Exemption, Mode, Place, Policy, Rule, Selector, Verb
from gateway.policy.spelling import suggestion
from gateway.policy.within import QUOTAS


def compile_tree(
    sources: Sequence[Source], *, schema: Mapping[str, Any], engine: Engine, methods: Sequence[str]
) -> Policy:
    """The policy of a tree. `schema` is schemas/policy.schema.json, `methods` those this build registers.

    Raises Problems, with everything that is wrong in any file. Order and number of files mean nothing.
    """
    ordered = sorted(sources, key=lambda source: source.name)
    if not ordered:
        problem = Problem("empty-tree", Place("policies", 1, 1), "there is no policy file", "name a folder with *.yaml")
        raise Problems([problem])
    tree = _Tree(schema, engine, tuple(methods))
    policy = tree.policy(ordered)
    if tree.problems:
        raise Problems(tree.problems)
    return policy


def revision(sources: Sequence[Source]) -> str:
    """`sha256:` and the digest of all names and bytes, each with its length, in the order of names."""
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda source: source.name):
        for part in (source.name.encode(), source.text):
            digest.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{digest.hexdigest()}"


@dataclass(slots=True)
class _Tree:
    schema: Mapping[str, Any]
    engine: Engine
    methods: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    _all: frozenset[str] = frozenset()

    def policy(self, sources: Sequence[Source]) -> Policy:
        self._all = frozenset(self.methods)
        files = list(self.read(sources))
        sets = self.sets(files)
        resolver = Resolver(sets, frozenset(name for file in files for name in file.set_names))
        conditions = Conditions(self.engine, sets)
        scopes = [resolver.selector(file.scope) for file in files]
        rules = self.rules(files, scopes, resolver, conditions)
        exemptions = self.exemptions(files, scopes, rules, resolver)
        self.problems += resolver.problems + conditions.problems
        compiled = tuple(sorted(rules.values(), key=lambda rule: rule.name))
        return Policy(
            revision=revision(sources),
            rules=compiled,
            exemptions=exemptions,
            methods=self.methods,
            index=build_index(compiled),
        )

    def read(self, sources: Sequence[Source]) -> Iterator[File]:
        for source in sources:
            file, problems = read_file(source, self.schema)
            self.problems += problems
            if file is not None:
                yield file

    def sets(self, files: Sequence[File]) -> dict[str, tuple[str, ...]]:
        found: dict[str, Node] = {}
        for file in files:
            for name, node in file.sets.items():
                self.once("set", name, node, found)
        return {name: tuple(item.value for item in node.value) for name, node in found.items()}

    def once(self, what: str, name: str, node: Node, found: dict[str, Node]) -> None:
        if name in found:
            message = f"{what} '{name}' is there twice; first at {found[name].place}"
            self.problems.append(node.problem("duplicate-id", message, "give it another name"))
        else:
            found[name] = node

    def rules(
        self, files: Sequence[File], scopes: Sequence[Selector], resolver: Resolver, conditions: Conditions
    ) -> dict[str, Rule]:
        ids: dict[str, Node] = {}
        rules: dict[str, Rule] = {}
        for file, scope in zip(files, scopes, strict=True):
            for written in file.rules:
                rule = self.rule(file.policy, written, scope, resolver, conditions)
                self.once("rule", rule.name, written.at("id"), ids)
                rules.setdefault(rule.name, rule)
        return rules

    def rule(
        self, policy: str, written: WrittenRule, scope: Selector, resolver: Resolver, conditions: Conditions
    ) -> Rule:
        node = written.node
        when = conditions.read(node.get("when"))
        if written.verb in (Verb.DENY, Verb.REQUIRE) and "message" not in written.keys and waits(when):
            self.problems.append(_silent(node, written.verb))
        mode = node.get("mode")
        self.problems += _untriable(node)
        since, until = resolver.time(node.get("from")), resolver.time(node.get("until"))
        if since is not None and until is not None and since >= until:
            self.problems.append(node.key("until").problem("empty-period", "the rule ends before it begins"))
        return Rule(
            policy=policy,
            id=str(written.at("id").value),
            verb=written.verb,
            methods=self.methods_of(written.at(written.verb)),
            scope=scope,
            selector=resolver.selector(node.get("for")),
            when=when,
            within=resolver.within(node.get("within")),
            stages=resolver.stages(node.get("stages")),
            message=resolver.message(node.get("message"), VOCABULARY),
            mode=Mode.ENFORCE if mode is None else Mode(mode.value),
            active_from=since,
            active_until=until,
            place=node.place,
        )

    def methods_of(self, node: Node) -> frozenset[str]:
        if isinstance(node.value, str):
            return self._all
        known = {*METHODS, *self.methods}
        for item in node.value:
            if item.value not in known:
                hint = suggestion(item.value, known) or f"there are {', '.join(sorted(known))}"
                self.problems.append(item.problem("unknown-method", f"there is no method '{item.value}'", hint))
        return frozenset(item.value for item in node.value)

    def exemptions(
        self, files: Sequence[File], scopes: Sequence[Selector], rules: Mapping[str, Rule], resolver: Resolver
    ) -> dict[str, tuple[Exemption, ...]]:
        known = {f"{file.policy}/{rule_id}" for file in files for rule_id in file.rule_ids}
        ids: dict[str, Node] = {}
        found: dict[str, tuple[Exemption, ...]] = {}
        for file, scope in zip(files, scopes, strict=True):
            for node in file.exemptions:
                exemption = read_exemption(node, file.policy, scope, rules, known, resolver)
                self.once("exemption", f"{file.policy}/{node.value['id'].node.value}", node.value["id"].node, ids)
                if exemption is not None:
                    found[exemption.rule] = (*found.get(exemption.rule, ()), exemption)
        return found


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
