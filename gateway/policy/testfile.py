"""Reading `*.test.yaml`: fixtures and tests become cases, and every unknown name is a problem with its place.

What an image does not say is what an ordinary import has, so that a test decides about whole imports: no properties,
`shared`, `bare`, unpacked as large as it is, and the format the record says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from gateway.model.decision import ReasonCode
from gateway.policy.facts import OPENED, SOURCE_FACTS, SOURCE_NAMES, Facts, FactValue
from gateway.policy.problems import Problem, Problems
from gateway.policy.quantity import parse_size, parse_time
from gateway.policy.reader import Node, Source, plain, read_yaml
from gateway.policy.rules import Place, Policy
from gateway.policy.schemacheck import check_schema
from gateway.policy.spelling import suggestion
from gateway.policy.stagewords import RUNNING_ORDER

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One import to decide, and what is expected. None: nothing is expected of that."""

    test: str
    place: Place
    who: str
    method: str
    image: str
    facts: Facts
    expect: str | None
    stages: tuple[str, ...] | None
    because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """One caller, and exactly the methods it must be offered."""

    test: str
    place: Place
    who: str
    facts: Facts
    methods: tuple[str, ...]


def read_tests(
    sources: Iterable[Source], *, schema: Mapping[str, Any], policy: Policy, now: datetime
) -> tuple[Case | Discovered, ...]:
    """The cases of all files. `now` is the time of files that say none. Raises Problems with those of every file."""
    cases: list[Case | Discovered] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            cases += _file(source, schema, policy, now)
        except Problems as error:
            problems += error.problems
    if problems:
        raise Problems(problems)
    return tuple(cases)


def read_callers(sources: Iterable[Source], *, schema: Mapping[str, Any]) -> dict[str, dict[str, FactValue]]:
    """The `who` fixtures of all files as facts of the first phase, by name. Raises Problems."""
    roots = [read_yaml(source) for source in sources]
    problems = [problem for root in roots for problem in check_schema(root, schema)]
    if problems:
        raise Problems(problems)
    return {name: caller(name, fixture) for root in roots for name, fixture in plain(root).get("who", {}).items()}


def _file(source: Source, schema: Mapping[str, Any], policy: Policy, now: datetime) -> list[Case | Discovered]:
    root = read_yaml(source)
    problems = check_schema(root, schema)
    if not problems:
        file = TestFile(root, policy, now)
        problems = list(file.problems())
    if problems:
        raise Problems(problems)
    return list(file.cases())


def caller(name: str, said: Mapping[str, Any]) -> dict[str, FactValue]:
    """The facts of the first phase of a `who` fixture."""
    return {
        "project.id": said.get("id", name),
        "project.name": said.get("name", name),
        "project.domain": said.get("domain", "default"),
        "project.tags": tuple(said.get("tags", ())),
        "user.id": said.get("user", name),
        "user.roles": tuple(said.get("roles", ("member", "reader"))),
        **_history(said.get("imports", {})),
        **({OPENED: {rule: {} for rule in said["opened"]}} if "opened" in said else {}),
    }


def _history(said: Mapping[str, int]) -> dict[str, FactValue]:
    """What a project has imported: nothing, unless it is said; a project that has imported has once begun."""
    accepted = said.get("accepted", 1 if "first_at" in said else 0)
    begun = {"project.imports.first_at": said.get("first_at", 0)} if accepted else {}
    return {"project.imports.accepted": accepted, "project.imports.rejected": said.get("rejected", 0), **begun}


def import_facts(said: Mapping[str, Any], method: str) -> dict[str, FactValue]:
    """The facts of the other two phases of an `images` fixture, as far as the method has them."""
    content = said.get("content", {})
    claim = said.get("size")
    size = content.get("size", claim)
    facts: dict[str, Any] = {
        "request.host": said.get("host"),
        "request.scheme": said.get("scheme"),
        "request.port": said.get("port", _PORTS.get(said.get("scheme", ""))),
        "request.path": said.get("path", "/"),
        "request.region": said.get("region"),
        "request.credential": said.get("credential", ""),
        "request.disk_format": said.get("disk_format"),
        "request.container_format": said.get("container_format", "bare"),
        "request.visibility": said.get("visibility", "shared"),
        "request.properties": said.get("properties", {}),
        "request.stores": tuple(said["stores"]) if "stores" in said else None,
        "request.size": _size(claim),
        "content.size": _size(size),
        "content.virtual_size": _size(content.get("virtual_size", said.get("virtual_size", size))),
        "content.disk_format": content.get("disk_format", said.get("disk_format")),
    }
    hidden = SOURCE_NAMES - SOURCE_FACTS.get(method, SOURCE_NAMES)
    return {fact: value for fact, value in facts.items() if value is not None and fact not in hidden}


def _size(said: str | int | None) -> int | None:
    return parse_size(said) if isinstance(said, str) else said


