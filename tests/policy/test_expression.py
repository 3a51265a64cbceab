"""Expressions: what each means, what is refused at load and where, and what no answer is taken for."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.model.errors import Refusal
from gateway.policy.expression import Engine, Truth, engine
from gateway.policy.syntax import MAX_CHAIN, MAX_LENGTH, MAX_NESTING, ExpressionFaults

SETS = {"vendors": ("a.example", "b.example")}
FACTS = {
    "content.size": 11,
    "request.host": "A.Example",
    "project.tags": ("a", "tier:gold"),
    "request.properties": {"hw_x": "1"},
}


@pytest.fixture(params=["cel-expr", "cel-python"])
def cel(request: pytest.FixtureRequest) -> Engine:
    if request.param == "cel-expr":
        pytest.importorskip("cel_expr_python", reason="cel-expr has no build for this host")
    return engine(request.param)


def faults(cel: Engine, source: str) -> list[tuple[str, str]]:
    """The underlined text and the message of each fault."""
    with pytest.raises(ExpressionFaults) as raised:
        cel.compile(source, SETS)
    return [(source[fault.start : fault.end], fault.message) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("content.size > 10", Truth.YES),
        ('content.size < quantity("1KiB")', Truth.YES),
        ('content.size > quantity("1KiB")', Truth.NO),
        ("content.size > 10 && request.port == 1", Truth.OPEN),
        ("content.size < 10 && request.port == 1", Truth.NO),
        ("request.port == 1 || content.size > 10", Truth.YES),
        ("request.port == 1", Truth.OPEN),
        ("content.size / 0 > 1", Truth.ERROR),
        ("9223372036854775807 + content.size > 0", Truth.ERROR),
        ('request.properties["hw_y"] == "1"', Truth.ERROR),
        ('"hw_y" in request.properties && request.properties["hw_y"] == "1"', Truth.NO),
        ('request.properties.exists(p, p.startsWith("hw_"))', Truth.YES),
        ("!project.tags.exists(t, t in ['tier:silver', 'tier:gold'])", Truth.NO),
        ("request.host.lowerAscii() in sets.vendors", Truth.YES),
        ('request.host.split(".")[1] == "Example"', Truth.YES),
        ('"ab".split("") == ["a", "b"]', Truth.YES),
        (r'request.host.matches(r"^A\.")', Truth.YES),
        ('cidr("10.0.0.0/8").containsIP("10.1.2.3")', Truth.YES),
        ('cidr("10.0.0.0/8").containsIP("::ffff:10.1.2.3")', Truth.YES),
        ('cidr("10.0.0.0/8").containsIP(request.host)', Truth.NO),
        ('isIP("::1") && !isIP(request.host)', Truth.YES),
        ('size(project.tags) == 2 && "é".size() == 1', Truth.YES),
    ],
)
def test_meaning(cel: Engine, source: str, truth: Truth) -> None:
    assert cel.compile(source, SETS).evaluate(FACTS) == truth


def test_an_error_is_never_taken_for_true(cel: Engine) -> None:
    program = cel.compile("content.size > 10")
    assert program.evaluate({}) == Truth.OPEN
    assert program.evaluate({"content.size": 1 << 70}) == Truth.ERROR
    assert program.evaluate({"content.size": "11"}) == Truth.ERROR  # type: ignore[dict-item]


@pytest.mark.parametrize("host", ["good.example\0.evil.example", "good.example\ud800"])
def test_a_text_an_engine_would_cut_short_is_an_error(cel: Engine, host: str) -> None:
    assert cel.compile('request.host == "good.example"').evaluate({"request.host": host}) == Truth.ERROR
    assert cel.compile('"good.example" in project.tags').evaluate({"project.tags": (host,)}) == Truth.ERROR
    assert cel.compile('"x" in request.properties').evaluate({"request.properties": {"x": host}}) == Truth.ERROR


def test_a_runaway_loop_gives_no_answer_instead_of_an_exception() -> None:
    pytest.importorskip("cel_expr_python", reason="cel-expr has no build for this host")
    tags = tuple(f"t{number}" for number in range(1000))
    program = engine("cel-expr").compile("project.tags.all(a, user.roles.all(b, a != b))")
    started = time.process_time()
    assert program.evaluate({"project.tags": tags, "user.roles": tuple(tag + "x" for tag in tags)}) == Truth.ERROR
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("source", "under", "message"),
    [
        ("content.sise > 10", "content.sise", "there is no fact 'content.sise'"),
        ("request.host in sets.vendor", "sets.vendor", "there is no set 'sets.vendor'"),
        ("tags == 1", "tags", "there is no name 'tags'"),
        ('content.size > "10GiB"', ">", "cannot compare int with string"),
        ("content.size", "content.size", "a condition must be bool, this is int"),
        ("content.size && true", "content.size", "each side of '&&' must be bool, this is int"),
        ("has(request.properties.hw_x)", ".hw_x", "nothing has a field 'hw_x'"),
        ('duration("1s") == duration("1s")', "duration", "there is no function 'duration'"),
        ("request.host.matches(request.path)", "request.path", "'matches' takes a text written here"),
        ('request.host.matches("(")', '"("', "bad pattern: missing ): ("),
        ('request.host.matches("a(?=b)")', '"a(?=b)"', "bad pattern: invalid perl operator: (?="),
        ('content.size > quantity("10 GB")', '"10 GB"', "'10 GB' is not a size; write it like 20GiB"),
        ('cidr("10.0.0.1/8").containsIP(request.host)', '"10.0.0.1/8"', "10.0.0.1/8 has host bits set"),
        ('request.host = "a"', "=", "'=' does not belong here"),
        ('request.host == "a', '"', "a text is not closed"),
        ("content.size >", ">", "the expression ends too early"),
        ("content.size > 1.5", "1.5", "'1.5' is not a whole number"),
        ("content.size > 9223372036854775808", "9223372036854775808", "a number has at most 64 bits"),
        ('request.host == "\\ud800"', "\\u", "'\\\\u' is not an escape here"),
        ("request.host in []", "[]", "an empty list decides nothing"),
        ("project.tags[-1] == 'a'", "-1", "a place in a list is written as a number from 0"),
        ("project.tags.all(user, user == 'a')", "user", "'user' is taken"),
    ],
)
def test_refused_at_load(cel: Engine, source: str, under: str, message: str) -> None:
    assert faults(cel, source)[0] == (under, message)


def test_every_fault_is_told_at_once(cel: Engine) -> None:
    found = faults(cel, 'content.sise > 1 && request.hots == "a" && foo(1)')
    assert [under for under, _ in found] == ["content.sise", "request.hots", "foo"]


def nested(left: str, inside: str, right: str, times: int) -> str:
    return left * times + inside + right * times


@pytest.mark.parametrize(
    "source",
    [
        "true" + " " * MAX_LENGTH,
        nested("(", "true", ")", MAX_NESTING + 1),
        nested("(", "true", ")", 2000),
        nested("[", "1", "]", 2000) + " == [1]",
        "!" * 2000 + "true",
        nested("!(", "true", ")", 1000),
        "request.host" + '["a"]' * 500,
        " || ".join(["true"] * (MAX_CHAIN + 2)),
        "true ? " * 500 + "true",
        "content.size in [" + ",".join(map(str, range(257))) + "]",
        "[1].all(a, [1].all(b, [1].all(c, true)))",
        nested("[1,2,3,4,5,6,7,8,9].all(x, ", "true", ")", 30),
        f"{list(range(200))}.all(a, {list(range(200))}.all(b, a != b))",
    ],
)
def test_caps_hold_in_little_time(cel: Engine, source: str) -> None:
    started = time.process_time()
    assert faults(cel, source)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "source",
    [
        nested("(", "content.size > 1", ")", MAX_NESTING - 1),
        nested("!(", "!(content.size > 1)", ")", MAX_NESTING - 3),
        " && ".join(["content.size > 1"] * (MAX_CHAIN + 1)),
        " && ".join(["(content.size > 1 || request.port == 2)"] * MAX_CHAIN),
    ],
)
def test_what_is_just_below_the_caps_is_decided(cel: Engine, source: str) -> None:
    assert cel.compile(source).evaluate(FACTS) in (Truth.YES, Truth.NO)


def test_pattern_bombs_cost_nothing(cel: Engine) -> None:
    program = cel.compile('request.host.matches("^(a+)+$")')
    started = time.process_time()
    assert program.evaluate({"request.host": "a" * 2000 + "!"}) == Truth.NO
    assert time.process_time() - started < 10


def test_programs_may_be_used_by_many_threads(cel: Engine) -> None:
    program = cel.compile("content.size > 10")
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda size: program.evaluate({"content.size": size}), range(300))
    assert [answer is Truth.YES for answer in answers] == [size > 10 for size in range(300)]


def test_an_engine_that_is_missing_names_the_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    with pytest.raises(Refusal) as refused:
        engine("cel-expr")
    assert refused.value.remedy == "Set `policy.engine: cel-python`."


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(Refusal, match="no policy engine 'rego'"):
        engine("rego")
