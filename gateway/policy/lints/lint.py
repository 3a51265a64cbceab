"""What a lint is: one function over a tree that compiles, and the paragraph that is its docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.policy.conditions import locate
from gateway.policy.document import File, WrittenRule
from gateway.policy.paragraph import Paragraph, paragraph
from gateway.policy.problems import Level, Problem
from gateway.policy.reader import Node
from gateway.policy.rules import Condition, Exemption, Mode, Policy, Rule, Verb


@dataclass(frozen=True, slots=True)
class Linted:
    """A tree that compiles, with what was written where. `stages` are the names of those this build can run."""

    policy: Policy
    files: tuple[File, ...]
    now: datetime
    stages: frozenset[str]
    written: Mapping[str, WrittenRule]
    loosening: Mapping[tuple[str, str], Node]

    def rules(self, *verbs: Verb) -> Iterator[Rule]:
        """Those in force, of these verbs; of every verb where none is named."""
        for rule in self.policy.rules:
            if rule.mode is Mode.ENFORCE and (not verbs or rule.verb in verbs):
                yield rule

    def exemptions(self) -> Iterator[tuple[Exemption, Rule]]:
        """Each with the rule it loosens."""
        named = {rule.name: rule for rule in self.policy.rules}
        for name, found in self.policy.exemptions.items():
            yield from ((one, named[name]) for one in found)

    def at(self, rule: Rule, *keys: str) -> Node:
        """Where a rule says something: the value under the last of `keys` that is there, or else its id."""
        node = self.written[rule.name].node
        found = node
        for key in keys:
            inner = found.get(key)
            if inner is None:
                break
            found = inner
        return found if found is not node else node.value["id"].node

    def scope(self, rule: Rule) -> Node | None:
        """The `scope` of the rule's file."""
        return next((file.scope for file in self.files if file.source == rule.place.file), None)

    def verb(self, rule: Rule) -> Node:
        """The rule's verb, as a key."""
        return self.written[rule.name].node.key(rule.verb)

    def exempting(self, exemption: Exemption, *keys: str) -> Node:
        node = self.loosening[exemption.policy, exemption.id]
        found: Node | None = node
        for key in keys:
            found = None if found is None else found.get(key)
        return found or node.value["id"].node

    def conditions(self, rule: Rule) -> Iterator[tuple[Condition, Node]]:
        """Each condition with the node it is written in."""
        node = self.written[rule.name].node.get("when")
        items = [] if node is None else node.value if isinstance(node.value, list) else [node]
        yield from zip(rule.when, items, strict=True)


Check = Callable[[Linted], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Lint:
    """One lint. It gives its findings as errors of no name; name and level are the registry's."""

    paragraph: Paragraph
    check: Check

    @property
    def code(self) -> str:
        return self.paragraph.code

    def findings(self, tree: Linted) -> list[Problem]:
        code, level = self.paragraph.code, self.paragraph.level
        return [replace(found, code=code, level=level) for found in self.check(tree)]


def lint(level: Level) -> Callable[[Check], Lint]:
    """Makes a lint of a function: its name, with dashes, is the code, its docstring the paragraph."""

    def made(check: Check) -> Lint:
        name = getattr(check, "__name__", "").replace("_", "-")
        return Lint(paragraph(name, level, check.__doc__ or ""), check)

    return made


def said(node: Node, message: str, hint: str = "") -> Problem:
    """A finding at a node."""
    return node.problem("", message, hint)


def marked(node: Node, start: int, end: int, message: str, hint: str = "") -> Problem:
    """A finding at a part of an expression; at its beginning where YAML has folded it."""
    place = locate(node, start)
    if place is None:
        return said(node, message, hint)
    return Problem("", place, message, hint, node.lines[place.line - 1], max(1, end - start))
