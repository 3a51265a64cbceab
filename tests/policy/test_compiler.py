"""Compiling trees: every problem once, exactly where it is; and what a good tree becomes."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.decision import StageCall, Within
from gateway.model.errors import Refusal
from gateway.policy.compiler import compile_tree
from gateway.policy.expression import Truth, engine
from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.policy.rules import Mode, Policy, Rule, Selector, Verb
from gateway.trees import read_tests, read_tree

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "policy.schema.json").read_text())
METHODS = ("glance-direct", "web-download")
CEL = engine("cel-python")
MARK = "»"
HEAD = "version: 1\npolicy: p\nrules:\n"
OPEN = HEAD + "  - {id: any, allow: all}\n"


def tree(*files: str) -> Policy:
    sources = [Source(f"{number}.yaml", text.encode()) for number, text in enumerate(files)]
    return compile_tree(sources, schema=SCHEMA, engine=CEL, methods=METHODS)


def told(*files: str) -> list[tuple[str, str]]:
    with pytest.raises(Problems) as raised:
        tree(*files)
    return [(problem.code, str(problem.place)) for problem in raised.value.problems]


def rule(text: str) -> str:
    return HEAD + "  - id: r\n" + "".join(f"    {line}\n" for line in text.splitlines())


def exemption(text: str, rules: str = "") -> str:
    head = OPEN + rules + "exemptions:\n  - id: e\n    reason: r\n    approved_by: a\n    until: 2027-01-01T00:00:00Z\n"
    return head + "".join(f"    {line}\n" for line in text.splitlines())


LIMIT = "  - {id: cap, limit: all, within: {max_size: 1GiB}}\n"
SCAN = "  - {id: scan, require: all, stages: [inspect, checksum]}\n"
NO = "  - {id: no, deny: all, message: no}\n"
FOR = "for: {projects: [a]}\n"
VHD = "  - {id: vhd, require: all, stages: »[convert: {target: vhd}]}\n"

# The mark stands before the character each problem points at; two marks are two problems of the same code.
CASES = [
    ("unknown-key", rule("allow: all\n»fro: {projects: [a]}")),
    ("unknown-key", rule("»alow: all")),
    ("unknown-key", "version: 1\npolicy: p\n»rule: []\nrules:\n  - {id: any, allow: all}\n"),
    ("missing-key", HEAD + "  - »{allow: all}\n"),
    ("missing-key", "»version: 1\nrules:\n  - {id: any, allow: all}\n"),
    ("wrong-type", HEAD + "  - {id: »7, allow: all}\n"),
    ("wrong-type", rule("allow: all\nfor: {projects: [»7, »true]}")),
    ("wrong-type", "»just a text\n"),
    ("unknown-value", "version: »2\npolicy: p\nrules:\n  - {id: any, allow: all}\n"),
    ("unknown-value", rule("allow: all\nmode: »enforc")),
    ("bad-name", HEAD + "  - {id: »a/b, allow: all}\n"),
    ("bad-size", rule("allow: all\nwithin: {max_size: »20GB}")),
    ("bad-size", rule("allow: all\nwithin: {max_size: »999999999999TiB}")),
    ("bad-time", rule("allow: all\nfrom: »tomorrow")),
    ("bad-time", rule("allow: all\nuntil: »2026-13-01T00:00:00Z")),
    ("bad-value", rule("allow: all\nwithin: {schemes: [»1x]}")),
    ("bad-key", OPEN + "sets:\n  »a-b: [c]\n"),
    ("empty", rule("allow: all\nfor: »{}")),
    ("empty", rule("allow: »[]")),
    ("out-of-range", rule("limit: all\nwithin: {ports: [443, »70000]}")),
    ("too-long", OPEN + f"description: »{'x' * 5000}\n"),
    ("one-verb", HEAD + "  - »id: r\n"),
    ("one-verb", rule("allow: all\n»deny: all")),
    ("missing-within", rule("»limit: all")),
    ("missing-stages", rule("»require: all")),
    ("misplaced-key", rule("deny: all\n»within: {max_size: 1GiB}")),
    ("misplaced-key", rule("allow: all\n»stages: [inspect]")),
    ("unknown-method", rule("allow: [web-download, »web-downlod]")),
    ("unknown-method", rule("allow: »everything")),
    ("unknown-set", rule("allow: all\nwithin: {hosts: »sets.nobody}")),
    ("set-in-list", OPEN + "sets: {s: [a]}\n" + "scope: {tags: [»sets.s]}\n"),
    ("bad-host", rule("allow: all\nwithin: {hosts: [»'*', »a b, »a..b, »-a.example, ok.example]}")),
    ("unknown-stage", rule("require: all\nstages: [inspect, »inspct]")),
    (
        "missing-option",
        rule("require: all\nstages: [»signature, »inject, »convert: {target: raw}]").replace("»convert", "convert"),
    ),
    ("unknown-option", rule("require: all\nstages: [malware-scan: {»on_eror: reject}]")),
    (
        "bad-option",
        rule("require: all\nstages: [checksum: {algorithm: »sha3}, malware-scan: {max_database_age: »soon}]"),
    ),
    (
        "bad-option",
        rule("require: all\nstages: [decompress: {max_ratio: »0, max_size: »1GB}, inspect: {snapshots: »7}]"),
    ),
    ("bad-placeholder", rule("deny: all\nmessage: »hello {request.hots}")),
    ("bad-placeholder", rule("deny: all\nmessage: »hello }")),
    ("missing-message", rule("»deny: all\nwhen: content.size > 1")),
    ("missing-message", rule("»require: all\nstages: [inspect]\nwhen: request.host == 'a'")),
    ("empty-period", rule("allow: all\nfrom: 2027-01-01T00:00:00Z\n»until: 2026-01-01T00:00:00Z")),
    ("duplicate-id", HEAD + "  - {id: a, allow: all}\n  - {id: »a, allow: all}\n"),
    (
        "duplicate-id",
        exemption("rule: p/cap\nfor: {projects: [a]}\nwithin: {max_size: 2GiB}", LIMIT)
        + "  - {id: »e, rule: p/cap, for: {projects: [b]}, within: {max_size: 2GiB},\n"
        "     reason: r, approved_by: a, until: 2027-01-01T00:00:00Z}\n",
    ),
    ("conflicting-transforms", rule("require: all\nstages: »[convert: {target: raw}, convert: {target: qcow2}]")),
    ("conflicting-transforms", rule("require: all\nstages: [convert: {target: raw}]") + VHD),
    (
        "conflicting-transforms",
        rule("require: all\nwhen: project.id == 'a'\nstages: »[convert: {target: raw}]") + VHD.replace("»", ""),
    ),
    ("quota-mode", rule("limit: all\nmode: warn\nwithin: {»max_images: 3, »max_total_size: 1TiB, max_size: 1GiB}")),
    ("quota-mode", rule("allow: all\nmode: audit\nwithin: {»max_active_imports: 2}")),
    ("wrong-type", rule("limit: all\nwithin: {max_images: »many}")),
    ("bad-size", rule("limit: all\nwithin: {max_total_size: »7GB}")),
    ("cel", rule("allow: all\nwhen: »content.sise > 1")),
    ("cel", rule("allow: all\nwhen: '»content.sise > 1'")),
    ("cel", rule("allow: all\nwhen: [project.id == 'a', »content.sise > 1]")),
    ("cel", rule("allow: all\nwhen: |\n  project.id == 'a' &&\n\n      »content.sise > 1\n")),
    ("cel", rule("allow: all\nwhen: »>\n  project.id == 'a' &&\n  content.sise > 1\n")),
    ("cel", rule('allow: all\nwhen: »"project.id == \\"a\\" && content.sise > 1"')),
    ("cel", rule("allow: all\nwhen: content.size »> '1GiB'")),
    ("unknown-rule", exemption("rule: »p/nobody\n" + FOR + "within: {max_size: 1GiB}")),
    ("exempt-allow", exemption("rule: »p/any\n" + FOR + "within: {max_size: 1GiB}")),
    ("exempt-deny", exemption("rule: »p/no\n" + FOR + "within: {max_size: 1GiB}", NO)),
    ("exempt-nothing", exemption("rule: p/cap\n" + FOR, LIMIT).replace("- id: e", "- »id: e")),
    ("exempt-lacking", exemption("rule: p/cap\n" + FOR + "within: {»hosts: [a.example]}", LIMIT)),
    ("exempt-lacking", exemption("rule: p/scan\n" + FOR + "without: [inspect, »malware-scan]", SCAN)),
    ("misplaced-key", exemption("rule: p/cap\n" + FOR + "within: {max_size: 2GiB}\n»without: [inspect]", LIMIT)),
    (
        "out-of-scope",
        "scope: {projects: [b]}\n" + exemption("rule: p/cap\nfor: »{projects: [a]}\nwithin: {max_size: 2GiB}", LIMIT),
    ),
    ("yaml-anchor", OPEN.replace("all}", "»&a all}")),
]


@pytest.mark.parametrize(("code", "marked"), CASES, ids=[f"{number}-{code}" for number, (code, _) in enumerate(CASES)])
def test_every_problem_is_told_where_it_is(code: str, marked: str) -> None:
    places = []
    while MARK in marked:
        at = marked.index(MARK)
        places.append(f"0.yaml:{marked.count(chr(10), 0, at) + 1}:{at - marked.rfind(chr(10), 0, at)}")
        marked = marked.replace(MARK, "", 1)
    assert told(marked) == [(code, place) for place in places]


def test_the_text_of_a_problem() -> None:
    text = "version: 1\npolicy: tiers\nrules:\n  - id: typo\n    alow: [web-download]\n"
    with pytest.raises(Problems) as raised:
        compile_tree([Source("policies/tiers.yaml", text.encode())], schema=SCHEMA, engine=CEL, methods=METHODS)
    assert str(raised.value) == (
        "policies/tiers.yaml:5:5: error[unknown-key]: 'alow' is not a key here\n"
        "   5 |     alow: [web-download]\n"
        "     |     ^^^^ did you mean 'allow'?"
    )


def test_all_problems_of_all_files_are_told_sorted_and_once() -> None:
    first = rule("allow: [web-downlod]\nwithin: {max_size: 20GB, hosts: ['*']}\nwhen: content.sise > 1\nmode: enforc")
    second = "a: [1\n"
    third = exemption("rule: p/r\n" + FOR + "within: {max_size: 1GiB}").replace("policy: p\n", "policy: q\n")
    assert told(third, second, first) == [
        ("exempt-allow", "0.yaml:10:11"),
        ("yaml-syntax", "1.yaml:2:1"),
        ("unknown-method", "2.yaml:5:13"),
        ("bad-size", "2.yaml:6:24"),
        ("cel", "2.yaml:7:11"),
        ("unknown-value", "2.yaml:8:11"),
    ]


def test_names_are_global() -> None:
    sets = "version: 1\npolicy: q\nrules: [{id: a, allow: all, within: {hosts: sets.s}}]\n"
    assert tree(OPEN + "sets: {s: [B.example]}\n", sets).rules[1].within.hosts == ("b.example",)
    assert told(OPEN + "sets: {s: [a]}\n", sets + "sets: {s: [b]}\n") == [("duplicate-id", "1.yaml:4:11")]
    assert told(OPEN, OPEN) == [("duplicate-id", "1.yaml:4:10")]


def test_an_empty_tree_is_an_error() -> None:
    assert told() == [("empty-tree", "policies:1:1")]


def test_a_whole_rule() -> None:
    policy = tree(
        "version: 1\npolicy: p\nscope: {domains: [d]}\nsets: {s: [a.example]}\nrules:\n"
        "  - id: r\n    allow: [web-download]\n    for: {tags: ['tier:gold'], roles: [member, admin]}\n"
        "    when: [content.size > 1, request.host in sets.s]\n    mode: warn\n    message: 'no {request.host}'\n"
        "    from: 2026-01-01T02:00:00+02:00\n    until: 2027-01-01T00:00:00Z\n"
        "    within: {max_size: 20GiB, max_virtual_size: 1TiB, disk_formats: [RAW, qcow2], container_formats: [bare],"
        "\n"
        "      hosts: [BÜCHER.example., '*.A.example', '10.0.0.1', '[::1]'], schemes: [HTTPS], ports: [8443, 443],\n"
        "      stores: [Fast], regions: [RegionOne], credentials: [mine, Ours]}\n"
    )
    found = policy.rules[0]
    assert (found.name, found.verb, found.methods, found.mode) == (
        "p/r",
        Verb.ALLOW,
        frozenset({"web-download"}),
        Mode.WARN,
    )
    assert (found.scope, found.selector) == (
        Selector(domains=frozenset({"d"})),
        Selector(tags=frozenset({"tier:gold"}), roles=frozenset({"member", "admin"})),
    )
    assert found.within == Within(
        max_size=20 << 30,
        max_virtual_size=1 << 40,
        disk_formats=("qcow2", "raw"),
        container_formats=("bare",),
        hosts=("*.a.example", "10.0.0.1", "::1", "xn--bcher-kva.example"),
        schemes=("https",),
        ports=(443, 8443),
        stores=("Fast",),
        regions=("RegionOne",),
        credentials=("Ours", "mine"),
    )
    assert (found.active_from, found.active_until) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert [condition.facts for condition in found.when] == [{"content.size"}, {"request.host"}]
    assert found.when[1].program.evaluate({"request.host": "a.example"}) == Truth.YES
    assert str(found.place) == "0.yaml:6:5"


def test_stages_with_options() -> None:
    scan = "malware-scan: {on_error: reject, max_database_age: 24h}"
    text = f"require: all\nstages:\n  - inspect\n  - {scan}\n  - inject: {{compliance: medical}}\n  - inspect"
    assert tree(rule(text)).rules[0].stages == (
        StageCall("inspect"),
        StageCall("malware-scan", (("max_database_age", 86400), ("on_error", "reject"))),
        StageCall("inject", (("compliance", "medical"),)),
    )


@pytest.mark.parametrize(
    "other",
    [
        "for: {projects: [b]}\nstages: [convert: {target: vhd}]",
        "when: project.id == 'a'\nstages: [convert: {target: vhd}]",
        "mode: audit\nstages: [convert: {target: vhd}]",
        "stages: [inject: {a: b}]",
    ],
)
def test_transforms_that_may_never_meet_are_left_to_the_decision(other: str) -> None:
    first = "  - {id: a, require: all, for: {projects: [a]}, stages: [convert: {target: raw}, inject: {c: d}]}\n"
    assert len(tree(rule("require: all\n" + other) + first).rules) == 2


def test_an_exemption_is_narrowed_by_the_scope_of_its_file() -> None:
    scoped = "scope: {tags: [t]}\n" + exemption("rule: p/cap\n" + FOR + "within: {max_size: 2GiB}", LIMIT)
    found = tree(scoped).exemptions["p/cap"][0]
    assert found.selector == Selector(projects=frozenset({"a"}), tags=frozenset({"t"}))
    assert (found.within, found.until) == (Within(max_size=2 << 30), datetime(2027, 1, 1, tzinfo=UTC))


def test_the_revision_is_that_of_names_and_bytes() -> None:
    one, two = Source("a.yaml", OPEN.encode()), Source("b.yaml", rule("allow: all").encode())

    def revision(*sources: Source) -> str:
        return compile_tree(sources, schema=SCHEMA, engine=CEL, methods=METHODS).revision

    assert revision(one, two) == revision(two, one)
    others = [
        revision(one),
        revision(one, Source("c.yaml", two.text)),
        revision(one, Source("b.yaml", two.text + b"\n")),
    ]
    assert len({revision(one, two), *others}) == 4


_KEYS = ("projects", "tags", "domains", "roles")
_SELECTORS = st.dictionaries(
    st.sampled_from(_KEYS), st.lists(st.sampled_from("abc"), min_size=1, unique=True), max_size=3
)


def _selects(found: Rule, caller: dict[str, set[str]]) -> bool:
    keys = [(key, getattr(selector, key)) for selector in (found.scope, found.selector) for key in _KEYS]
    return all(values is None or values & caller[key] for key, values in keys)


def _filed(policy: Policy, method: str, caller: dict[str, set[str]]) -> list[int]:
    index = policy.index
    found = list(index.always.get(method, ()))
    for key, filed in zip(_KEYS, (index.by_project, index.by_tag, index.by_domain, index.by_role), strict=True):
        for value in caller[key]:
            found += filed.get(method, {}).get(value, ())
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(_SELECTORS, st.sampled_from(["all", "[web-download]"])), min_size=1, max_size=5),
    _SELECTORS,
    st.fixed_dictionaries({key: st.sets(st.sampled_from("abc"), max_size=2) for key in _KEYS}),
    st.sampled_from(METHODS),
)
def test_the_index_finds_every_rule_that_can_match(
    rules: list[tuple[dict[str, list[str]], str]], scope: dict[str, list[str]], caller: dict[str, set[str]], method: str
) -> None:
    text = "".join(
        f"  - {{id: r{number}, allow: {methods}{f', for: {json.dumps(selector)}' if selector else ''}}}\n"
        for number, (selector, methods) in enumerate(rules)
    )
    policy = tree(HEAD.replace("rules:", (f"scope: {json.dumps(scope)}\n" if scope else "") + "rules:") + text)
    wanted = {
        number for number, found in enumerate(policy.rules) if method in found.methods and _selects(found, caller)
    }
    assert wanted <= set(_filed(policy, method, caller))


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_any_text_is_a_tree_or_problems(text: str) -> None:
    for whole in (text, rule(f"allow: all\nwhen: {json.dumps(text)}"), rule(f"allow: {text}")):
        with suppress(Problems):
            tree(whole.encode("utf-8", "replace").decode())


def test_equal_conditions_are_compiled_once() -> None:
    policy = tree(HEAD + "".join(f"  - {{id: r{n}, allow: all, when: content.size > 1}}\n" for n in range(50)))
    assert len({id(found.when[0].program) for found in policy.rules}) == 1


def test_three_thousand_rules_compile_in_reasonable_time() -> None:
    files = [
        f"version: 1\npolicy: p{part}\nrules:\n"
        + "".join(f"  - {{id: r{n}, allow: all, for: {{projects: [p{n}]}}}}\n" for n in range(1000))
        for part in range(3)
    ]
    started = time.process_time()
    assert len(tree(*files).rules) == 3_000
    assert time.process_time() - started < 10


class TestTrees:
    def test_policies_and_tests_are_told_apart_and_sorted(self, tmp_path: Path) -> None:
        for name in ("b.yaml", "a.yaml", "a.test.yaml", "sub/c.yaml", ".hidden/d.yaml", ".e.yaml", "notes.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(name)
        (tmp_path / "folder.yaml").mkdir()
        assert read_tree(tmp_path) == tuple(Source(name, name.encode()) for name in ("a.yaml", "b.yaml", "sub/c.yaml"))
        assert read_tests(tmp_path) == (Source("a.test.yaml", b"a.test.yaml"),)

    def test_links_may_stay_inside_but_not_lead_out(self, tmp_path: Path) -> None:
        folder = tmp_path / "tree"
        (folder / ".data").mkdir(parents=True)
        (folder / ".data" / "a.yaml").write_text("x")
        (folder / "a.yaml").symlink_to(folder / ".data" / "a.yaml")
        assert read_tree(folder) == (Source("a.yaml", b"x"),)
        (tmp_path / "secret.yaml").write_text("secret")
        (folder / "b.yaml").symlink_to(tmp_path / "secret.yaml")
        with pytest.raises(Refusal, match="leads out of"):
            read_tree(folder)

    def test_a_missing_folder_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(Refusal, match="There is no policy folder"):
            read_tree(tmp_path / "nowhere")
