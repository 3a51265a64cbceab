"""What the client refuses by itself: only what the service has already said that it would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.cli.offer import Offers, check_offer
from gateway.model.errors import PolicyRefused
from gateway.policy.facts import FactValue

GIB = 1 << 30
DISCOVERY = {
    "import-methods": {"type": "array", "value": ["glance-direct", "web-download"]},
    "import-policy": {
        "value": {
            "methods": {
                "glance-direct": {"within": [{"max_size": 2 * GIB}, {"max_size": 5 * GIB, "disk_formats": ["raw"]}]},
                "web-download": {"within": [{"hosts": ["*.vendor.example"], "schemes": ["https"], "new_limit": [1]}]},
            },
            "withheld": {"copy-image": {"reason": "not-granted", "message": "Nothing allows it."}},
        }
    },
}


def refused(
    method: str, facts: Mapping[str, FactValue], discovery: Mapping[str, Any] = DISCOVERY
) -> PolicyRefused | None:
    try:
        check_offer(Offers.of(discovery), method, {f"request.{name}": value for name, value in facts.items()})
    except PolicyRefused as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        ("glance-direct", {"size": 2 * GIB}),
        ("glance-direct", {"size": 5 * GIB, "disk_format": "raw"}),
        ("glance-direct", {}),
        ("web-download", {"host": "a.vendor.example", "scheme": "https", "port": 8443}),
    ],
)
def test_what_one_alternative_covers_is_left_to_the_service(method: str, facts: dict[str, FactValue]) -> None:
    assert refused(method, facts) is None


@pytest.mark.parametrize(
    ("method", "facts", "said"),
    [
        ("glance-direct", {"size": 3 * GIB, "disk_format": "qcow2"}, "The image is 3GiB."),
        ("glance-direct", {"size": 6 * GIB, "disk_format": "raw"}, "The image is 6GiB."),
        ("web-download", {"host": "avendor.example", "scheme": "https"}, "Its source is avendor.example."),
        ("web-download", {"host": "a.vendor.example", "scheme": "http"}, "Its source is fetched over http."),
    ],
)
def test_what_no_alternative_covers_is_refused_with_the_way_out(
    method: str, facts: dict[str, FactValue], said: str
) -> None:
    refusal = refused(method, facts)
    assert refusal is not None
    assert said in refusal.message
    assert ("at most 5GiB" if method == "glance-direct" else "*.vendor.example") in refusal.remedy
    assert refusal.code == "over-limit"


def test_a_withheld_method_is_refused_in_the_services_words() -> None:
    refusal = refused("copy-image", {})
    assert refusal is not None
    assert (refusal.message, refusal.code) == ("Nothing allows it.", "not-granted")
    assert "glance-direct, web-download" in refusal.remedy


def test_a_service_without_policies_decides_by_its_list_of_methods() -> None:
    plain = {"import-methods": {"value": ["glance-direct"]}}
    assert refused("glance-direct", {"size": 1 << 60}, plain) is None
    assert refused("web-download", {}, plain) is not None
    assert refused("glance-direct", {}, {}) is not None
