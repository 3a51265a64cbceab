"""From written values to meanings: sets looked up, sizes in bytes, hosts in one spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.model.decision import StageCall, Within
from gateway.policy.hosts import host_pattern
from gateway.policy.problems import Problem
from gateway.policy.quantity import opening_seconds, parse_duration, parse_size, parse_time
from gateway.policy.reader import Node
from gateway.policy.rules import EVERYONE, BreakGlass, Selector
from gateway.policy.spelling import suggestion
from gateway.policy.stagewords import STAGES, Option, StageWord
from gateway.policy.typecheck import SETS

OptionValue = str | int | bool
_SIZES = ("max_size", "max_virtual_size", "max_total_size")
_COUNTS = ("max_images", "max_active_imports")
_SPELLING: Mapping[str, Callable[[str], str]] = {
    "hosts": host_pattern,
    "disk_formats": str.lower,
    "container_formats": str.lower,
    "schemes": str.lower,
    "stores": str,
    "regions": str,
    "credentials": str,
}
"""How the texts of each limit are spelled. Names of stores, regions and credentials keep their case."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}|[{}]")


@dataclass(slots=True)
class Resolver:
    """Resolves the values of one tree. `known` holds the names of all sets, also of those that are broken."""

    sets: Mapping[str, tuple[str, ...]]
    known: frozenset[str]
    problems: list[Problem] = field(default_factory=list)
    _chosen: dict[str, frozenset[str]] = field(default_factory=dict)
    _spelled: dict[tuple[str, object], tuple[str, ...]] = field(default_factory=dict)

    def note(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self.problems.append(node.problem(code, message, hint))

    def texts(self, node: Node) -> Iterator[tuple[str, Node]]:
        """The texts of a list or of a set, each with the node a problem with it is shown at."""
        if isinstance(node.value, str):
            yield from ((text, node) for text in self.named_set(node))
            return
        for item in node.value:
            if item.value.startswith(SETS):
                self.note(
                    item, "set-in-list", "a set stands for the whole list", f"write {item.value} without brackets"
                )
            else:
                yield item.value, item

    def named_set(self, node: Node) -> tuple[str, ...]:
        name = node.value.removeprefix(SETS)
        if name not in self.known:
            hint = suggestion(node.value, (SETS + known for known in self.known))
            self.note(node, "unknown-set", f"there is no set '{name}'", hint or "define it under `sets`")
        return self.sets.get(name, ())

    def selector(self, node: Node | None) -> Selector:
        if node is None:
            return EVERYONE
        return Selector(**{key: self.chosen(entry.node) for key, entry in node.value.items()})

    def chosen(self, node: Node) -> frozenset[str]:
        """A set is one object, however many rules name it."""
        if not isinstance(node.value, str) or node.value.removeprefix(SETS) not in self.sets:
            return frozenset(text for text, _ in self.texts(node))
        if node.value not in self._chosen:
            self._chosen[node.value] = frozenset(self.named_set(node))
        return self._chosen[node.value]

    def within(self, node: Node | None) -> Within:
        if node is None:
            return Within()
        keys = node.value
        sizes = {key: self.size(keys[key].node) for key in _SIZES if key in keys}
        sizes |= {key: keys[key].node.value for key in _COUNTS if key in keys}
        lists = {key: self.spelled(keys[key].node, spell) for key, spell in _SPELLING.items() if key in keys}
        ports = tuple(sorted({port.value for port in keys["ports"].node.value})) if "ports" in keys else None
        return Within(ports=ports, **sizes, **lists)  # type: ignore[arg-type]

    def size(self, node: Node) -> int:
        try:
            return parse_size(node.value)
        except ValueError as error:
            self.note(node, "bad-size", str(error))
            return 0

    def spelled(self, node: Node, spell: Callable[[str], str]) -> tuple[str, ...]:
        if not isinstance(node.value, str) or node.value.removeprefix(SETS) not in self.sets:
            return self.respelled(node, spell)
        kept = (node.value, spell)
        if kept not in self._spelled:
            self._spelled[kept] = self.respelled(node, spell)
        return self._spelled[kept]

    def respelled(self, node: Node, spell: Callable[[str], str]) -> tuple[str, ...]:
        found = set()
        for text, where in self.texts(node):
            try:
                found.add(spell(text))
            except ValueError as error:
                self.note(where, "bad-host", str(error), "write a host such as images.example.com or *.example.com")
        return tuple(sorted(found))

    def time(self, node: Node | None) -> datetime | None:
        if node is None:
            return None
        try:
            return parse_time(node.value)
        except ValueError as error:
            self.note(node, "bad-time", str(error), 'write it like "2027-01-31T00:00:00Z"')
            return None

    def break_glass(self, node: Node | None) -> BreakGlass | None:
        if node is None:
            return None
        roles, most = (node.value[key].node for key in ("roles", "max"))
        return BreakGlass(frozenset(text for text, _ in self.texts(roles)), self.longest(most))

    def longest(self, node: Node) -> timedelta:
        try:
            return timedelta(seconds=opening_seconds(node.value))
        except ValueError as error:
            self.note(node, "bad-duration", str(error), "write it like 4h")
            return timedelta()

    def stages(self, node: Node | None) -> tuple[StageCall, ...]:
        calls = [] if node is None else [self.stage(item) for item in node.value]
        return tuple(dict.fromkeys(call for call in calls if call is not None))

    def stage(self, node: Node) -> StageCall | None:
        name = node.value if isinstance(node.value, str) else next(iter(node.value))
        word = STAGES.get(name)
        where = node if isinstance(node.value, str) else node.key(name)
        if word is None:
            self.note(where, "unknown-stage", f"there is no stage '{name}'", _among(name, STAGES))
            return None
        written = {} if isinstance(node.value, str) else node.value[name].node.value
        for missing in sorted(word.needed - written.keys()):
            self.note(where, "missing-option", f"stage '{name}' needs '{missing}'", f"write {name}: {{{missing}: ...}}")
        if word.free and not written:
            self.note(where, "missing-option", f"stage '{name}' needs values", f"write {name}: {{name: value}}")
        options = [(entry.key.value, self.option(word, name, entry.key, entry.node)) for entry in written.values()]
        return StageCall(name, tuple(sorted(options)))

    def option(self, word: StageWord, stage: str, key: Node, node: Node) -> OptionValue:
        option = Option("text") if word.free else word.options.get(key.value)
        value: OptionValue = node.value
        if option is None:
            hint = _among(key.value, word.options) or f"'{stage}' has no options"
            self.note(key, "unknown-option", f"stage '{stage}' has no option '{key.value}'", hint)
            return value
        try:
            return _SHAPES[option.shape](option, value)
        except ValueError as error:
            self.note(node, "bad-option", f"option '{key.value}' of stage '{stage}' {error}")
            return value

    def message(self, node: Node | None, facts: Mapping[str, object]) -> str | None:
        if node is None:
            return None
        for found in _PLACEHOLDER.finditer(node.value):
            if found.group(1) not in facts:
                hint = suggestion(found.group(1) or "", facts) or "write a fact in braces, such as {request.host}"
                self.note(node, "bad-placeholder", f"'{found.group()}' in a message is no fact", hint)
        return str(node.value)


def _among(word: str, known: Mapping[str, object]) -> str:
    return suggestion(word, known) or (f"it is one of {', '.join(known)}" if known else "")


def _word(option: Option, value: OptionValue) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a word; write it in quotes")
    if option.words and value not in option.words:
        raise ValueError(f"must be one of {', '.join(option.words)}, not '{value}'")
    return value


def _integer(option: Option, value: OptionValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be a whole number above 0")
    return value


def _flag(option: Option, value: OptionValue) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


_SHAPES: Mapping[str, Callable[[Option, OptionValue], OptionValue]] = {
    "word": _word,
    "text": _word,
    "integer": _integer,
    "flag": _flag,
    "size": lambda option, value: parse_size(str(value)),
    "duration": lambda option, value: parse_duration(str(value)),
}
"""Sizes become bytes, durations seconds."""
