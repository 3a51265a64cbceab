"""Trees made to cost time or memory: each is one clear error, or a short list of them, in little of both."""

from __future__ import annotations

import time

import pytest

from gateway.policy.compiler import compile_tree
from gateway.policy.expression import engine
from gateway.policy.problems import MOST, Problems
from gateway.policy.reader import MAX_BYTES, Source
from gateway.policy.within import covers, meet
from tests.policy.making import within
from tests.policy.test_compiler import METHODS, SCHEMA

CEL = engine("cel-expr")
HEAD = "version: 1\npolicy: p\nrules:\n"
ANY = HEAD + "  - {id: any, allow: all}\n"
RUNAWAY = 10.0
"""Seconds of CPU. On an idle machine each takes less than one; a runaway takes minutes."""


def many(line: str, count: int, head: str = HEAD, tail: str = "") -> str:
    """A file with a line for each number up to `count`, of which `@` is the place."""
    return head + "".join(line.replace("@", str(number)) + "\n" for number in range(count)) + tail


def when(condition: str) -> str:
    return HEAD + f"  - id: a\n    allow: all\n    when: |\n      {condition}\n"


_VALUES = ", ".join(f"a{number}" for number in range(4096))
FLOODS = {
    "unknown keys": ("unknown-key", many("    k@: 1", 48_000, HEAD + "  - id: a\n    allow: all\n")),
    "unknown keys of the file": ("unknown-key", many("polici@: 1", 48_000, ANY)),
    "anchors": ("yaml-anchor", HEAD + "  - {id: a, allow: [" + "&a x," * 90_000 + "]}\n"),
    "unknown methods": (
        "unknown-method",
        many("        web-downloa@,", 40_000, HEAD + "  - {id: a, allow: [\n", "]}\n"),
    ),
    "unknown sets": (
        "unknown-set",
        many("  - {id: a@, allow: all, for: {tags: sets.x@}}", 6500, tail=many("  y@: [a]", 6500, "sets:\n")),
    ),
    "rules of one name": ("duplicate-id", many("  - {id: a, allow: all}", 19_000)),
    "unknown facts": ("cel", many("  - {id: a@, allow: all, when: content.sise == @}", 12_000)),
    "unreadable conditions": ("cel", many("  - {id: a@, allow: all, when: 'a@ ((('}", 12_000)),
    "unknown rules": (
        "unknown-rule",
        many("  - {id: b@, limit: all, within: {max_size: 1GiB}}", 3000, tail="exemptions:\n")
        + many(
            "  - {id: e@, rule: p/a@, for: {tags: [a]}, within: {max_size: 2GiB}, reason: r, approved_by: a,"
            ' until: "2099-01-01T00:00:00Z"}',
            3000,
            "",
        ),
    ),
    "bad hosts": (
        "bad-host",
        HEAD + "  - {id: a, allow: all, within: {hosts: [" + ",".join(f"'a{n}..b'" for n in range(4000)) + "]}}\n",
    ),
    "bad placeholders": ("bad-placeholder", many("  - {id: a@, deny: all, message: '" + "{x}" * 340 + "'}", 900)),
    "nested delegates": (
        "delegate-empty",
        ANY
        + "delegates:\n"
        + "".join(
            f"  - {{directory: d{'/d' * depth}, verbs: [allow], scope: {{tags: [a]}}}}\n" for depth in range(800)
        ),
    ),
    "one long set of many rules": (
        "too-many-values",
        many("  - {id: a@, allow: all, for: {projects: sets.s}}", 6500, tail=f"sets: {{s: [{_VALUES}]}}\n"),
    ),
}
BOMBS = {
    "nesting": ("cel", when("(" * 4000)),
    "negations": ("cel", when("!" * 4000 + "true")),
    "a long chain": ("cel", when("true || " * 20_000 + "true")),
    "loops inside loops": ("cel", when("".join(f"project.tags.all({name}, " for name in "abcd") + "true" + ")" * 4)),
    "a long loop": (
        "cel",
        HEAD
        + '  - {id: a, allow: all, when: "sets.s.all(x, sets.s.all(y, x != y))"}\n'
        + f"sets: {{s: [{_VALUES}]}}\n",
    ),
    "repetitions of repetitions": ("cel", when(r"project.id.matches(r'(((a{99}){99}){99})')")),
    "classes of Unicode": ("cel", when(r"project.id.matches(r'(\pL|\pN|\pS){1,300}')")),
    "alternatives": ("cel", when("project.id.matches('(a|b|[^c]){1,1000}')")),
    "many small patterns": ("cel", when(" || ".join(["project.id.matches('.{0,60}')"] * 30))),
    "a huge name": ("bad-name", HEAD + "  - {id: " + "a" * 900_000 + ", allow: all}\n"),
    "a huge size": ("bad-size", ANY.replace("all}", "all, within: {max_size: " + "9" * 900_000 + "GiB}}")),
}


def told(text: str) -> tuple[Problems, float]:
    source = Source("a.yaml", text.encode())
    assert len(source.text) <= MAX_BYTES
    started = time.process_time()
    with pytest.raises(Problems) as raised:
        compile_tree([source], schema=SCHEMA, engine=CEL, methods=METHODS)
    shown = str(raised.value)
    took = time.process_time() - started
    assert len(shown) < 100_000
    return raised.value, took


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_problems_is_a_short_list(name: str) -> None:
    code, text = FLOODS[name]
    found, took = told(text)
    assert took < RUNAWAY
    assert found.problems[0].code == code
    assert len(found.problems) == 1 or found.problems[-1].code == "too-many-problems"
    assert len(found.problems) <= MOST + 1


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_error(name: str) -> None:
    code, text = BOMBS[name]
    found, took = told(text)
    assert took < RUNAWAY
    assert {problem.code for problem in found.problems} == {code}
    assert len(found.problems) <= 2


def test_long_lists_of_hosts_meet_in_little_time() -> None:
    some = within(hosts=[f"a{number}.example" for number in range(4096)])
    others = within(hosts=[*(f"a{number}.example" for number in range(2048, 6144)), "*.a1.example"])
    started = time.process_time()
    both = meet(some, others)
    assert both.hosts is not None
    assert len(both.hosts) == 2048
    assert covers(some, both)
    assert time.process_time() - started < RUNAWAY / 5
