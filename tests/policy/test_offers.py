"""Discovery: what a caller is told, and that the document keeps its shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jsonschema import Draft202012Validator

from gateway.policy.offers import discovery, offers
from gateway.shipped_files import shipped
from tests.policy.making import GIB, call, facts, policy, rule, who, within
from tests.policy.test_decide_properties import METHODS, trees
from tests.policy.trees import compiled

UPLOAD, DOWNLOAD = "glance-direct", "web-download"
BUILD = (UPLOAD, DOWNLOAD)
SCHEMA = Draft202012Validator(json.loads((shipped("schemas") / "discovery.schema.json").read_text()))


def terms(document: dict[str, Any], method: str) -> dict[str, Any]:
    SCHEMA.validate(document)
    found: dict[str, Any] = document["import-policy"]["value"]["methods"][method]
    return found


def test_the_public_cloud_shows_silver_its_terms_and_no_expressions() -> None:
    tree = compiled("public-cloud")
    document = discovery(tree, facts(tags=["tier:silver"], now=datetime(2026, 11, 22, tzinfo=UTC)))
    assert document["import-methods"]["value"] == [UPLOAD, DOWNLOAD]
    assert document["max_upload_bytes"]["value"] == 50 * GIB
    assert document["max_virtual_bytes"]["value"] == 1024 * GIB
    assert document["source_disk_format"]["value"] == ["qcow2", "raw"]
    assert terms(document, DOWNLOAD) == {
        "within": [
            {
                "max_size": 50 * GIB,
                "max_virtual_size": 1024 * GIB,
                "disk_formats": ["qcow2", "raw"],
                "hosts": ["*.fedoraproject.org", "cloud-images.ubuntu.com", "cloud.debian.org"],
                "schemes": ["https"],
            }
        ],
        "stages": ["decompress", "inspect", "checksum"],
        "sometimes": [],
        "refused_when": ["Only image publishers may import public images."],
        "warnings": [],
    }
    told = json.dumps(document)
    assert not [word for word in ("platform/", "tiers/", "user.roles", "startsWith", "tier:") if word in told]


def test_what_is_withheld_has_its_reason() -> None:
    document = discovery(compiled("public-cloud"), facts())
    SCHEMA.validate(document)
    withheld = document["import-policy"]["value"]["withheld"]
    assert document["import-methods"]["value"] == [UPLOAD]
    assert withheld[DOWNLOAD]["reason"] == "not-granted"
    assert DOWNLOAD in withheld[DOWNLOAD]["message"]


def test_nothing_limited_means_no_key() -> None:
    document = discovery(policy(rule("allow", "a"), methods=BUILD), facts())
    assert terms(document, UPLOAD)["within"] == [{}]
    assert sorted(document) == ["import-methods", "import-policy"]


def test_nothing_offered_is_an_empty_list() -> None:
    document = discovery(policy(rule("limit", "l", within=within(max_size=1)), methods=BUILD), facts())
    SCHEMA.validate(document)
    assert document["import-methods"]["value"] == []
    assert "max_upload_bytes" not in document


def test_alternatives_that_another_covers_are_dropped() -> None:
    tree = policy(
        rule("allow", "small", within=within(max_size=GIB, hosts=["x.a.example"])),
        rule("allow", "wide", within=within(max_size=2 * GIB, hosts=["*.a.example"])),
        rule("allow", "other", within=within(max_size=3 * GIB, hosts=["b.example"])),
        methods=BUILD,
    )
    found = terms(discovery(tree, facts()), DOWNLOAD)["within"]
    assert sorted(one["hosts"][0] for one in found) == ["*.a.example", "b.example"]


def test_a_grant_and_a_limit_with_nothing_in_common_offer_nothing() -> None:
    tree = policy(
        rule("allow", "a", within=within(disk_formats=["vmdk"])),
        rule("limit", "l", within=within(disk_formats=["raw"])),
        methods=(UPLOAD,),
    )
    document = discovery(tree, facts())
    assert document["import-policy"]["value"]["withheld"][UPLOAD]["reason"] == "over-limit"


def test_a_stage_that_is_not_set_up_withholds_the_method_it_is_required_for() -> None:
    tree = policy(rule("allow", "a"), rule("require", "r", [DOWNLOAD], stages=(call("approve"),)), methods=BUILD)
    offered = offers(tree, facts(), stages=("inspect",))
    assert offered.methods == (UPLOAD,)
    assert offered.decisions[DOWNLOAD].reasons[0].code == "stage-unavailable"


def test_a_grant_that_depends_on_the_request_is_offered_with_its_reserve() -> None:
    tree = policy(rule("allow", "a", when='request.visibility == "shared"', message="Shared only."), methods=BUILD)
    assert terms(discovery(tree, facts()), UPLOAD)["refused_when"] == ["Shared only."]


def test_a_limit_that_depends_on_the_request_is_told_without_shrinking_the_offer() -> None:
    held = rule("limit", "l", when='request.visibility == "public"', within=within(max_size=GIB))
    found = terms(discovery(policy(rule("allow", "a"), held, methods=BUILD), facts()), UPLOAD)
    assert found["within"] == [{}]
    assert found["refused_when"] == ["Some imports are held to: at most 1GiB."]


def test_a_require_that_depends_on_the_request_is_told_as_sometimes() -> None:
    scan = rule("require", "r", when="request.size > 5", stages=(call("malware-scan"),), message="Large ones.")
    found = terms(discovery(policy(rule("allow", "a"), scan, methods=BUILD), facts()), UPLOAD)
    assert (found["stages"], found["sometimes"]) == ([], [{"stage": "malware-scan", "message": "Large ones."}])


def test_rules_for_others_do_not_show() -> None:
    tree = policy(
        rule("allow", "a", within=within(max_size=GIB)),
        rule("allow", "theirs", selector=who(projects=["p2"]), within=within(hosts=["inside.corp.example"])),
        rule("deny", "also", selector=who(projects=["p2"]), message="Their message."),
        methods=BUILD,
    )
    told = json.dumps(discovery(tree, facts(project="p1")))
    assert "corp" not in told
    assert "Their" not in told


def test_every_drawn_tree_makes_a_document_of_the_right_shape() -> None:
    from hypothesis import given, settings

    @given(trees())
    @settings(deadline=None, max_examples=100)
    def shaped(tree: Any) -> None:
        made, exempt = tree
        SCHEMA.validate(discovery(policy(*made, exemptions=exempt, methods=METHODS), facts(tags=["gold"])))

    shaped()
