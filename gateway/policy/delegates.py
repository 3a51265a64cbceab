"""Folders that somebody else writes: what their files may say, and what else they are held to.

A file is bound by every delegate whose folder it lies under, so a folder inside a delegated one can only be given less.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce

from gateway.model.decision import Within
from gateway.policy.document import WrittenRule
from gateway.policy.problems import Problem
from gateway.policy.reader import Node
from gateway.policy.rules import Place, Selector, Verb
from gateway.policy.within import UNLIMITED, granting, meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """One delegate. `methods` None means every method."""

    directory: str
    verbs: frozenset[Verb]
    scope: Selector
    methods: frozenset[str] | None = None
    within: Within = field(default_factory=Within)
    place: Place


@dataclass(frozen=True, slots=True)
class Bounds:
    """All delegates that bind a folder, the outermost first; none where its files may say everything."""

    delegates: tuple[Delegate, ...] = ()

    @property
    def scopes(self) -> tuple[Selector, ...]:
        return tuple(one.scope for one in self.delegates)

    @property
    def within(self) -> Within:
        return reduce(meet, (granting(one.within) for one in self.delegates), UNLIMITED)

    def methods(self, registered: Iterable[str]) -> frozenset[str]:
        """What `all` stands for."""
        return frozenset(
            method
            for method in registered
            if all(one.methods is None or method in one.methods for one in self.delegates)
        )

    def broken(self, written: WrittenRule) -> Iterator[Problem]:
        """What a rule says that its folder may not."""
        for one in self.delegates:
            if written.verb not in one.verbs:
                yield _not_given(written.node.key(written.verb), "verb", written.verb, one, one.verbs)
            if one.methods is not None:
                yield from _beyond(written.at(written.verb), "method", one, one.methods)


def below(name: str, directory: str) -> bool:
    """Is the file or folder inside the folder? `""` holds everything."""
    return not directory or name.startswith(directory + "/")


def folders(name: str) -> Iterator[str]:
    """The folders around a file or folder, the innermost first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def innermost(name: str, known: Container[str]) -> str:
    """The innermost of the known folders around a file or folder; empty where there is none."""
    return next((folder for folder in folders(name) if folder in known), "")


def widening(node: Node, bounds: Bounds) -> Iterator[Problem]:
    """What a delegate gives that the folder around its own was not given."""
    for outer in bounds.delegates:
        yield from _beyond(node.get("verbs"), "verb", outer, outer.verbs)
        if outer.methods is not None:
            yield from _beyond(node.get("methods"), "method", outer, outer.methods)


def _beyond(node: Node | None, what: str, outer: Delegate, given: Iterable[str]) -> Iterator[Problem]:
    for item in node.value if node is not None and isinstance(node.value, list) else ():
        if item.value not in {*given}:
            yield _not_given(item, what, item.value, outer, given)


def _not_given(node: Node, what: str, word: str, delegate: Delegate, given: Iterable[str]) -> Problem:
    message = f"the {what} '{word}' is not delegated to '{delegate.directory}' ({delegate.place})"
    return node.problem(f"delegate-{what}", message, f"it was given {', '.join(sorted(given))}")
