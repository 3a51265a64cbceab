"""The folders of a tree that have sets and bounds of their own, and which one each file belongs to.

Files that no delegate binds share one zone, whose sets are known everywhere. A delegated folder knows those and its
own; nobody outside it knows its sets, or its authors could change what rules of others mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.policy.conditions import Conditions
from gateway.policy.delegates import Bounds, Delegate, below, folders, innermost, widening
from gateway.policy.document import File
from gateway.policy.expression import Engine, Program
from gateway.policy.methodlists import unknown_methods
from gateway.policy.problems import Problem
from gateway.policy.reader import Node
from gateway.policy.resolving import Resolver
from gateway.policy.rules import Verb
from gateway.policy.spelling import suggestion
from gateway.policy.syntax import ExpressionFaults


@dataclass(frozen=True, slots=True)
class Zone:
    """What the files of one folder know and may say. `directory` is empty where nothing is delegated."""

    directory: str
    bounds: Bounds
    resolver: Resolver
    conditions: Conditions
    sets: dict[str, Node]


@dataclass(slots=True)
class Zones:
    """Every zone of one tree, by folder. `methods` are all names that a list of methods may hold.

    Of a file that has neither sets nor delegates only `source` is looked at until `impostors`.
    """

    files: Sequence[File]
    engine: Engine
    methods: Collection[str]
    problems: list[Problem] = field(default_factory=list)
    _programs: dict[str, Program | ExpressionFaults] = field(default_factory=dict)
    _zones: dict[str, Zone] = field(default_factory=dict)
    _homes: dict[str, str] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)

    def build(self) -> Zones:
        """Shorter folders come first, so that the zone around a zone is always there."""
        declared = self.declared()
        self._homes = {file.source: innermost(file.source, declared) for file in self.files}
        self._folders = {folder for file in self.files for folder in folders(file.source)}
        own: dict[str, list[File]] = {}
        for file in self.files:
            own.setdefault(self._homes[file.source], []).append(file)
        for directory in ("", *sorted(declared, key=len)):
            self._zones[directory] = self.zone(directory, own.get(directory, ()), declared.get(directory))
        return self

    def of(self, file: File) -> Zone:
        return self._zones[self._homes[file.source]]

    def all_problems(self) -> list[Problem]:
        found = [problem for zone in self._zones.values() for problem in zone.resolver.problems]
        found += [problem for zone in self._zones.values() for problem in zone.conditions.problems]
        return self.problems + found

    def declared(self) -> dict[str, tuple[File, Node]]:
        found: dict[str, tuple[File, Node]] = {}
        for file in self.files:
            for node in file.delegates:
                where = node.value["directory"].node
                if where.value in found:
                    message = f"'{where.value}' is delegated twice; first at {found[where.value][1].place}"
                    self.problems.append(where.problem("duplicate-id", message, "keep one of them"))
                else:
                    found[where.value] = (file, node)
        return found

    def zone(self, directory: str, own: Sequence[File], declared: tuple[File, Node] | None) -> Zone:
        outer = self._zones[innermost(directory, self._zones)] if declared is not None else None
        sets = self.sets(own, {} if outer is None else outer.sets)
        bounds = Bounds() if outer is None or declared is None else self.bounds(outer, directory, *declared)
        if outer is not None and not any(file.set_names for file in own):
            resolver = Resolver(outer.resolver.sets, outer.resolver.known)
        else:
            known = frozenset(name for file in own for name in file.set_names)
            values = {name: tuple(item.value for item in node.value) for name, node in sets.items()}
            resolver = Resolver(values, known if outer is None else known | outer.resolver.known)
        return Zone(directory, bounds, resolver, Conditions(self.engine, resolver.sets, self._programs), sets)

    def sets(self, own: Sequence[File], shared: dict[str, Node]) -> dict[str, Node]:
        found = dict(shared)
        for file in own:
            for name, node in file.sets.items():
                if name in found:
                    message = f"set '{name}' is there twice; first at {found[name].place}"
                    self.problems.append(node.problem("duplicate-id", message, "give it another name"))
                found.setdefault(name, node)
        return found

    def bounds(self, outer: Zone, directory: str, file: File, node: Node) -> Bounds:
        """Bounds of the folder around it, and its own."""
        self.problems += widening(node, outer.bounds)
        self.problems += self.misplaced(file, directory, node)
        resolver = self._zones.get(self._homes[file.source], outer).resolver
        methods = node.get("methods")
        self.problems += unknown_methods(methods, self.methods)
        delegate = Delegate(
            directory=directory,
            verbs=frozenset(Verb(item.value) for item in node.value["verbs"].node.value),
            scope=resolver.selector(node.get("scope")),
            methods=None if methods is None else frozenset(item.value for item in methods.value),
            within=resolver.within(node.get("within")),
            place=node.place,
        )
        return Bounds((*outer.bounds.delegates, delegate))

    def misplaced(self, file: File, directory: str, node: Node) -> Iterator[Problem]:
        where = node.value["directory"].node
        home = self._homes[file.source]
        if not below(directory, home):
            message = f"this file is below '{home}' and can delegate only folders inside it, not '{directory}'"
            yield where.problem("delegate-outside", message, f"write {home}/...")
        elif directory not in self._folders:
            message = f"there is no policy file below '{directory}', so this binds nobody"
            yield where.problem("delegate-empty", message, suggestion(directory, self._folders))

    def impostors(self, files: Iterable[File]) -> None:
        """A delegated file under the name of somebody else's policy would speak in its name, in logs and messages."""
        owners: dict[str, str] = {}
        for file in sorted(files, key=lambda file: len(self._homes[file.source])):
            home = self._homes[file.source]
            owner = owners.setdefault(file.policy, home)
            if home != owner and file.name is not None:
                message = f"'{file.policy}' is the name of a policy outside '{home}'"
                self.problems.append(file.name.problem("delegate-policy", message, "give this one a name of its own"))
