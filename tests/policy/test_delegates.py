"""Delegated folders: what their files may say, and that nothing in them reaches beyond."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.decision import Action, Within
from gateway.policy.compiler import compile_tree
from gateway.policy.decide import decide
from gateway.policy.explain import explain, text
from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from tests.policy.making import GIB, facts, image
from tests.policy.test_compiler import CEL, MARK, METHODS, SCHEMA

PLATFORM = """version: 1
policy: platform
sets: {medics: ["compliance:medical"]}
rules:
  - {id: ceiling, limit: all, within: {max_size: 200GiB}}
delegates:
  - directory: teams/medical
    verbs: [allow, limit]
    scope: {tags: sets.medics}
    methods: [web-download]
    within: {max_size: 50GiB}
"""
MEDICAL = "version: 1\npolicy: medical\nrules:\n"
MIRROR = MEDICAL + "  - {id: mirror, allow: [web-download]}\n"
LAB = "version: 1\npolicy: lab\nrules:\n"


def tree(**files: str) -> Policy:
    """Files by name: `teams__medical__a` is teams/medical/a.yaml."""
    sources = [Source(f"{name.replace('__', '/')}.yaml", written.encode()) for name, written in files.items()]
    return compile_tree(sources, schema=SCHEMA, engine=CEL, methods=METHODS)


def told(**files: str) -> list[tuple[str, str]]:
    with pytest.raises(Problems) as raised:
        tree(**files)
    return [(problem.code, str(problem.place)) for problem in raised.value.problems]


def action(policy: Policy, method: str = "web-download", *, size: int = GIB, **caller: object) -> Action:
    known = image(size, host="a.example", scheme="https", port=443, path="/")
    return decide(policy, method, facts(known, **caller), final=True).action


def test_a_delegated_allow_grants_only_inside_the_scope_and_the_limits() -> None:
    policy = tree(platform=PLATFORM, teams__medical__a=MIRROR)
    assert action(policy, tags=["compliance:medical"]) is Action.ALLOW
    assert action(policy) is Action.DENY
    assert action(policy, tags=["compliance:medical"], size=51 * GIB) is Action.DENY
    assert policy.rules[0].within == Within(max_size=50 * GIB, credentials=())


def test_all_stands_for_what_is_delegated() -> None:
    policy = tree(platform=PLATFORM, teams__medical__a=MEDICAL + "  - {id: m, allow: all}\n")
    assert policy.rules[0].methods == {"web-download"}


def test_a_folder_may_tighten_for_its_own_alone() -> None:
    rules = MEDICAL + "  - {id: m, limit: all, within: {max_size: 1GiB}}\n"
    others = "version: 1\npolicy: rest\nrules:\n  - {id: any, allow: all}\n"
    policy = tree(platform=PLATFORM, rest=others, teams__medical__a=rules)
    assert action(policy, tags=["compliance:medical"], size=2 * GIB) is Action.DENY
    assert action(policy, size=2 * GIB) is Action.ALLOW


def test_explain_shows_the_bounds() -> None:
    shown = text(explain(tree(platform=PLATFORM, teams__medical__a=MIRROR), "web-download", facts()))
    assert "- delegated to: tags compliance:medical" in shown


SUB = (
    "delegates:\n  - {{directory: teams/medical/lab, verbs: [{verbs}], scope: {{tags: [lab]}}, methods: [{methods}]}}\n"
)
# The mark stands before the character the problem points at, in the delegated file.
CASES = [
    ("delegate-verb", MEDICAL + "  - {id: m, »deny: [web-download]}\n"),
    ("delegate-verb", MEDICAL + "  - {id: m, »require: all, stages: [inspect]}\n"),
    ("delegate-method", MEDICAL + "  - {id: m, allow: [web-download, »glance-direct]}\n"),
    ("delegate-policy", "version: 1\npolicy: »platform\nrules: [{id: m, allow: all}]\n"),
    ("duplicate-id", MIRROR + "sets: {medics: »[a]}\n"),
    (
        "delegate-exemption",
        MIRROR + "exemptions:\n  - {id: e, rule: »platform/ceiling, for: {projects: [a]}, within: {max_size: 1TiB},\n"
        "     reason: r, approved_by: a, until: 2027-01-01T00:00:00Z}\n",
    ),
    ("delegate-outside", MIRROR + "delegates:\n  - {directory: »teams, verbs: [allow, limit], scope: {tags: [a]}}\n"),
    ("delegate-empty", MIRROR + "delegates:\n  - {directory: »teams/medical/x, verbs: [allow], scope: {tags: [a]}}\n"),
    ("duplicate-id", MIRROR + "delegates:\n  - {directory: »teams/medical, verbs: [allow], scope: {tags: [a]}}\n"),
    ("bad-directory", MIRROR + "delegates:\n  - {directory: »../platform, verbs: [allow], scope: {tags: [a]}}\n"),
    ("missing-key", MIRROR + "delegates:\n  - »{directory: teams/medical/x, verbs: [allow]}\n"),
    ("unknown-value", MIRROR + "delegates:\n  - {directory: teams/medical/x, verbs: [»alow], scope: {tags: [a]}}\n"),
]


@pytest.mark.parametrize(("code", "marked"), CASES, ids=[f"{number}-{code}" for number, (code, _) in enumerate(CASES)])
def test_what_a_delegated_file_may_not_say(code: str, marked: str) -> None:
    at = marked.index(MARK)
    place = f"teams/medical/a.yaml:{marked.count(chr(10), 0, at) + 1}:{at - marked.rfind(chr(10), 0, at)}"
    assert told(platform=PLATFORM, teams__medical__a=marked.replace(MARK, "")) == [(code, place)]


def test_a_problem_names_the_delegate() -> None:
    with pytest.raises(Problems) as raised:
        tree(platform=PLATFORM, teams__medical__a=MEDICAL + "  - {id: m, deny: [web-download]}\n")
    assert str(raised.value) == (
        "teams/medical/a.yaml:4:13: error[delegate-verb]: the verb 'deny' is not delegated to 'teams/medical'"
        " (platform.yaml:7:5)\n"
        "   4 |   - {id: m, deny: [web-download]}\n"
        "     |             ^^^^ it was given allow, limit"
    )


def test_a_misspelt_folder_is_no_quiet_freedom() -> None:
    found = told(platform=PLATFORM.replace("teams/medical", "team/medical"), teams__medical__a=MIRROR)
    assert found == [("delegate-empty", "platform.yaml:7:16")]


def test_a_name_that_begins_alike_is_another_folder() -> None:
    free = "version: 1\npolicy: free\nrules:\n  - {id: m, deny: [glance-direct]}\n"
    assert tree(platform=PLATFORM, teams__medical__a=MIRROR, teams__medical2__a=free).rules[0].bounds == ()


def test_folders_inside_a_folder_are_held_to_both() -> None:
    narrower = MIRROR + SUB.format(verbs="allow", methods="web-download")
    lab = LAB + "  - {id: l, allow: all, within: {max_size: 70GiB}}\n"
    policy = tree(
        platform=PLATFORM, teams__medical__a=narrower.replace("id: mirror", "id: x"), teams__medical__lab__a=lab
    )
    rule = next(rule for rule in policy.rules if rule.policy == "lab")
    assert [sorted(bound.tags or ()) for bound in rule.bounds] == [["compliance:medical"], ["lab"]]
    assert rule.within.max_size == 50 * GIB


def test_a_folder_cannot_give_what_it_was_not_given() -> None:
    wider = MIRROR + SUB.format(verbs="allow, deny", methods="web-download, glance-direct")
    lab = LAB + "  - {id: l, allow: all}\n"
    found = told(platform=PLATFORM, teams__medical__a=wider, teams__medical__lab__a=lab)
    assert found == [("delegate-verb", "teams/medical/a.yaml:6:51"), ("delegate-method", "teams/medical/a.yaml:6:104")]


def test_sets_of_a_folder_are_its_own_and_those_of_the_folders_around_it() -> None:
    mirror = MEDICAL + "  - {id: m, allow: all, within: {hosts: sets.mirrors}}\n" + "sets: {mirrors: [a.example]}\n"
    both = "version: 1\npolicy: other\nrules: [{id: o, allow: all, within: {hosts: sets.mirrors}}]\n"
    twin = both + "sets: {mirrors: [b.example]}\n"
    second = "  - {directory: teams/other, verbs: [allow], scope: {tags: [other]}}\n"
    policy = tree(platform=PLATFORM + second, teams__medical__a=mirror, teams__other__a=twin)
    assert [rule.within.hosts for rule in policy.rules if rule.id in "mo"] == [("a.example",), ("b.example",)]
    # Nobody else knows them: their authors must not be able to change what a rule of others means.
    assert told(platform=PLATFORM, teams__medical__a=mirror, other=both) == [("unknown-set", "other.yaml:3:45")]
    used = MEDICAL + "  - {id: m, allow: all, when: project.id in sets.medics}\n"
    assert tree(platform=PLATFORM, teams__medical__a=used).rules


_VERBS = st.sampled_from(["allow", "limit"])
_FOR = st.sampled_from(["", ", for: {projects: [p1]}", ", for: {tags: [x]}", ", for: {roles: [member]}"])
_RULES = st.lists(st.tuples(_VERBS, _FOR, st.integers(1, 90)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(_RULES, st.sets(st.sampled_from(["x", "compliance:medical"])), st.integers(1, 250), st.sampled_from(METHODS))
def test_whatever_a_folder_says_changes_nothing_outside_its_bounds(
    rules: list[tuple[str, str, int]], tags: set[str], size: int, method: str
) -> None:
    written = "".join(
        f"  - {{id: r{number}, {verb}: all{whom}, within: {{max_size: {most}GiB}}}}\n"
        for number, (verb, whom, most) in enumerate(rules)
    )
    rest = "version: 1\npolicy: rest\nrules:\n  - {id: any, allow: all, for: {tags: [x]}}\n"
    without = tree(platform=PLATFORM.partition("delegates:")[0], rest=rest)
    policy = tree(platform=PLATFORM, rest=rest, teams__medical__a=MEDICAL + written)
    before = action(without, method, size=size * GIB, tags=sorted(tags))
    after = action(policy, method, size=size * GIB, tags=sorted(tags))
    if "compliance:medical" not in tags or method == "glance-direct":
        assert after is before
    if after is Action.ALLOW and before is Action.DENY:
        assert size <= 50
