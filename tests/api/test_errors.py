"""Errors on the wire: the shape stock clients read, and the headers each status owes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.front_server import get, serving


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as number:
        yield number


def test_a_refusal_is_one_nested_object(port: int) -> None:
    answer = get(port, "/refuse/403", "X-Openstack-Request-Id: req-1")
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/json"
    assert answer.error == {
        "message": "No such luck. Ask nicely.",
        "code": 403,
        "title": "Forbidden",
        "reason": "denied",
        "remedy": "Ask nicely.",
        "request_id": "req-1",
        "decision": "d-1",
    }


def test_401_says_how_to_authenticate(port: int) -> None:
    assert get(port, "/refuse/401").headers["www-authenticate"] == 'Basic realm="images"'


def test_416_says_the_size(port: int) -> None:
    assert get(port, "/refuse/416").headers["content-range"] == "bytes */5"


def test_415_says_what_a_patch_may_be(port: int) -> None:
    patched = get(port, "/refuse/415", verb="PATCH")
    assert "application/openstack-images-v2.1-json-patch" in patched.headers["accept-patch"]
    assert "accept-patch" not in get(port, "/refuse/415").headers


def test_an_unknown_path_is_a_named_404(port: int) -> None:
    answer = get(port, "/v2/zork")
    assert (answer.status, answer.error["reason"]) == (404, "not-found")
    assert "/v2/zork" in answer.error["message"]


def test_text_that_does_not_encode_is_still_an_answer(port: int) -> None:
    assert get(port, "/refuse/surrogate").error["message"] == "half ?"
