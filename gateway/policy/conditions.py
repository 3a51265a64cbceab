"""`when` items compiled, each distinct text once, with faults shown where they stand in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.policy.expression import Engine, Program
from gateway.policy.facts import VOCABULARY, Phase
from gateway.policy.problems import Problem
from gateway.policy.reader import Node
from gateway.policy.rules import Condition, Place
from gateway.policy.syntax import ExpressionFaults, Fault
from gateway.policy.typecheck import SETS, Sets


@dataclass(slots=True)
class Conditions:
    """Compiles the conditions that know the same sets. `shared` are programs without sets, kept for the whole tree."""

    engine: Engine
    sets: Sets
    shared: dict[str, Program | ExpressionFaults] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _compiled: dict[str, Program | ExpressionFaults] = field(default_factory=dict)

    def read(self, node: Node | None) -> tuple[Condition, ...]:
        items = [] if node is None else node.value if isinstance(node.value, list) else [node]
        return tuple(condition for item in items for condition in self._one(item))

    def _one(self, node: Node) -> Iterator[Condition]:
        program = self._program(node.value)
        if isinstance(program, ExpressionFaults):
            self.problems += [_problem(node, fault) for fault in program.faults]
        else:
            yield Condition(node.value, program, program.facts, node.place)

    def _program(self, source: str) -> Program | ExpressionFaults:
        kept = self._compiled if SETS in source else self.shared
        found = kept.get(source)
        if found is None:
            try:
                found = self.engine.compile(source, self.sets)
            except ExpressionFaults as faults:
                found = faults
            kept[source] = found
        return found


def waits(conditions: tuple[Condition, ...]) -> bool:
    """Whether the answer may still be open when a caller asks what it may do: its method is always known."""
    facts = {fact for condition in conditions for fact in condition.facts} - {"request.method"}
    return any(VOCABULARY[fact][0] is not Phase.WHO for fact in facts)


def _problem(node: Node, fault: Fault) -> Problem:
    place = locate(node, fault.start)
    if place is None:
        return node.problem("cel", fault.message, fault.hint)
    width = min(fault.end, _line_end(node.value, fault.start)) - fault.start
    return Problem("cel", place, fault.message, fault.hint, node.lines[place.line - 1], max(1, width))


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def locate(node: Node, offset: int) -> Place | None:
    """Where the character at `offset` of a text stands in the file; None where YAML has folded or unescaped it."""
    place = node.place
    if node.style == "|":
        return _in_block(node, offset)
    quote = len(node.style)
    start = place.column - 1 + quote
    if node.line[start : start + len(node.value)] != node.value:
        return None
    return Place(place.file, place.line, start + offset + 1)


def _in_block(node: Node, offset: int) -> Place | None:
    before = node.value[:offset]
    number = node.place.line + before.count("\n")
    column = offset - (before.rfind("\n") + 1)
    text = node.value.split("\n")[before.count("\n")]
    if number >= len(node.lines) or not node.lines[number].endswith(text):
        return None
    return Place(node.place.file, number + 1, len(node.lines[number]) - len(text) + column + 1)