@dataclass(frozen=True, slots=True)
class TestFile:
    """One file whose shape is known to be right."""

    __test__ = False

    root: Node
    policy: Policy
    now: datetime

    def problems(self) -> Iterator[Problem]:
        """Names nobody knows, sizes and times that are none, and tests that are not whole."""
        yield from _unreadable(self.root.get("now"), parse_time, "bad-time")
        for image in _values(self.root.get("images")):
            for where in (image, image.get("content") or image):
                yield from _unreadable(where.get("size"), parse_size, "bad-size")
                yield from _unreadable(where.get("virtual_size"), parse_size, "bad-size")
        lent = [rule.name for rule in self.policy.break_glass]
        for one in _values(self.root.get("who")):
            yield from _unknown(_each(one.get("opened")), lent, "break-glass rule")
        for test in self._tests():
            yield from _unreadable(test.get("now"), parse_time, "bad-time")
            yield from self._names(test)
            yield from _incomplete(test)

    def _tests(self) -> Sequence[Node]:
        tests = self.root.get("tests")
        return tests.value if tests else ()

    def _names(self, test: Node) -> Iterator[Problem]:
        rules = [rule.name for rule in self.policy.rules]
        yield from _unknown(_each(test.get("who")), _keys(self.root.get("who")), "caller")
        yield from _unknown(_each(test.get("image")), _keys(self.root.get("images")), "image")
        yield from _unknown(_each(test.get("import")), self.policy.methods, "method of this build")
        yield from _unknown(_keyed(test.get("discover")), _keys(self.root.get("who")), "caller")
        yield from _unknown(_leaves(test.get("discover")), self.policy.methods, "method of this build")
        yield from _unknown(_leaves(test.get("stages")), RUNNING_ORDER, "stage")
        yield from _unknown(_leaves(test.get("because")), [*rules, *ReasonCode], "rule or reason code")
        for key in ("expect", "stages", "because"):
            yield from _unknown(_keyed(test.get(key)), _words(test.get("who")), "caller of this test")

    def cases(self) -> Iterator[Case | Discovered]:
        said = plain(self.root)
        callers = {name: caller(name, one) for name, one in said.get("who", {}).items()}
        for node, test in zip(self._tests(), said["tests"], strict=True):
            now = parse_time(test.get("now", said.get("now"))) if "now" in test or "now" in said else self.now
            for who, methods in test.get("discover", {}).items():
                facts = Facts(callers[who], now)
                yield Discovered(
                    test=test["name"], place=node.place, who=who, facts=facts, methods=tuple(sorted(methods))
                )
            if "expect" in test:
                yield from self._matrix(node.place, test, callers, said.get("images", {}), now)

    def _matrix(
        self,
        place: Place,
        test: Mapping[str, Any],
        callers: Mapping[str, Any],
        images: Mapping[str, Any],
        now: datetime,
    ) -> Iterator[Case]:
        for who, method, image in product(_list(test["who"]), _list(test["import"]), _list(test["image"])):
            stages = _for(test.get("stages"), who)
            yield Case(
                test=test["name"],
                place=place,
                who=who,
                method=method,
                image=image,
                facts=Facts({**callers[who], **import_facts(images[image], method), "request.method": method}, now),
                expect=_for(test.get("expect"), who),
                stages=None if stages is None else tuple(stages),
                because=_for(test.get("because"), who),
            )


def _incomplete(test: Node) -> Iterator[Problem]:
    needed = ("who", "import", "image", "expect")
    absent = [key for key in needed if test.get(key) is None]
    if absent and (len(absent) < len(needed) or test.get("discover") is None):
        message = f"the test lacks {', '.join(absent)}"
        yield test.problem("missing-key", message, "a test has `discover`, or all of who, import, image and expect")


def _unreadable(node: Node | None, parse: Callable[[str], object], code: str) -> Iterator[Problem]:
    if node is not None and isinstance(node.value, str):
        try:
            parse(node.value)
        except ValueError as error:
            yield node.problem(code, str(error))


def _unknown(nodes: Iterable[Node], known: Iterable[str], what: str) -> Iterator[Problem]:
    names = list(known)
    for node in nodes:
        if node.value not in names:
            yield node.problem("unknown-name", f"there is no {what} '{node.value}'", suggestion(str(node.value), names))


def _list(said: Any) -> list[str]:
    return said if isinstance(said, list) else [said]


def _for(said: Any, who: str) -> Any:
    """What is expected for one caller: said for all, or by name."""
    return said.get(who) if isinstance(said, Mapping) else said


def _each(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return list(node.value) if isinstance(node.value, list) else [node]


def _words(node: Node | None) -> list[str]:
    return [str(one.value) for one in _each(node)]


def _keys(node: Node | None) -> list[str]:
    return list(node.value) if node is not None and isinstance(node.value, dict) else []


def _keyed(node: Node | None) -> list[Node]:
    """The keys of a mapping, as nodes with places."""
    return [entry.key for entry in node.value.values()] if node is not None and isinstance(node.value, dict) else []


def _values(node: Node | None) -> list[Node]:
    return [entry.node for entry in node.value.values()] if node is not None and isinstance(node.value, dict) else []


def _leaves(node: Node | None) -> list[Node]:
    """The words of a value, of a list, or of a mapping to either."""
    return [leaf for one in (_values(node) or _each(node)) for leaf in _each(one)]
