"""What an import may and may not do, one behaviour of the language a test."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.model.decision import Action, ReasonCode
from gateway.policy.decide import decide
from gateway.policy.facts import Facts
from tests.policy.making import GIB, NOW, call, exemption, facts, image, policy, rule, who, within

UPLOAD, DOWNLOAD = "glance-direct", "web-download"
ANYTHING = rule("allow", "anything")


def download(host: str = "a.example", **more: object) -> dict[str, object]:
    return image(**{"host": host, "scheme": "https", "port": 443, "path": "/i", **more})  # type: ignore[arg-type]


def code(tree: object, method: str, known: Facts, **how: object) -> str:
    """`allow`, `open`, or the code of the first reason."""
    decision = decide(tree, method, known, **how)  # type: ignore[arg-type]
    return decision.reasons[0].code.value if decision.reasons else decision.action.value


def test_nothing_is_granted_by_default() -> None:
    tree = policy(rule("limit", "size", within=within(max_size=GIB)))
    assert code(tree, UPLOAD, facts(image()), final=True) == "not-granted"


def test_one_grant_is_enough() -> None:
    assert code(policy(ANYTHING), UPLOAD, facts(image()), final=True) == "allow"


def test_an_unknown_method_is_refused_by_name() -> None:
    decision = decide(policy(ANYTHING, methods=(UPLOAD,)), DOWNLOAD, facts())
    assert decision.reasons[0].code is ReasonCode.METHOD_UNAVAILABLE
    assert DOWNLOAD in decision.reasons[0].message
    assert UPLOAD in decision.reasons[0].remedy


def test_every_limit_holds_and_the_refusal_says_what_would_help() -> None:
    tree = policy(
        ANYTHING,
        rule("limit", "wide", within=within(max_size=9 * GIB)),
        rule("limit", "tight", within=within(max_size=2 * GIB)),
    )
    decision = decide(tree, UPLOAD, facts(image(3 * GIB)), final=True)
    (reason,) = decision.reasons
    assert (reason.code, reason.rule) == (ReasonCode.OVER_LIMIT, "p/tight")
    assert "3GiB" in reason.message
    assert "at most 2GiB" in reason.remedy


def test_any_deny_wins() -> None:
    tree = policy(ANYTHING, rule("deny", "public", when='request.visibility == "public"', message="Not public."))
    decision = decide(tree, UPLOAD, facts(image(visibility="public")), final=True)
    assert [(reason.code, reason.message) for reason in decision.reasons] == [(ReasonCode.DENIED, "Not public.")]
    assert code(tree, UPLOAD, facts(image()), final=True) == "allow"


def test_grants_are_never_merged() -> None:
    tree = policy(
        rule("allow", "vendors", [DOWNLOAD], within=within(hosts=["*.vendor.example"], max_size=100 * GIB)),
        rule("allow", "anywhere", [DOWNLOAD], within=within(max_size=10 * GIB)),
    )
    large = download("evil.example", size=50 * GIB) | {"content.size": 50 * GIB, "content.virtual_size": 50 * GIB}
    assert code(tree, DOWNLOAD, facts(large), final=True) == "not-granted"
    assert code(tree, DOWNLOAD, facts(large | {"request.host": "a.vendor.example"}), final=True) == "allow"
    assert decide(tree, DOWNLOAD, facts()).plan.max_size == 100 * GIB
    assert decide(tree, DOWNLOAD, facts({"request.host": "evil.example"})).plan.max_size == 10 * GIB


def test_the_limits_of_a_grant_do_not_limit_other_grants() -> None:
    tree = policy(rule("allow", "small", within=within(max_size=GIB)), rule("allow", "large"))
    assert code(tree, UPLOAD, facts(image(5 * GIB)), final=True) == "allow"


def test_a_refusal_for_want_of_a_grant_names_what_is_granted() -> None:
    tree = policy(rule("allow", "vendors", [DOWNLOAD], within=within(hosts=["*.v.example"], schemes=["https"])))
    (reason,) = decide(tree, DOWNLOAD, facts(download("xv.example")), final=True).reasons
    assert reason.code is ReasonCode.NOT_GRANTED
    assert "xv.example" in reason.message
    assert "from *.v.example over https" in reason.remedy


@pytest.mark.parametrize("verb", ["limit", "require", "deny"])
def test_an_error_counts_against_the_requester(verb: str) -> None:
    odd = {"when": 'request.properties["no-such"] == "x"'}
    payload = {"limit": {"within": within(max_size=1)}, "require": {"stages": (call("nowhere"),)}, "deny": {}}[verb]
    tree = policy(ANYTHING, rule(verb, "odd", **odd, **payload))
    decision = decide(tree, UPLOAD, facts(image()), final=True, stages=())
    assert decision.action is Action.DENY
    assert decision.reasons[0].rule == "p/odd"
    assert decision.outcomes["p/odd"] == "error"


def test_an_allow_that_cannot_be_evaluated_grants_nothing() -> None:
    tree = policy(rule("allow", "odd", when='request.properties["no-such"] == "x"'))
    assert code(tree, UPLOAD, facts(image()), final=True) == "not-granted"


def test_a_false_condition_beats_an_error() -> None:
    error, false = 'request.properties["no"] == "x"', 'user.id == "nobody"'
    for when in ([error, false], [false, error]):
        tree = policy(ANYTHING, rule("deny", "odd", when=when))
        assert code(tree, UPLOAD, facts(image()), final=True) == "allow"


def test_an_error_waits_for_what_is_not_known() -> None:
    """The unknown condition may turn false and void the rule: withholding it now would refuse what is allowed then."""
    error, unknown = 'project.tags[0] == "gold"', "content.size > 5"
    for when in ([error, unknown], [unknown, error]):
        tree = policy(ANYTHING, rule("deny", "odd", when=when, message="No."))
        assert decide(tree, UPLOAD, facts()).refused_when == ("No.",)
        assert code(tree, UPLOAD, facts(image(size=5)), final=True) == "allow"
        assert code(tree, UPLOAD, facts(image(size=6)), final=True) == "denied"


def test_an_allow_with_an_error_is_lost_at_once() -> None:
    error, unknown = 'project.tags[0] == "gold"', "content.size > 5"
    for when in ([error, unknown], [unknown, error]):
        assert code(policy(rule("allow", "odd", when=when)), UPLOAD, facts()) == "not-granted"


def test_the_order_of_rules_is_not_the_order_of_reasons() -> None:
    denies = [rule("deny", name, message=name) for name in ("b", "a", "c")]
    limits = [rule("limit", name, within=within(max_size=1)) for name in ("z", "y")]
    one = decide(policy(ANYTHING, *denies, *limits), UPLOAD, facts(image()), final=True)
    other = decide(policy(*limits[::-1], *denies[::-1], ANYTHING), UPLOAD, facts(image()), final=True)
    assert [reason.rule for reason in one.reasons] == ["p/a", "p/b", "p/c", "p/y", "p/z"]
    assert one == other


def test_what_is_not_known_is_open_and_counts_at_the_end() -> None:
    tree = policy(ANYTHING, rule("deny", "large", when="content.size > 5", message="Too large."))
    before = decide(tree, UPLOAD, facts())
    assert (before.action, before.refused_when) == (Action.OPEN, ("Too large.",))
    assert code(tree, UPLOAD, facts(), final=True) == "denied"


def test_an_open_allow_grants_nothing_at_the_end() -> None:
    tree = policy(rule("allow", "odd", when="content.size > 5"))
    assert code(tree, UPLOAD, facts()) == "open"
    assert code(tree, UPLOAD, facts(), final=True) == "not-granted"


def test_an_open_require_is_required_at_the_end() -> None:
    tree = policy(ANYTHING, rule("require", "r", stages=(call("inspect"),), when="content.size > 5", message="Large."))
    before = decide(tree, UPLOAD, facts())
    assert before.plan.stages == ()
    assert before.sometimes == ((call("inspect"), "Large."),)
    assert decide(tree, UPLOAD, facts(), final=True).plan.stages == (call("inspect"),)


def test_limits_the_method_has_no_fact_for_are_ignored_for_it() -> None:
    tree = policy(ANYTHING, rule("limit", "hosts", within=within(hosts=["a.example"], schemes=["https"], ports=[443])))
    assert code(tree, UPLOAD, facts(image()), final=True) == "allow"
    assert code(tree, DOWNLOAD, facts(download()), final=True) == "allow"
    assert code(tree, DOWNLOAD, facts(download("b.example")), final=True) == "over-limit"
    assert decide(tree, UPLOAD, facts()).within == (within(),)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("x.a.example", True),
        ("y.x.a.example", True),
        ("xa.example", False),
        ("xxxa.example", False),
        ("a.example", False),
        (".a.example", False),
    ],
)
def test_wildcards_stand_for_whole_labels(host: str, allowed: bool) -> None:
    tree = policy(rule("allow", "v", within=within(hosts=["*.a.example"])))
    assert (code(tree, DOWNLOAD, facts(download(host)), final=True) == "allow") is allowed


def test_an_announced_size_is_believed_only_when_it_is_bad_news() -> None:
    tree = policy(ANYTHING, rule("limit", "size", within=within(max_size=GIB)))
    assert code(tree, UPLOAD, facts({"request.size": 2 * GIB})) == "over-limit"
    assert code(tree, UPLOAD, facts({"request.size": 1})) == "open"
    assert code(tree, UPLOAD, facts({"request.size": 1}), final=True) == "over-limit"
    assert code(tree, UPLOAD, facts({"request.size": 1, "content.size": 2 * GIB}), final=True) == "over-limit"
    assert code(tree, UPLOAD, facts({"content.size": GIB}), final=True) == "allow"


def test_the_bytes_cannot_be_another_format_than_is_allowed() -> None:
    tree = policy(ANYTHING, rule("limit", "formats", within=within(disk_formats=["raw"])))
    disguised = image(disk_format="raw") | {"content.disk_format": "vmdk"}
    assert code(tree, UPLOAD, facts(disguised), final=True) == "over-limit"
    assert code(tree, UPLOAD, facts(image(disk_format="raw")), final=True) == "allow"


def test_selectors_and_their_keys() -> None:
    tree = policy(rule("allow", "r", selector=who(tags=["gold", "silver"], roles=["member"])))
    assert code(tree, UPLOAD, facts(image(), tags=["silver"]), final=True) == "allow"
    assert code(tree, UPLOAD, facts(image(), tags=["silver"], roles=["reader"]), final=True) == "not-granted"
    assert code(tree, UPLOAD, facts(image(), tags=["bronze"]), final=True) == "not-granted"


@pytest.mark.parametrize(("hours", "expected"), [(-1, "not-granted"), (0, "allow"), (1, "allow"), (2, "not-granted")])
def test_rules_begin_and_end_by_the_clock_of_the_facts(hours: int, expected: str) -> None:
    tree = policy(rule("allow", "r", active_from=NOW, active_until=NOW + timedelta(hours=2)))
    assert code(tree, UPLOAD, facts(image(), now=NOW + timedelta(hours=hours)), final=True) == expected


def test_an_exemption_loosens_only_what_it_names_and_ends() -> None:
    ceiling = rule("limit", "ceiling", within=within(max_size=2 * GIB, disk_formats=["qcow2"]))
    more = exemption(
        "e", "ceiling", NOW + timedelta(days=1), selector=who(projects=["p1"]), within=within(max_size=4 * GIB)
    )
    tree = policy(ANYTHING, ceiling, exemptions=[more])
    assert code(tree, UPLOAD, facts(image(3 * GIB)), final=True) == "allow"
    assert code(tree, UPLOAD, facts(image(5 * GIB)), final=True) == "over-limit"
    assert code(tree, UPLOAD, facts(image(3 * GIB, disk_format="raw")), final=True) == "over-limit"
    assert code(tree, UPLOAD, facts(image(3 * GIB), project="p2"), final=True) == "over-limit"
    assert code(tree, UPLOAD, facts(image(3 * GIB), now=NOW + timedelta(days=1)), final=True) == "over-limit"


def test_an_exemption_never_tightens() -> None:
    ceiling = rule("limit", "ceiling", within=within(max_size=4 * GIB, disk_formats=["qcow2"]))
    less = exemption(
        "e", "ceiling", NOW + timedelta(days=1), selector=who(), within=within(max_size=GIB, disk_formats=["raw"])
    )
    tree = policy(ANYTHING, ceiling, exemptions=[less])
    assert code(tree, UPLOAD, facts(image(3 * GIB)), final=True) == "allow"


def test_an_exemption_from_a_stage_leaves_the_others() -> None:
    scans = rule("require", "r", stages=(call("inspect"), call("malware-scan")))
    less = exemption("e", "r", NOW + timedelta(days=1), selector=who(), without=("malware-scan",))
    tree = policy(ANYTHING, scans, exemptions=[less])
    assert decide(tree, UPLOAD, facts()).plan.stages == (call("inspect"),)


def test_checks_run_once_for_each_set_of_options_in_the_engines_order() -> None:
    tree = policy(
        ANYTHING,
        rule("require", "a", stages=(call("malware-scan"), call("checksum", algorithm="md5"), call("decompress"))),
        rule("require", "b", stages=(call("checksum", algorithm="sha512"), call("malware-scan"), call("inspect"))),
    )
    assert [one.name for one in decide(tree, UPLOAD, facts()).plan.stages] == [
        "decompress",
        "inspect",
        "checksum",
        "checksum",
        "malware-scan",
    ]


def test_a_transform_runs_once_with_all_its_options_unless_they_contradict() -> None:
    one = rule("require", "one", stages=(call("inject", a="1"),))
    two = rule("require", "two", stages=(call("inject", b="2"),))
    against = rule("require", "against", stages=(call("inject", a="3"),))
    assert decide(policy(ANYTHING, one, two), UPLOAD, facts()).plan.stages == (call("inject", a="1", b="2"),)
    assert code(policy(ANYTHING, one, against), UPLOAD, facts()) == "policy-conflict"


def test_a_stage_that_is_not_set_up_refuses_by_name() -> None:
    tree = policy(ANYTHING, rule("require", "r", stages=(call("inspect"), call("malware-scan"))))
    assert decide(tree, UPLOAD, facts(), stages=("inspect", "malware-scan")).reasons == ()
    (reason,) = decide(tree, UPLOAD, facts(), stages=("inspect",)).reasons
    assert (reason.code, reason.rule) == (ReasonCode.STAGE_UNAVAILABLE, "p/r")
    assert "malware-scan" in reason.message
    assert "operators" in reason.remedy


def test_warned_rules_tell_and_do_not_count() -> None:
    tree = policy(
        ANYTHING,
        rule("deny", "d", mode="warn", message="Soon refused."),
        rule("limit", "l", mode="warn", within=within(max_size=1)),
        rule("limit", "kept", mode="warn", within=within(max_size=9 * GIB), message="Never told."),
        rule("require", "r", mode="warn", stages=(call("malware-scan"),)),
        rule("allow", "a", mode="warn"),
    )
    decision = decide(tree, UPLOAD, facts(image()), final=True)
    assert decision.action is Action.ALLOW
    assert decision.plan.stages == ()
    assert "Soon refused." in decision.warnings
    assert any("at most 1B" in warning for warning in decision.warnings)
    assert any("malware-scan" in warning for warning in decision.warnings)
    assert "Never told." not in decision.warnings


def test_audited_rules_only_leave_their_outcome() -> None:
    tree = policy(ANYTHING, rule("deny", "d", mode="audit", message="Quiet."))
    decision = decide(tree, UPLOAD, facts(image()), final=True)
    assert (decision.action, decision.warnings) == (Action.ALLOW, ())
    assert decision.outcomes["p/d"] == "yes"


@pytest.mark.parametrize("mode", ["warn", "audit"])
def test_an_allow_that_does_not_count_grants_nothing(mode: str) -> None:
    assert code(policy(rule("allow", "a", mode=mode)), UPLOAD, facts(image()), final=True) == "not-granted"


def test_the_byte_cap_is_the_most_a_grant_allows_inside_every_limit() -> None:
    tree = policy(
        rule("allow", "small", within=within(max_size=2 * GIB)),
        rule("allow", "large", within=within(max_size=8 * GIB)),
        rule("limit", "ceiling", within=within(max_size=5 * GIB)),
    )
    assert decide(tree, UPLOAD, facts()).plan.max_size == 5 * GIB
    assert decide(policy(ANYTHING), UPLOAD, facts()).plan.max_size is None


def test_messages_show_facts_but_no_expressions_rules_or_property_values() -> None:
    tree = policy(
        ANYTHING,
        rule(
            "deny",
            "secret-rule",
            when="request.properties.exists(p, p == 'k') && request.size > 1",
            message="No {request.properties} of {request.size} from {request.host}.",
        ),
    )
    known = image(2 * GIB, properties={"k": "hush"})
    (reason,) = decide(tree, UPLOAD, facts(known), final=True).reasons
    assert reason.message == "No k of 2GiB from <host>."


def test_nothing_is_decided_about_nobody() -> None:
    with pytest.raises(KeyError):
        decide(policy(ANYTHING), UPLOAD, Facts({"request.size": 1}, NOW))
