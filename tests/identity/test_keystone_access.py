"""Path patterns of access rules, as Keystone documents them: `*` and `{name}` in a segment, `**` across segments."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity.keystone_access import LONGEST_PATH, matches, opens
from gateway.identity.keystone_token import AccessRule

PATTERNS = [
    ("/v2/images", "/v2/images", True),
    ("/v2/images", "/v2/images/1", False),
    ("/v2/images", "/v2/image", False),
    ("/v2/images/*", "/v2/images/1", True),
    ("/v2/images/*", "/v2/images/", False),
    ("/v2/images/*", "/v2/images/1/file", False),
    ("/v2/images/{image_id}", "/v2/images/1", True),
    ("/v2/images/{image_id}/file", "/v2/images/1/file", True),
    ("/v2/images/{image_id}/file", "/v2/images/1/2/file", False),
    ("/v2/**", "/v2/images/1/file", True),
    ("/v2/**", "/v2/", True),
    ("/v2/**", "/v2", False),
    ("**", "", True),
    ("/**/file", "/v2/images/1/file", True),
    ("/**/file", "/v2/images/1/files", False),
    ("/v2/images/a*z", "/v2/images/abcz", True),
    ("/v2/images/a*z", "/v2/images/ab/cz", False),
    ("/v2.imag+s", "/v2ximaggs", False),
    ("/v2/ima{ges", "/v2/ima{ges", True),
    ("/v2/im}", "/v2/imagine", False),
    ("/v2/images/{}", "/v2/images/1", True),
    ("/v2/images*", "/v2/images\n", True),
    ("", "/", False),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), PATTERNS)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


def as_regex(pattern: str) -> str:
    pieces = {"**": ".*", "*": "[^/]+", "{i}": "[^/]+"}
    return "".join(pieces.get(piece, re.escape(piece)) for piece in re.findall(r"\*\*|\*|\{i\}|.", pattern))


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "{i}"]), max_size=6).map("".join),
    st.text("ab/", max_size=8),
)
@settings(deadline=None, max_examples=400)
def test_patterns_mean_what_a_regular_expression_would(pattern: str, path: str) -> None:
    assert matches(pattern, path) == bool(re.fullmatch(as_regex(pattern), path))


def test_a_hostile_pattern_takes_no_time() -> None:
    """A backtracking matcher would not come back from these."""
    rules = [AccessRule(service="image", method="GET", path=p) for p in ("**a" * 60, "*a" * 60, "{i}/**" * 30)]
    begun = time.process_time()
    assert not opens(rules, "GET", "/" + "a" * (LONGEST_PATH - 2) + "b")
    assert time.process_time() - begun < 10


def test_a_rule_counts_for_its_service_and_method_alone() -> None:
    rule = AccessRule(service="image", method="GET", path="/**")
    assert opens([rule], "GET", "/v2/images")
    assert not opens([rule], "POST", "/v2/images")
    assert not opens([AccessRule(service="compute", method="GET", path="/**")], "GET", "/v2/images")
    assert not opens([], "GET", "/v2/images")
    assert not opens([rule], "GET", "/" * (LONGEST_PATH + 1))
