"""The static check of an expression: types, facts, functions and caps. The same for every engine.

Engines differ in what they notice and in how they say it; checked here, a tree loads or fails alike everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.policy.facts import VOCABULARY
from gateway.policy.functions import BOOL, INT, LIST, MACROS, SIGNATURES, STRING, STRING_MAP, Signature, parse_cidr
from gateway.policy.patterns import MOST as MOST_WORK
from gateway.policy.patterns import weight
from gateway.policy.quantity import parse_size
from gateway.policy.spelling import suggestion
from gateway.policy.syntax import Call, ExpressionFaults, Fault, Index, Items, Literal, Name, Operation, Tree, parse

MAX_ITEMS = 256
MAX_LOOPS = 2
MAX_TURNS = 4096
_FACT_TURNS = 64
SETS = "sets."

Sets = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked expression. `text` is what an engine compiles: `quantity` and `cidr` calls are replaced by values."""

    source: str
    text: str
    facts: frozenset[str]
    sets: frozenset[str]
    patterns: tuple[Literal, ...]


def check(source: str, sets: Sets) -> Checked:
    """Raises ExpressionFaults with everything that is wrong."""
    checker = _Checker(sets)
    tree = parse(source)
    checker.expect(BOOL, tree, "a condition")
    if checker.faults:
        raise ExpressionFaults(tuple(sorted(checker.faults, key=lambda fault: fault.start)))
    text = _rewritten(source, checker.folded)
    return Checked(source, text, frozenset(checker.facts), frozenset(checker.sets), tuple(checker.patterns))


def _rewritten(source: str, folded: Sequence[tuple[int, int, str]]) -> str:
    for start, end, value in sorted(folded, reverse=True):
        source = source[:start] + value + source[end:]
    return source


