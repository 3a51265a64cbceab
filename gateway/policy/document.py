"""One policy file as values: what the schema cannot say is checked here, with the place of each problem.

A `File` still has names where the tree has meanings (`sets.vendors`, other files' rules): the compiler resolves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.policy.problems import MOST, Problem, Problems
from gateway.policy.reader import Entry, Node, Source, read_yaml
from gateway.policy.rules import Verb
from gateway.policy.schemacheck import Path, located

_CARRIES: Mapping[Verb, str] = {
    Verb.ALLOW: "within",
    Verb.LIMIT: "within",
    Verb.REQUIRE: "stages",
    Verb.DENY: "",
}
_VERBS = {verb.value for verb in Verb}


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule as far as its shape is right: `node` holds what can be read, `keys` all that was written."""

    node: Node
    verb: Verb
    keys: frozenset[str]

    def at(self, key: str) -> Node:
        """The value under a key that is there."""
        entry: Entry = self.node.value[key]
        return entry.node


@dataclass(frozen=True, slots=True)
class File:
    """One file. `rule_ids` and `set_names` also hold what was too broken to be read, so that one mistake is not told
    again by everything that refers to it. `source` is the file's name in the tree."""

    policy: str
    source: str = ""
    name: Node | None = None
    scope: Node | None = None
    sets: Mapping[str, Node] = field(default_factory=dict)
    rules: tuple[WrittenRule, ...] = ()
    exemptions: tuple[Node, ...] = ()
    delegates: tuple[Node, ...] = ()
    rule_ids: frozenset[str] = frozenset()
    set_names: frozenset[str] = frozenset()


def read_file(source: Source, schema: Mapping[str, Any]) -> tuple[File | None, list[Problem]]:
    """The file, as far as it can be read, and its problems. None where not even its outline is known."""
    try:
        root = read_yaml(source)
    except Problems as found:
        return None, list(found.problems)
    faults = located(root, schema)
    problems = [problem for _, problem in faults]
    misspelt = {path for path, _ in faults if len(path) == 2}
    broken = {path[:length] for path, _ in faults for length in (1, 2, 3)}
    if not isinstance(root.value, dict):
        return None, problems
    if len(faults) > MOST:
        # The others were not looked for, so that nothing in there can be relied on.
        return replace(_file(root, [], broken), scope=None, sets={}, exemptions=(), delegates=()), problems
    rules = []
    for number, node in enumerate(_items(root, "rules")):
        path: Path = ("rules", number)
        rule, found_here = _rule(node, _readable(node, path, broken), misspelt=path in misspelt)
        problems += found_here
        rules += [rule] if rule is not None else []
    return _file(root, rules, broken), problems


def _readable(node: Node, path: Path, broken: set[Path]) -> Node:
    """The mapping without the values that are broken: the others are still worth checking."""
    if path not in broken:
        return node
    entries = {key: entry for key, entry in _entries(node).items() if (*path, key) not in broken}
    return node.holding(entries)


def _entries(node: Node) -> Mapping[str, Entry]:
    return node.value if isinstance(node.value, dict) else {}


def _file(root: Node, rules: list[WrittenRule], broken: set[Path]) -> File:
    name, sets = root.get("policy"), root.get("sets")
    named = {key: entry.node for key, entry in _entries(sets).items()} if sets else {}
    scope = root.get("scope") if ("scope",) not in broken else None
    return File(
        policy=str(name.value) if name is not None else "",
        source=root.place.file,
        name=name,
        scope=scope,
        sets={key: node for key, node in named.items() if ("sets", key) not in broken},
        rules=tuple(rules),
        exemptions=tuple(_whole(root, "exemptions", broken)),
        delegates=tuple(_whole(root, "delegates", broken)),
        rule_ids=frozenset(_ids(root)),
        set_names=frozenset(named),
    )


def _items(root: Node, key: str) -> list[Node]:
    node = root.get(key)
    return node.value if node is not None and isinstance(node.value, list) else []


def _whole(root: Node, key: str, broken: set[Path]) -> Iterator[Node]:
    yield from (node for number, node in enumerate(_items(root, key)) if (key, number) not in broken)


def _ids(root: Node) -> Iterator[str]:
    for node in _items(root, "rules"):
        name = node.get("id")
        if name is not None:
            yield str(name.value)


def _rule(node: Node, readable: Node, *, misspelt: bool) -> tuple[WrittenRule | None, list[Problem]]:
    written = _entries(node)
    verbs = [Verb(key) for key in written if key in _VERBS]
    if len(verbs) != 1:
        # An unknown key may well have been meant as the verb; that problem is told already.
        return None, [] if misspelt and not verbs else [_verbs(node, verbs)]
    problems = list(_payload(node, verbs[0]))
    whole = readable.get("id") is not None and readable.get(verbs[0]) is not None
    return WrittenRule(readable, verbs[0], frozenset(written)) if whole else None, problems


def _verbs(node: Node, verbs: list[Verb]) -> Problem:
    where = node.key(verbs[1]) if verbs else node
    message = "a rule has one verb, not " + (" and ".join(verbs) if verbs else "none")
    return where.problem("one-verb", message, "write one of allow, limit, require, deny")


def _payload(node: Node, verb: Verb) -> Iterator[Problem]:
    carries = _CARRIES[verb]
    if verb in (Verb.LIMIT, Verb.REQUIRE) and node.get(carries) is None:
        yield node.key(verb).problem(f"missing-{carries}", f"'{verb}' needs `{carries}`", f"write {carries}: ...")
    for key, other in (("within", Verb.LIMIT), ("stages", Verb.REQUIRE)):
        if key != carries and node.get(key) is not None:
            message = f"'{key}' does not go with '{verb}'"
            yield node.key(key).problem("misplaced-key", message, f"write a '{other}' rule beside this one")
    if verb is not Verb.ALLOW and node.get("break_glass") is not None:
        message = f"'break_glass' does not go with '{verb}'"
        yield node.key("break_glass").problem("misplaced-key", message, "only an 'allow' can be opened")
