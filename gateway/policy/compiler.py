"""From the files of a tree to a Policy: everything checked, every problem of every file told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.policy.contradictions import contradictions
from gateway.policy.document import File, read_file
from gateway.policy.exemptions import read_exemption
from gateway.policy.expression import Engine
from gateway.policy.facts import METHODS
from gateway.policy.indexing import MOST_FILED, asked_facts, build_index, crowded, lent
from gateway.policy.pieces import Maker, Piece, mentions, surroundings
from gateway.policy.problems import MOST, Problem, Problems
from gateway.policy.reader import Node, Source
from gateway.policy.rules import Exemption, Place, Policy, Rule
from gateway.policy.zones import Zones

_SHARED = (b"sets", b"delegates")
"""The keys of a file that say something about other files."""


def compile_tree(
    sources: Sequence[Source], *, schema: Mapping[str, Any], engine: Engine, methods: Sequence[str]
) -> Policy:
    """The policy of a tree. `schema` is schemas/policy.schema.json, `methods` those this build registers.

    Raises Problems, with everything that is wrong in any file. Order and number of files mean nothing.
    """
    return load_tree(sources, schema=schema, engine=engine, methods=methods).policy


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tree in force, and what the next `load_tree` takes over of it."""

    policy: Policy
    pieces: Mapping[str, Piece] = field(repr=False)
    made_with: tuple[object, ...] = field(repr=False)


def load_tree(
    sources: Sequence[Source],
    *,
    schema: Mapping[str, Any],
    engine: Engine,
    methods: Sequence[str],
    previous: Loaded | None = None,
) -> Loaded:
    """The policy as `compile_tree` makes it, reading only what has changed since `previous`. Raises Problems."""
    ordered = sorted(sources, key=lambda source: source.name)
    if not ordered:
        problem = Problem("empty-tree", Place("policies", 1, 1), "there is no policy file", "name a folder with *.yaml")
        raise Problems([problem])
    made_with = (schema, engine.name, tuple(methods))
    kept = previous.pieces if previous is not None and previous.made_with == made_with else {}
    tree = _Tree(schema, engine, tuple(methods), kept)
    policy = tree.policy(ordered)
    if tree.problems:
        raise Problems(tree.problems)
    return Loaded(policy, tree.pieces, made_with)


def revision(sources: Sequence[Source]) -> str:
    """`sha256:` and the digest of all names and bytes, each with its length, in the order of names."""
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda source: source.name):
        for part in (source.name.encode(), source.text):
            digest.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{digest.hexdigest()}"


def _crowded(rules: Sequence[Rule]) -> list[Problem]:
    rule = crowded(rules)
    if rule is None:
        return []
    message = f"with '{rule.name}' the selectors of this tree name more than {MOST_FILED:,} values"
    return [Problem("too-many-values", rule.place, message, "give such projects a tag or a domain of their own")]


@dataclass(slots=True)
class _Tree:
    schema: Mapping[str, Any]
    engine: Engine
    methods: tuple[str, ...]
    kept: Mapping[str, Piece]
    pieces: dict[str, Piece] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _read: dict[str, File | None] = field(default_factory=dict)

    def policy(self, sources: Sequence[Source]) -> Policy:
        outlines = [file for source in sources if (file := self.outline(source)) is not None]
        zones = Zones(outlines, self.engine, {*METHODS, *self.methods}).build()
        maker = Maker(self.methods)
        for source in sources:
            self.add(source, zones, maker)
        zones.impostors(piece.file for piece in self.pieces.values())
        rules = self.rules()
        exemptions = self.exemptions(zones, rules)
        transforming = [pair for piece in self.pieces.values() for pair in piece.transforming]
        self.problems += [*contradictions(transforming, exemptions), *maker.problems, *zones.all_problems()]
        compiled = tuple(sorted(rules.values(), key=lambda rule: rule.name))
        self.problems += _crowded(compiled)
        return Policy(
            revision=revision(sources),
            rules=compiled,
            exemptions=exemptions,
            methods=self.methods,
            index=build_index(() if self.problems else compiled),
            facts=asked_facts(compiled),
            break_glass=lent(compiled),
        )

    def outline(self, source: Source) -> File | None:
        """What other files are read with: only a file with such words is read for it, and not if it is as before."""
        if not any(mentions(source, word) for word in _SHARED):
            return File(policy="", source=source.name)
        kept = self.kept.get(source.name)
        if kept is not None and kept.source == source:
            return kept.file
        self._read[source.name] = self.read(source)
        return self._read[source.name]

    def read(self, source: Source) -> File | None:
        file, problems = read_file(source, self.schema)
        self.problems += problems
        return file

    def add(self, source: Source, zones: Zones, maker: Maker) -> None:
        """The piece of a file: as it was before, or made now."""
        kept = self.kept.get(source.name)
        if kept is not None and kept.source == source and kept.around == surroundings(source, zones.of(kept.file)):
            self.pieces[source.name] = kept
            return
        file = self._read.pop(source.name) if source.name in self._read else self.read(source)
        if file is not None:
            self.pieces[source.name] = maker.piece(source, file, zones.of(file))

    def once(self, what: str, name: str, node: Node, found: dict[str, Node]) -> None:
        if name in found:
            message = f"{what} '{name}' is there twice; first at {found[name].place}"
            self.problems.append(node.problem("duplicate-id", message, "give it another name"))
        else:
            found[name] = node

    def rules(self) -> dict[str, Rule]:
        rules: dict[str, Rule] = {}
        twice: dict[str, None] = {}
        for piece in self.pieces.values():
            for rule in piece.rules:
                first = rules.setdefault(rule.name, rule)
                if first is not rule:
                    twice |= dict.fromkeys((first.place.file, rule.place.file))
        self.tell_apart(sorted(twice))
        return rules

    def tell_apart(self, names: Sequence[str]) -> None:
        """Files with rules of one name are read again, as where a name stands is not kept."""
        ids: dict[str, Node] = {}
        for name in names:
            file, _ = read_file(self.pieces[name].source, self.schema)
            for written in file.rules if file is not None else ():
                node = written.at("id")
                self.once("rule", f"{self.pieces[name].file.policy}/{node.value}", node, ids)

    def exemptions(self, zones: Zones, rules: Mapping[str, Rule]) -> dict[str, tuple[Exemption, ...]]:
        files = [piece.file for piece in self.pieces.values()]
        known = rules.keys() | {f"{file.policy}/{rule_id}" for file in files for rule_id in file.rule_ids}
        ids: dict[str, Node] = {}
        found: dict[str, tuple[Exemption, ...]] = {}
        for piece in self.pieces.values():
            file = piece.file
            problems = zones.of(file).resolver.problems
            most = len(problems) + MOST
            for node in file.exemptions:
                if len(problems) > most:
                    break
                if node.get("id") is None:
                    continue  # one of more problems than are told; the tree is refused already
                exemption = read_exemption(node, file.policy, piece.scope, rules, known, zones.of(file))
                self.once("exemption", f"{file.policy}/{node.value['id'].node.value}", node.value["id"].node, ids)
                if exemption is not None:
                    found[exemption.rule] = (*found.get(exemption.rule, ()), exemption)
        return found