@dataclass(slots=True)
class _Checker:
    known: Sets
    faults: list[Fault] = field(default_factory=list)
    facts: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    patterns: list[Literal] = field(default_factory=list)
    folded: list[tuple[int, int, str]] = field(default_factory=list)
    loops: list[tuple[str, str | None, int]] = field(default_factory=list)

    def fault(self, message: str, start: int, end: int, hint: str = "") -> None:
        self.faults.append(Fault(message, start, end, hint))

    def expect(self, wanted: str, tree: Tree, what: str) -> None:
        found = self.type(tree)
        if found is not None and found != wanted:
            self.fault(f"{what} must be {wanted}, this is {found}", tree.start, tree.end, _hint(tree, wanted))

    def type(self, tree: Tree) -> str | None:
        """The type of a tree in CEL's words; None where it is unknown because of a fault already noted."""
        match tree:
            case Literal(value):
                return BOOL if isinstance(value, bool) else INT if isinstance(value, int) else STRING
            case Name():
                return self.name(tree)
            case Items():
                return self.items(tree)
            case Index():
                return self.index(tree)
            case Call():
                return self.macro(tree) if tree.function in MACROS else self.call(tree)
            case Operation():
                return _OPERATIONS[tree.operator](self, tree)

    def name(self, tree: Name) -> str | None:
        for variable, element, _ in reversed(self.loops):
            if tree.name == variable:
                return element
        if tree.name in VOCABULARY:
            self.facts.add(tree.name)
            return str(VOCABULARY[tree.name][1].value)
        if tree.name.startswith(SETS) and tree.name.removeprefix(SETS) in self.known:
            self.sets.add(tree.name.removeprefix(SETS))
            return "list(string)"
        self.unknown(tree)
        return None

    def unknown(self, tree: Name) -> None:
        kind = "set" if tree.name.startswith(SETS) else "fact" if "." in tree.name else "name"
        names = [*VOCABULARY, *(SETS + name for name in self.known), *(loop[0] for loop in self.loops)]
        self.fault(f"there is no {kind} '{tree.name}'", tree.start, tree.end, suggestion(tree.name, names))

    def items(self, tree: Items) -> str | None:
        if len(tree.items) > MAX_ITEMS:
            self.fault(f"a list may have {MAX_ITEMS} items", tree.start, tree.end, "name a set and use sets.NAME")
        types = [self.type(item) for item in tree.items]
        for item, found in zip(tree.items, types, strict=True):
            if found is not None and types[0] is not None and found != types[0]:
                self.fault(f"a list of {types[0]} cannot hold {found}", item.start, item.end)
        if not tree.items:
            self.fault("an empty list decides nothing", tree.start, tree.end, "leave it out")
            return None
        return None if types[0] is None else f"list({types[0]})"

    def index(self, tree: Index) -> str | None:
        found = self.type(tree.operand)
        key = INT if _is_list(found) else STRING
        if found is not None and found != STRING_MAP and not _is_list(found):
            self.fault(f"{found} has no items", tree.start, tree.end)
            return None
        self.expect(key, tree.key, "a key here")
        if key == INT and not _is_position(tree.key):
            # Engines disagree about what a negative place in a list is.
            self.fault("a place in a list is written as a number from 0", tree.key.start, tree.key.end)
        return None if found is None else _element(found) if _is_list(found) else STRING

    def macro(self, tree: Call) -> str | None:
        if tree.target is None or len(tree.arguments) != 2 or not isinstance(tree.arguments[0], Name):
            example = f"write list.{tree.function}(x, condition)"
            self.fault(f"'{tree.function}' needs a list, a name and a condition", tree.start, tree.end, example)
            return None
        found = self.type(tree.target)
        if found is not None and not _is_list(found) and found != STRING_MAP:
            self.fault(f"'{tree.function}' needs a list or a map, not {found}", tree.start, tree.end)
            found = None
        element = None if found is None else STRING if found == STRING_MAP else _element(found)
        result = self.body(tree, tree.arguments[0], element)
        if tree.function in ("map", "filter"):
            return _list_of(result if tree.function == "map" else element)
        return BOOL

    def body(self, tree: Call, variable: Name, element: str | None) -> str | None:
        self.variable(variable)
        turns = (self.loops[-1][2] if self.loops else 1) * self.turns(tree.target)
        self.loops.append((variable.name, element, turns))
        found: str | None = None
        if len(self.loops) > MAX_LOOPS or turns > MAX_TURNS:
            self.fault(
                "too much looping", tree.start, tree.end, f"at most {MAX_LOOPS} inside each other, shorter lists"
            )
        elif tree.function == "map":
            found = self.type(tree.arguments[1])
        else:
            self.expect(BOOL, tree.arguments[1], "a condition")
        self.loops.pop()
        return found

    def turns(self, tree: Tree | None) -> int:
        if isinstance(tree, Items):
            return len(tree.items)
        name = tree.name.removeprefix(SETS) if isinstance(tree, Name) else ""
        return len(self.known.get(name, ())) or _FACT_TURNS

    def variable(self, tree: Name) -> None:
        taken = {name.split(".")[0] for name in VOCABULARY} | {"sets"} | {loop[0] for loop in self.loops}
        if tree.name in taken or "." in tree.name:
            self.fault(f"'{tree.name}' is taken", tree.start, tree.end, "use another name, such as t")

    def call(self, tree: Call) -> str | None:
        signatures = SIGNATURES.get(tree.function)
        target = None if tree.target is None else self.type(tree.target)
        types = [self.type(argument) for argument in tree.arguments]
        if signatures is None:
            known = sorted({*SIGNATURES, *MACROS})
            hint = suggestion(tree.function, known) or "there are " + ", ".join(known)
            self.fault(f"there is no function '{tree.function}'", tree.start, tree.end, hint)
            return None
        if None in types or (tree.target is not None and target is None):
            return None
        for signature in signatures:
            if _fits(signature.target, target) and _all_fit(signature, types):
                self.literal(tree)
                return signature.result
        self.fault(f"'{tree.function}' cannot be called like this", tree.start, tree.end, _usage(tree, signatures[0]))
        return None

    def literal(self, tree: Call) -> None:
        """Functions whose argument is read at load: a bad pattern, size or network must not wait for a request."""
        reader = _LITERALS.get(tree.function)
        if reader is None:
            return
        argument = tree.arguments[0]
        if not isinstance(argument, Literal):
            self.fault(f"'{tree.function}' takes a text written here", argument.start, argument.end)
            return
        try:
            reader(self, tree, argument)
        except ValueError as error:
            self.fault(str(error), argument.start, argument.end)

    def pattern(self, tree: Call, argument: Literal) -> None:
        before = sum(weight(str(one.value)) for one in self.patterns)
        self.patterns.append(argument)
        if before <= MOST_WORK < before + weight(str(argument.value)):
            hint = "repeat less, and avoid \\p classes"
            self.fault("patterns of a condition may not be that much work", argument.start, argument.end, hint)

    def size(self, tree: Call, argument: Literal) -> None:
        self.folded.append((tree.start, tree.last, f" {parse_size(str(argument.value))} "))

    def network(self, tree: Call, argument: Literal) -> None:
        self.folded.append((tree.start, tree.last, f'"{parse_cidr(str(argument.value))}"'))

    def logical(self, tree: Operation) -> str | None:
        for operand in tree.operands:
            self.expect(
                BOOL, operand, f"each side of '{tree.operator}'" if len(tree.operands) > 1 else "what '!' turns"
            )
        return BOOL

    def equal(self, tree: Operation) -> str | None:
        left, right = map(self.type, tree.operands)
        if left is not None and right is not None and left != right:
            self.mismatch(tree, left, right)
        return BOOL

    def ordered(self, tree: Operation) -> str | None:
        left, right = map(self.type, tree.operands)
        if left is None or right is None:
            return BOOL
        if left != right or left not in (INT, STRING):
            self.mismatch(tree, left, right)
        return BOOL

    def mismatch(self, tree: Operation, left: str, right: str) -> None:
        sizes = {left, right} == {INT, STRING} and any(isinstance(side, Literal) for side in tree.operands)
        text = next((side.value for side in tree.operands if isinstance(side, Literal)), "")
        hint = f'write quantity("{text}")' if sizes and _is_size(text) else 'write quantity("10GiB")' if sizes else ""
        self.fault(f"cannot compare {left} with {right}", tree.start, tree.end, hint)

    def member(self, tree: Operation) -> str | None:
        item, group = map(self.type, tree.operands)
        if item is None or group is None:
            return BOOL
        if group != f"list({item})" and (group, item) != (STRING_MAP, STRING):
            self.fault(f"{item} cannot be in {group}", tree.start, tree.end)
        return BOOL

    def arithmetic(self, tree: Operation) -> str | None:
        types = [self.type(operand) for operand in tree.operands]
        if None in types:
            return None
        joined = tree.operator == "+" and types[0] == STRING
        if len(set(types)) == 1 and (types[0] == INT or joined):
            return types[0]
        self.fault(f"'{tree.operator}' does not work on {' and '.join(map(str, types))}", tree.start, tree.end)
        return None

    def choice(self, tree: Operation) -> str | None:
        self.expect(BOOL, tree.operands[0], "what '?' asks")
        yes, no = map(self.type, tree.operands[1:])
        if yes is not None and no is not None and yes != no:
            self.fault(f"one way gives {yes}, the other {no}", tree.start, tree.end)
        return yes


