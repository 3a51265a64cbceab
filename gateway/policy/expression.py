"""Compiling and evaluating expressions: the only module that talks to a CEL library.

Rule 1: the engine is named by the operator, never guessed; a tree must not decide differently on another host.
Rule 2: an answer is YES or NO only when the engine says so with a boolean; everything else is OPEN or ERROR.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

from gateway.model.errors import Refusal
from gateway.policy.facts import VOCABULARY, FactType, FactValue, Phase
from gateway.policy.functions import IMPLEMENTATIONS
from gateway.policy.syntax import INT_LIMIT, ExpressionFaults, Fault, Literal
from gateway.policy.typecheck import SETS, Checked, Sets, check

Run = Callable[[dict[str, Any]], object]
"""Gives True or False; anything else, or an exception, means that the engine has no answer."""


class Truth(StrEnum):
    """`OPEN`: a fact it needs is not known yet. `ERROR`: nothing it needs is still to come, and it has no answer."""

    YES = "yes"
    NO = "no"
    OPEN = "open"
    ERROR = "error"


class Engine(Protocol):
    """A CEL library. `compile` takes named lists as `sets.NAME` and raises ExpressionFaults."""

    name: str

    def compile(self, source: str, sets: Sets = ...) -> Program: ...


@dataclass(frozen=True, slots=True)
class Program:
    """One compiled condition. `facts` are the VOCABULARY names it reads. Safe to use from many threads.

    `awaited` are those of them that may still become known. What is known of the caller is known at once or never.
    """

    source: str
    facts: frozenset[str]
    awaited: frozenset[str]
    _run: Run
    _sets: Mapping[str, list[str]]
    _readers: tuple[tuple[str, Callable[[Any], Any]], ...]

    @property
    def meaning(self) -> tuple[object, ...]:
        """Equal for programs that answer alike: the text, and what the lists it names hold."""
        return (self.source, *((name, tuple(items)) for name, items in self._sets.items()))

    def evaluate(self, values: Mapping[str, FactValue]) -> Truth:
        """The answer for these facts; CEL's `&&` and `||` absorb what is unknown where the other side decides."""
        known: dict[str, Any] = dict(self._sets)
        for name, read in self._readers:
            if name in values:
                value = read(values[name])
                if value is not None:
                    known[name] = value
        try:
            answer = self._run(known)
        except Exception:  # noqa: BLE001 - engines end runaway loops and odd values with whatever they like
            answer = None
        if answer is True:
            return Truth.YES
        if answer is False:
            return Truth.NO
        return Truth.ERROR if self.awaited <= values.keys() else Truth.OPEN


def _text(value: object) -> str | None:
    """NUL would cut the text short inside a C++ engine, a lone surrogate cannot be encoded for it."""
    if not isinstance(value, str) or "\0" in value:
        return None
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return None
    return value


