"""Lints: each one's own example has the finding before and not after, and nothing that is right is told."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway.policy
from gateway.model.decision import Action, StageCall
from gateway.policy.compiler import compile_tree
from gateway.policy.decide import decide
from gateway.policy.expression import engine
from gateway.policy.lints import LINTS, findings
from gateway.policy.lints.paragraphs import PARAGRAPHS
from gateway.policy.problems import Level, Problem, Problems
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.stages.pipeline import STAGES
from tests.policy.making import facts, image
from tests.policy.test_compiler import CEL, METHODS, SCHEMA

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HEAD = "version: 1\npolicy: p\n"
_FILE = re.compile(r"^# (\S+\.yaml)$", re.MULTILINE)


def written(example: str) -> list[Source]:
    """The files of an example: `# NAME` begins one, and what every file has is added where it was left out."""
    parts = _FILE.split(example)
    files = dict(zip(parts[1::2], parts[2::2], strict=True)) or {"p.yaml": parts[0]}
    return [Source(name, _whole(text.strip("\n") + "\n").encode()) for name, text in files.items()]


def _whole(text: str) -> str:
    if text.startswith("- "):
        text = "rules:\n" + text
    head = "" if text.startswith("version:") else HEAD
    return head + text + ("" if "rules:" in text else "rules:\n  - {id: any-other, allow: all}\n")


def linted(example: str) -> list[Problem]:
    sources = written(example)
    policy = compile_tree(sources, schema=SCHEMA, engine=CEL, methods=METHODS)
    return findings(sources, policy, schema=SCHEMA, now=NOW, stages=frozenset(STAGES))


def codes(example: str) -> set[str]:
    return {problem.code for problem in linted(example)}


@pytest.mark.parametrize("code", sorted(LINTS))
def test_its_own_example_shows_it_and_how_to_be_rid_of_it(code: str) -> None:
    told = LINTS[code].paragraph
    assert len(told.text) > 80
    assert code in codes(told.before)
    assert code not in codes(told.after)


@pytest.mark.parametrize(
    ("code", "example", "place", "width"),
    [
        ("loose-host-match", "- {id: a, allow: [web-download], when: request.host.contains('x')}", "4:53", 8),
        ("never-equal", "- {id: a, deny: [web-download], when: \"request.host in ['a', 'B']\", message: m}", "4:62", 3),
        ("never-equal", "- {id: a, deny: [web-download], when: '\"*.a\" == request.host', message: m}", "4:40", 5),
        ("idle-limit-key", "- {id: a, limit: [glance-direct], within: {max_size: 1GiB, ports: [1]}}", "4:60", 5),
        ("host-never-fetched", "- {id: a, allow: all, within: {hosts: [a.example, '*.10.0.0.1']}}", "4:51", 12),
        ("expired-rule", "- {id: a, deny: all, until: 2026-11-22T00:00:00Z}", "4:29", 20),
        ("claimed-size", "- {id: a, allow: all, when: [project.id == 'a', request.size < 9]}", "4:49", 12),
    ],
)
def test_a_finding_points_at_the_word(code: str, example: str, place: str, width: int) -> None:
    (found,) = (problem for problem in linted(example) if problem.code == code)
    assert (str(found.place), found.width) == (f"p.yaml:{place}", width)


@pytest.mark.parametrize(
    ("code", "example"),
    [
        ("all-of-nothing", "- {id: a, allow: all, when: \"['a', 'b'].all(t, t in project.tags)\"}"),
        (
            "source-fact-without-source",
            "- {id: a, deny: all, message: m, when: request.method == 'web-download' && request.host == 'a'}",
        ),
        (
            "source-fact-without-source",
            "- {id: a, deny: all, message: m, when: [request.method == 'web-download', request.host == 'a']}",
        ),
        ("loose-host-match", "- {id: a, allow: [web-download], when: request.host.endsWith('.example.com')}"),
        (
            "loose-host-match",
            "- {id: a, allow: [web-download], when: \"request.host.matches(r'^a[0-9]\\\\.example$')\"}",
        ),
        ("covered-rule", "- {id: a, deny: all, message: One.}\n- {id: b, deny: all, for: {tags: [x]}, message: Two.}"),
        ("covered-rule", "- {id: a, allow: all, mode: audit}\n- {id: b, allow: all, for: {tags: [x]}}"),
        ("shadowed-by-deny", "- {id: a, allow: all}\n- {id: b, deny: [web-download]}"),
        ("shadowed-by-deny", "- {id: a, allow: all}\n- {id: b, deny: all, until: 2027-06-01T00:00:00Z}"),
        (
            "allow-is-not-a-limit",
            "- {id: a, allow: [glance-direct]}\n- {id: b, allow: all, for: {tags: [x]}, within: {hosts: [a.example]}}",
        ),
        (
            "allow-over-limit",
            "- {id: a, allow: all, within: {max_size: 9GiB}}\n- {id: b, limit: [web-download], within: {max_size: 1B}}",
        ),
        ("uninspected", "- {id: a, allow: [web-download]}\n- {id: b, require: all, stages: [inspect]}"),
        (
            "transforms-may-conflict",
            "".join(
                f"- {{id: {name}, require: all, for: {{projects: [{name}]}}, stages: [convert: {{target: {to}}}]}}\n"
                for name, to in (("a", "raw"), ("b", "vhd"))
            ),
        ),
        ("never-true", "- {id: a, deny: all, when: request.method == 'web-download', message: m}"),
    ],
)
def test_what_is_right_is_not_told(code: str, example: str) -> None:
    assert code not in codes(example)


_SUPERFLUOUS = {"covered-rule", "never-selected", "never-true", "shadowed-by-deny", "method-not-built"}
_FORS = [
    "",
    "tags: [x]",
    "tags: [y]",
    "tags: [x, y]",
    "projects: [p1]",
    "projects: [p2]",
    "projects: [p1], tags: [x]",
    "roles: [r]",
]
_WHENS = ["", "request.method == 'web-download'", "content.size > 3", "request.host == 'a.example'", "1 == 2"]
_SIZES = ["", "max_size: 2B", "max_size: 4B", "max_size: 4B, hosts: [a.example]", "hosts: ['*.example']"]


@st.composite
def _trees(draw: st.DrawFn) -> list[str]:
    rules = []
    for number in range(draw(st.integers(2, 6))):
        verb = draw(st.sampled_from(["allow", "allow", "limit", "deny", "require"]))
        methods = draw(st.sampled_from(["all", "[web-download]", "[glance-direct]", "[oci-download]"]))
        parts = [f"id: r{number}", f"{verb}: {methods}"]
        parts += [f"for: {{{one}}}" for one in [draw(st.sampled_from(_FORS))] if one]
        parts += [f'when: "{one}"' for one in [draw(st.sampled_from(_WHENS))] if one]
        size = draw(st.sampled_from(_SIZES[verb == "limit" :]))
        parts += [f"within: {{{size}}}"] if size and verb in ("allow", "limit") else []
        parts += ["stages: [inspect]", "message: m"] if verb == "require" else ["message: m"] if verb == "deny" else []
        rules.append(f"- {{{', '.join(parts)}}}")
    return rules


_CALLERS = [{"project": project, "tags": tags} for project in ("p1", "p2") for tags in ("", "x", "y", "xy")]
_IMPORTS = [(method, size, host) for method in METHODS for size in (1, 3, 5) for host in ("a.example", "b.test")]


_HEADS = st.sampled_from(["description: all", "scope: {tags: [x]}", "scope: {projects: [p1]}"])


def _tree(head: str, rules: list[str]) -> str:
    return "\n".join((head, "rules:", *(f"  {rule}" for rule in rules)))


def _ruled(head: str, rules: list[str], *, told: bool) -> list[tuple[Action, tuple[StageCall, ...]]]:
    """What is decided about every caller and import after the bytes have been seen; with `told`, before it too."""
    policy, found = _compiled(_tree(head, rules)), []
    for caller in _CALLERS:
        for method, size, host in _IMPORTS:
            source = {"host": host, "scheme": "https", "port": 443, "path": "/"} if method == "web-download" else {}
            for known in ({}, image(size, **source))[not told :]:
                decision = decide(policy, method, facts(known, now=NOW, roles=["r"], **caller), final=bool(known))
                found.append((decision.action, decision.plan.stages))
    return found


@settings(deadline=None, max_examples=80)
@given(_HEADS, _trees())
def test_a_rule_that_is_called_superfluous_changes_no_decision(head: str, rules: list[str]) -> None:
    for one in linted(_tree(head, rules)):
        if one.code in _SUPERFLUOUS:
            number = one.place.line - 5
            rest = [*rules[:number], *rules[number + 1 :]]
            # An allow that a deny with the same condition always undoes is still offered until the condition is known.
            told = one.code != "shadowed-by-deny"
            assert _ruled(head, rest, told=told) == _ruled(head, rules, told=told)


def _compiled(example: str) -> Policy:
    return compile_tree(written(example), schema=SCHEMA, engine=engine("cel-expr"), methods=METHODS)


def test_a_large_tree_is_linted_in_little_time() -> None:
    rules = [
        f"- {{id: r{n}, allow: all, for: {{projects: [p{n}]}}, within: {{max_size: {1 + n % 90}GiB}}}}"
        for n in range(4000)
    ]
    rules += [f"- {{id: l{n}, limit: all, within: {{max_size: {1 + n}GiB}}}}" for n in range(500)]
    sources = written("\n".join(rules))
    policy = compile_tree(sources, schema=SCHEMA, engine=CEL, methods=METHODS)
    started = time.process_time()
    found = findings(sources, policy, schema=SCHEMA, now=NOW, stages=frozenset(STAGES))
    assert found
    assert time.process_time() - started < 60


WITHOUT_EXAMPLE = {
    "yaml-empty",
    "yaml-size",
    "yaml-encoding",
    "yaml-character",
    "too-long",
    "repeated",
    "empty-tree",
    "too-many-values",
    "too-many-problems",
}
ERRORS = [code for code, told in PARAGRAPHS.items() if told.level is Level.ERROR]


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_too(code: str) -> None:
    told = PARAGRAPHS[code]
    assert len(told.text) > 40
    assert bool(told.before) == bool(told.after) == (code not in WITHOUT_EXAMPLE)
    if told.before:
        with pytest.raises(Problems) as raised:
            linted(told.before)
        assert code in {problem.code for problem in raised.value.problems}
        linted(told.after)


def test_every_code_that_can_be_told_has_its_paragraph() -> None:
    folder = Path(gateway.policy.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("*.py")) + json.dumps(SCHEMA)
    used = set(re.findall(r"""(?:problem|note|stop|Problem)\(\s*(?:node, |where, |item, |key, )?"([a-z-]+)",""", text))
    used |= set(re.findall(r'"x-code": "([a-z-]+)"', text))
    assert len(used) > 40
    assert used - {"unknown-name"} <= set(PARAGRAPHS)