_OPERATIONS: Mapping[str, Callable[[_Checker, Operation], str | None]] = {
    **dict.fromkeys(("&&", "||", "!"), _Checker.logical),
    **dict.fromkeys(("==", "!="), _Checker.equal),
    **dict.fromkeys(("<", "<=", ">", ">="), _Checker.ordered),
    **dict.fromkeys(("+", "-", "*", "/", "%"), _Checker.arithmetic),
    "in": _Checker.member,
    "?:": _Checker.choice,
}
_LITERALS: Mapping[str, Callable[[_Checker, Call, Literal], None]] = {
    "matches": _Checker.pattern,
    "quantity": _Checker.size,
    "cidr": _Checker.network,
}


def _list_of(element: str | None) -> str | None:
    return None if element is None else f"list({element})"


def _is_position(tree: Tree) -> bool:
    return isinstance(tree, Literal) and isinstance(tree.value, int) and tree.value >= 0


def _is_list(found: str | None) -> bool:
    return found is not None and found.startswith("list(")


def _element(found: str) -> str:
    return found[len("list(") : -1]


def _fits(wanted: str | None, found: str | None) -> bool:
    return _is_list(found) if wanted == LIST else wanted == found


def _all_fit(signature: Signature, types: Sequence[str | None]) -> bool:
    return len(types) == len(signature.arguments) and all(map(_fits, signature.arguments, types))


def _usage(tree: Call, signature: Signature) -> str:
    target = f"{signature.target}." if signature.target else ""
    return f"write {target}{tree.function}({', '.join(signature.arguments)})"


def _hint(tree: Tree, wanted: str) -> str:
    if wanted == BOOL and isinstance(tree, Name):
        return "compare it with something"
    return ""


def _is_size(text: object) -> bool:
    try:
        return parse_size(str(text)) >= 0
    except ValueError:
        return False