def _whole(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and -INT_LIMIT <= value < INT_LIMIT
    return value if fits and isinstance(value, int) else None


def _texts(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return None
    try:
        # One look at all of them together: most conditions read tags or roles.
        joined = "".join(value)
    except TypeError:
        return None
    return None if _text(joined) is None else list(value)


def _text_map(value: Any) -> dict[str, str] | None:
    keys, texts = _texts(tuple(value)), _texts(tuple(value.values()))
    return None if keys is None or texts is None else dict(zip(keys, texts, strict=True))


_READERS: Mapping[FactType, Callable[[Any], Any]] = {
    FactType.STRING: _text,
    FactType.INT: _whole,
    FactType.STRINGS: _texts,
    FactType.STRING_MAP: _text_map,
}
"""Facts as plain values of their declared type; None for a value no engine may see (it then counts as an error)."""


def engine(name: str) -> Engine:
    """The engine of that name. Raises Refusal where it is unknown or cannot be loaded on this host."""
    if name not in _ENGINES:
        raise Refusal(f"There is no policy engine '{name}'.", remedy="Set `policy.engine` to cel-expr or cel-python.")
    try:
        return _ENGINES[name]()
    except ImportError as error:
        other = next(known for known in _ENGINES if known != name)
        raise Refusal(
            f"The policy engine '{name}' cannot be loaded on this host ({error}).",
            remedy=f"Set `policy.engine: {other}`.",
            code="engine-missing",
        ) from error


def _program(checked: Checked, sets: Sets, run: Run) -> Program:
    readers = tuple((name, _READERS[VOCABULARY[name][1]]) for name in sorted(checked.facts))
    lists = {SETS + name: _listed(sets[name]) for name in sorted(checked.sets)}
    awaited = frozenset(name for name in checked.facts if VOCABULARY[name][0] is not Phase.WHO)
    return Program(checked.source, checked.facts, awaited, run, lists, readers)


@lru_cache(maxsize=1024)
def _listed(items: tuple[str, ...]) -> list[str]:
    """A set as engines take it: one list, which nobody writes to, however many programs name it."""
    return list(items)


def _bad_pattern(pattern: Literal, reason: object) -> ExpressionFaults:
    return ExpressionFaults((Fault(f"bad pattern: {reason}", pattern.start, pattern.end, "patterns are RE2"),))


def _refused(checked: Checked, error: Exception) -> ExpressionFaults:
    lines = str(error).splitlines() or [type(error).__name__]
    return ExpressionFaults((Fault(f"the engine refuses it: {lines[0]}", 0, len(checked.source)),))


class _CelExpr:
    """Google's C++ runtime (`cel-expr-python`)."""

    name = "cel-expr"

    def __init__(self) -> None:
        from cel_expr_python import cel

        self._cel = cel
        self._types = cel.Type
        self._environment = lru_cache(maxsize=64)(self._new_environment)

    def compile(self, source: str, sets: Sets = {}) -> Program:  # noqa: B006 - never written to
        checked = check(source, sets)
        environment = self._environment(checked.sets)
        self._check_patterns(checked, environment)
        try:
            expression = environment.compile(checked.text)
        except RuntimeError as error:
            raise _refused(checked, error) from error
        evaluate = expression.eval
        # An error comes back as a value that is true in Python; its `value()` is a text, so only `is True` may count.
        return _program(checked, sets, lambda known: evaluate(data=known).value())

    def _new_environment(self, sets: frozenset[str]) -> Any:
        variables = {name: self._declared_type(kind.value) for name, (_, kind) in VOCABULARY.items()}
        variables |= dict.fromkeys((SETS + name for name in sets), self._types.List(self._types.STRING))
        functions = [self._declared(*row) for row in _CEL_EXPR_FUNCTIONS]
        implementations = {overload: IMPLEMENTATIONS[name] for name, overload, *_ in _CEL_EXPR_FUNCTIONS}
        return self._cel.NewEnv(variables=variables, functions=functions, function_impls=implementations)

    def _declared(self, name: str, overload: str, result: str, arguments: tuple[str, ...], method: bool) -> Any:
        types = [self._declared_type(argument) for argument in arguments]
        return self._cel.FunctionDecl(name, [self._cel.Overload(overload, self._declared_type(result), types, method)])

    def _declared_type(self, name: str) -> Any:
        text = self._types.STRING
        known = {"string": text, "int": self._types.INT, "bool": self._types.BOOL}
        known |= {"list(string)": self._types.List(text), "map(string, string)": self._types.Map(text, text)}
        return known[name]

    def _check_patterns(self, checked: Checked, environment: Any) -> None:
        for pattern in checked.patterns:
            written = checked.source[pattern.start : pattern.end]
            answer = environment.compile(f'"".matches({written})').eval(data={}).value()
            if not isinstance(answer, bool):
                raise _bad_pattern(pattern, str(answer).split("invalid regular expression: ")[-1])


_CEL_EXPR_FUNCTIONS = (
    ("lowerAscii", "string_lower_ascii", "string", ("string",), True),
    ("split", "string_split_string", "list(string)", ("string", "string"), True),
    ("isIP", "is_ip_string", "bool", ("string",), False),
    ("containsIP", "cidr_contains_ip_string", "bool", ("string", "string"), True),
)


class _CelPython:
    """The pure Python engine (`cel-python`), interpreted: its compiled runner decides some expressions differently."""

    name = "cel-python"

    def __init__(self) -> None:
        import celpy
        import re2
        from celpy import celtypes

        self._celpy: Any = celpy
        self._celtypes: Any = celtypes
        self._re2: Any = re2
        self._quiet = re2.Options()
        self._quiet.log_errors = False
        self._environment = celpy.Environment(runner_class=celpy.InterpretedRunner)
        self._functions = {name: self._wrapped(function) for name, function in IMPLEMENTATIONS.items()}
        # Its own one does not know a text that `+` has made.
        self._functions["contains"] = self._wrapped(operator.contains)

    def compile(self, source: str, sets: Sets = {}) -> Program:  # noqa: B006 - never written to
        checked = check(source, sets)
        self._check_patterns(checked)
        try:
            runner = self._environment.program(self._environment.compile(checked.text), functions=self._functions)
        except self._celpy.CELParseError as error:
            raise _refused(checked, error) from error
        return _program(checked, sets, lambda known: self._answer(runner, known))

    def _answer(self, runner: Any, known: dict[str, Any]) -> object:
        value = runner.evaluate({name: self._celpy.json_to_cel(item) for name, item in known.items()})
        return bool(value) if isinstance(value, self._celtypes.BoolType) else None

    def _wrapped(self, function: Callable[..., object]) -> Callable[..., Any]:
        return lambda *arguments: self._celpy.json_to_cel(function(*map(str, arguments)))

    def _check_patterns(self, checked: Checked) -> None:
        for pattern in checked.patterns:
            try:
                self._re2.compile(str(pattern.value), self._quiet)
            except self._re2.error as error:
                reason = error.args[0]
                raise _bad_pattern(pattern, reason.decode() if isinstance(reason, bytes) else reason) from error


_ENGINES: Mapping[str, Callable[[], Engine]] = {"cel-expr": _CelExpr, "cel-python": _CelPython}
