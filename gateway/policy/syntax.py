"""The expressions' own syntax: the part of CEL that every engine decides alike, parsed to a small tree.

The grammar is that of the CEL specification (section "Syntax") without floats, unsigned numbers, bytes, null, maps
and messages: no fact has such a type. Offsets count characters of the expression from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.policy.facts import GROUPS

MAX_LENGTH = 4096
MAX_NESTING = 12
MAX_CHAIN = 40
INT_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an expression: `start` and `end` are offsets into it."""

    message: str
    start: int
    end: int
    hint: str = ""


class ExpressionFaults(Exception):
    """Everything wrong with one expression, in reading order."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier with what follows it after dots: `t`, `content.size`, `sets.vendors`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Tree, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Index:
    operand: Tree
    key: Tree
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or a method; `start` and `end` span its name, `last` is where its closing parenthesis ends."""

    function: str
    target: Tree | None
    arguments: tuple[Tree, ...]
    start: int
    end: int
    last: int


@dataclass(frozen=True, slots=True)
class Operation:
    """`!` and `-` have one operand, `?:` three, all others two; `start` and `end` span the operator."""

    operator: str
    operands: tuple[Tree, ...]
    start: int
    end: int


Tree = Literal | Name | Items | Index | Call | Operation

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
      | (?P<text>[rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
      | (?P<number>[0-9][0-9A-Za-z_]*(?:\.[0-9][0-9A-Za-z_]*)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])""",
    re.VERBOSE,
)
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "r": "\r", "t": "\t"}
_LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def parse(source: str) -> Tree:
    """The tree of one expression. Raises ExpressionFaults with the one fault at which reading stopped."""
    if len(source.encode("utf-8", "replace")) > MAX_LENGTH:
        raise _fault(f"an expression may have {MAX_LENGTH} bytes", 0, 1, "split it into several `when` items")
    return _Parser(source).whole()


def _fault(message: str, start: int, end: int, hint: str = "") -> ExpressionFaults:
    return ExpressionFaults((Fault(message, start, max(end, start + 1), hint),))


def _tokens(source: str) -> Iterator[_Token]:
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise _unreadable(source, position)
        position = match.end()
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match.group(), match.start(), match.end())
    yield _Token("end", "", position, position)


def _unreadable(source: str, position: int) -> ExpressionFaults:
    character = source[position]
    if character in "\"'":
        return _fault("a text is not closed", position, position + 1, f"end it with {character} on the same line")
    hints = {"=": "compare with ==", "&": "write &&", "|": "write ||", "{": "maps are not written in policies"}
    return _fault(f"{character!r} does not belong here", position, position + 1, hints.get(character, ""))


def _text(token: _Token) -> str:
    """The value of a text literal. Escapes are few, because engines disagree about the rare ones."""
    if token.text[0] in "rR":
        return token.text[2:-1]
    return re.sub(r"\\(.)", lambda found: _escape(token, found), token.text[1:-1], flags=re.DOTALL)


def _escape(token: _Token, found: re.Match[str]) -> str:
    value = _ESCAPES.get(found.group(1))
    if value is None:
        start = token.start + 1 + found.start()
        raise _fault(f"{found.group()!r} is not an escape here", start, start + 2, 'for a pattern write r"..."')
    return value


class _Parser:
    """Recursive descent over a list of tokens; `_depth` keeps hostile nesting away from every engine's stack."""

    def __init__(self, source: str) -> None:
        self._tokens = list(_tokens(source))
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._expression()
        if self._next.kind != "end":
            raise self._unexpected()
        return tree

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _skip(self, *texts: str) -> _Token | None:
        token = self._next
        return self._take() if token.kind in ("sign", "name") and token.text in texts else None

    def _need(self, text: str) -> _Token:
        token = self._skip(text)
        if token is None:
            raise self._unexpected(f"expected {text!r}")
        return token

    def _unexpected(self, hint: str = "") -> ExpressionFaults:
        token = self._next
        if token.kind == "end":
            return _fault("the expression ends too early", max(token.start - 1, 0), token.start, hint)
        return _fault(f"{token.text!r} does not belong here", token.start, token.end, hint)

    def _expression(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_NESTING:
            token = self._next
            raise _fault(f"nested deeper than {MAX_NESTING}", token.start, token.end, "split it into `when` items")
        tree = self._conditional()
        self._depth -= 1
        return tree

    def _conditional(self) -> Tree:
        condition = self._binary(0)
        sign = self._skip("?")
        if sign is None:
            return condition
        yes = self._expression()
        self._need(":")
        return Operation("?:", (condition, yes, self._expression()), sign.start, sign.end)

    def _binary(self, level: int) -> Tree:
        if level == len(_LEVELS):
            return self._unary()
        left, length = self._binary(level + 1), 0
        while sign := self._skip(*_LEVELS[level]):
            length += 1
            if length > MAX_CHAIN:
                raise _fault(f"more than {MAX_CHAIN} operators in a row", sign.start, sign.end, "use a list and `in`")
            left = Operation(sign.text, (left, self._binary(level + 1)), sign.start, sign.end)
        return left

    def _unary(self) -> Tree:
        sign = self._skip("!", "-")
        if sign is None:
            return self._member(self._primary())
        if self._next.text == sign.text:
            raise _fault(f"{sign.text!r} twice", sign.start, self._next.end, "leave both out")
        if sign.text == "-" and self._next.kind == "number":
            return self._number(self._take(), sign)
        return Operation(sign.text, (self._unary(),), sign.start, sign.end)

    def _primary(self) -> Tree:
        token = self._take()
        if token.kind == "text":
            return Literal(_text(token), token.start, token.end)
        if token.kind == "number":
            return self._number(token, None)
        if token.kind == "name" and token.text != "in":
            return self._named(token)
        if token.text in ("(", "["):
            return self._bracket(token)
        self._at -= 1
        raise self._unexpected()

    def _bracket(self, token: _Token) -> Tree:
        if token.text == "[":
            items, last = self._list("]")
            return Items(items, token.start, last)
        tree = self._expression()
        self._need(")")
        return tree

    def _number(self, token: _Token, sign: _Token | None) -> Literal:
        start = token.start if sign is None else sign.start
        if not token.text.isdigit():
            raise _fault(f"{token.text!r} is not a whole number", token.start, token.end, 'sizes: quantity("10GiB")')
        value = int(token.text) if sign is None else -int(token.text)
        if not -INT_LIMIT <= value < INT_LIMIT:
            raise _fault("a number has at most 64 bits", start, token.end)
        return Literal(value, start, token.end)

    def _named(self, token: _Token) -> Tree:
        if token.text in ("true", "false"):
            return Literal(token.text == "true", token.start, token.end)
        if self._next.text == "(" and self._next.kind == "sign":
            return self._call(token, None)
        return Name(token.text, token.start, token.end)

    def _call(self, name: _Token, target: Tree | None) -> Call:
        self._need("(")
        arguments, last = self._list(")")
        return Call(name.text, target, arguments, name.start, name.end, last)

    def _list(self, close: str) -> tuple[tuple[Tree, ...], int]:
        items: list[Tree] = []
        while self._next.text != close or self._next.kind != "sign":
            items.append(self._expression())
            if self._skip(",") is None:
                break
        return tuple(items), self._need(close).end

    def _member(self, tree: Tree) -> Tree:
        length = 0
        while sign := self._skip(".", "["):
            length += 1
            if length > MAX_NESTING:
                raise _fault(f"nested deeper than {MAX_NESTING}", sign.start, sign.end)
            tree = self._index(tree) if sign.text == "[" else self._dotted(tree, sign)
        return tree

    def _index(self, operand: Tree) -> Index:
        key = self._expression()
        return Index(operand, key, key.start, self._need("]").end)

    def _dotted(self, tree: Tree, dot: _Token) -> Tree:
        token = self._take()
        if token.kind != "name":
            self._at -= 1
            raise self._unexpected("a name follows a dot")
        if self._next.text == "(" and self._next.kind == "sign":
            return self._call(token, tree)
        if isinstance(tree, Name) and ("." not in tree.name or tree.name in GROUPS):
            return Name(f"{tree.name}.{token.text}", tree.start, token.end)
        raise _fault(f"nothing has a field '{token.text}'", dot.start, token.end, f'write ["{token.text}"] for a key')
