"""The strict front, told in raw bytes to a real server."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import queue
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.framing import check_headers
from gateway.api.versions import VERSIONS
from gateway.model.errors import BadRequest
from tests.api.front_server import BROKEN, LIMITS, exchange, get, read_answer, service, serving
from tests.serving.process import LONGEST

HOST = b"Host: images.example\r\n"
PUT = b"PUT /v2/images/x/file HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as number:
        yield number


FRAMINGS = {
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v2 HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "empty host": b"GET /v2 HTTP/1.1\r\nHost: \r\n\r\n",
    "host with a path": b"GET /v2 HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with userinfo": b"GET /v2 HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "no host in 1.0": b"GET /v2 HTTP/1.0\r\n\r\n",
    "length beside chunked": PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked beside length": PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": PUT + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two different lengths": PUT + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "list of lengths": PUT + b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": PUT + b"Content-Length: +3\r\n\r\nabc",
    "hex length": PUT + b"Content-Length: 0x3\r\n\r\nabc",
    "negative length": PUT + b"Content-Length: -1\r\n\r\n",
    "endless length": PUT + b"Content-Length: 99999999999999999999\r\n\r\n",
    "gzip, chunked": PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": PUT + b"Transfer-Encoding: identity\r\n\r\n",
    "xchunked": PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"PUT /v2/images/x/file HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": PUT + b"Content-Length : 3\r\n\r\nabc",
    "folded header": b"GET /v2 HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "hidden slash": b"GET /v2/images/a%2fb HTTP/1.1\r\n" + HOST + b"\r\n",
    "hidden backslash": b"GET /v2/images/a%5Cb HTTP/1.1\r\n" + HOST + b"\r\n",
    "hidden nul": b"GET /v2/images/a%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "hidden newline": b"GET /v2/images/a%0ab HTTP/1.1\r\n" + HOST + b"\r\n",
    "dot segments": b"POST /v2/images/../tasks HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "hidden dots": b"POST /v2/images/%2e%2E/tasks HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "one dot": b"GET /v2/./images HTTP/1.1\r\n" + HOST + b"\r\n",
    "dots at the end": b"PATCH /v2/images/x/members/.. HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "connect": b"CONNECT images.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "upgrade with a body": PUT + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
    "upgrade with chunks": PUT + b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "path not utf-8": b"GET /v2/images/%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n",
    "query not utf-8": b"GET /v2/images?name=%ff HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("sent", FRAMINGS.values(), ids=FRAMINGS.keys())
def test_what_two_parsers_could_read_differently_is_refused(port: int, sent: bytes) -> None:
    answer = exchange(port, sent)
    assert answer.status == 400
    assert answer.headers["connection"] == "close"


def test_dots_that_are_no_segment_and_offers_of_another_protocol_pass(port: int) -> None:
    for sent in (
        b"GET /v2/images/..x/a.b/... HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /v2/images HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ):
        assert exchange(port, sent).status != 400


GUARDED = ("no host", "two hosts", "gzip, chunked", "hidden slash", "path not utf-8", "query not utf-8")


@pytest.mark.parametrize("name", GUARDED)
def test_a_refusal_of_the_guard_is_named_and_carries_an_id(port: int, name: str) -> None:
    answer = exchange(port, FRAMINGS[name])
    assert answer.error["code"] == 400
    assert answer.error["reason"] in {"bad-host", "bad-framing", "bad-target"}
    assert answer.headers["x-openstack-request-id"] == answer.error["request_id"]
    assert answer.error["request_id"].startswith("req-")


LENGTH, CHUNKED = (b"content-length", b"3"), (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize("framing", [[LENGTH, CHUNKED], [CHUNKED, LENGTH], [LENGTH, LENGTH], [CHUNKED, CHUNKED]])
def test_the_guard_does_not_rely_on_the_servers_parser(framing: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadRequest):
        check_headers({"headers": [(b"host", b"a"), *framing]}, LIMITS)


ORDINARY = {
    "ipv6 host": b"GET /v2 HTTP/1.1\r\nHost: [::1]:9292\r\n\r\n",
    "host in 1.0": b"GET /v2 HTTP/1.0\r\n" + HOST + b"\r\n",
    "spaces percent-encoded": b"GET /v2/images/a%20b%C3%A9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "length": PUT + b"Content-Length: 3\r\n\r\nabc",
    "chunked": PUT + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", ORDINARY.values(), ids=ORDINARY.keys())
def test_ordinary_requests_pass(port: int, sent: bytes) -> None:
    assert exchange(port, sent).status == 200


def test_headers_are_counted_and_weighed(port: int) -> None:
    assert get(port, "/v2", *(f"X-{n}: 1" for n in range(LIMITS.headers - 1))).status == 200
    assert get(port, "/v2", *(f"X-{n}: 1" for n in range(LIMITS.headers))).status == 431
    assert get(port, "/v2", "X-Long: " + "a" * LIMITS.header_bytes).status == 431
    assert get(port, "/v2?" + "a" * LIMITS.header_bytes).status == 431


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [("abc", "req-abc"), ("req-abc", "req-abc"), ("a" * 64, "req-" + "a" * 64)],
)
def test_a_callers_request_id_comes_back(port: int, sent: str, echoed: str) -> None:
    answer = get(port, "/v2", f"X-Openstack-Request-Id: {sent}")
    assert answer.headers["x-openstack-request-id"] == echoed
    assert json.loads(answer.body)["id"] == echoed


@pytest.mark.parametrize("sent", ["", "a b", "a<script>", "\u00e9"])
def test_an_unusable_request_id_is_replaced(port: int, sent: str) -> None:
    found = get(port, "/v2", f"X-Openstack-Request-Id: {sent}").headers["x-openstack-request-id"]
    assert len(found) == 40


def test_a_long_request_id_is_431_and_the_answer_has_one_all_the_same(port: int) -> None:
    answer = get(port, "/v2", "X-Openstack-Request-Id: " + "a" * 65)
    assert (answer.status, answer.error["reason"]) == (431, "headers-too-large")
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("version", ["v2", *VERSIONS])
def test_every_advertised_version_leads_to_the_same_place(port: int, version: str) -> None:
    answer = get(port, f"/{version}/images/x/")
    assert json.loads(answer.body)["path"] == "/v2/images/x"


@pytest.mark.parametrize("path", ["/v9/images", "/v2.14/images", "/v2.99", "/v1/images", "/v2.18/images"])
def test_an_unknown_version_is_300_with_the_versions(port: int, path: str) -> None:
    answer = get(port, path)
    assert answer.status == 300
    versions = json.loads(answer.body)["versions"]
    assert [entry["status"] for entry in versions].count("CURRENT") == 1
    assert versions[0]["links"] == [{"rel": "self", "href": "http://images.example/v2/"}]


def test_a_version_may_be_named_in_accept(port: int) -> None:
    accept = "Accept: application/vnd.openstack.images-"
    assert json.loads(get(port, "/images", accept + "v2.3").body)["path"] == "/v2/images"
    assert get(port, "/images", accept + "v3").status == 300
    assert get(port, "/healthcheck").status == 200


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/images", "/v2/images/x/"])
def test_one_trailing_slash_makes_no_difference(port: int, path: str) -> None:
    assert get(port, path).status == 200
    assert get(port, path + "//").status == 404


def test_an_empty_image_id_is_not_the_list(port: int) -> None:
    assert get(port, "/v2/images/").status == 404
    assert get(port, "/v2/images/", verb="DELETE").status == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v2/images", {"GET", "POST"}),
        ("/v2/images/x", {"GET", "PATCH", "DELETE"}),
        ("/v2/images/x/file", {"GET", "PUT"}),
    ],
)
@pytest.mark.parametrize("verb", ["HEAD", "TRACE", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_verbs_are_405_and_told_which_there_are(port: int, path: str, allowed: set[str], verb: str) -> None:
    answer = get(port, path, verb=verb)
    if verb in allowed or verb == "OPTIONS":
        assert answer.status == 200
    else:
        assert answer.status == 405
    if verb not in allowed:
        assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_a_stalled_upload_is_told_to_fail(port: int) -> None:
    answer = exchange(port, PUT + b"Content-Length: 9\r\n\r\nabc")
    assert (answer.status, answer.error["reason"]) == (400, "upload-stalled")
    assert "3 bytes" in answer.error["message"]
    assert answer.headers["connection"] == "close"


def test_a_trickling_upload_is_told_to_fail(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as connection:
        connection.sendall(PUT + b"Content-Length: 1000000\r\n\r\n")
        for _ in range(1000):
            try:
                connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                connection.sendall(b"a")
        connection.settimeout(LONGEST)
        answer = read_answer(connection)
    assert (answer.status, answer.error["reason"]) == (400, "upload-stalled")
    assert "less than 1000 bytes a second" in answer.error["message"]


def test_a_client_that_goes_away_is_a_broken_upload(port: int) -> None:
    while not BROKEN.empty():
        BROKEN.get()
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(PUT + b"Content-Length: 9\r\n\r\nabc")
    assert BROKEN.get(timeout=LONGEST) == "client-gone"


def test_a_large_upload_passes_untouched(port: int) -> None:
    size = 8 << 20
    answer = exchange(port, PUT + f"Content-Length: {size}\r\n\r\n".encode() + bytes(size))
    assert json.loads(answer.body) == {"bytes": size}


@pytest.fixture
def logged() -> Iterator[queue.SimpleQueue[logging.LogRecord]]:
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger, listener = logging.getLogger("gateway.api"), logging.handlers.QueueHandler(records)
    logger.addHandler(listener)
    yield records
    logger.removeHandler(listener)


def test_a_bug_is_answered_without_details_and_logged_with_them(
    port: int, logged: queue.SimpleQueue[logging.LogRecord]
) -> None:
    answer = get(port, "/boom", "X-Openstack-Request-Id: req-find-me")
    assert (answer.status, answer.error["reason"]) == (500, "internal-error")
    assert b"secret detail" not in answer.body
    assert answer.headers["x-openstack-request-id"] == "req-find-me"
    text = logged.get(timeout=LONGEST).getMessage()
    assert "req-find-me" in text
    assert "RuntimeError: secret detail" in text


def test_an_answer_that_breaks_in_the_middle_is_not_ended_as_if_whole(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(b"GET /half HTTP/1.1\r\n" + HOST + b"\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert b"first" in received
    assert not received.endswith(b"0\r\n\r\n")


HEADER = st.tuples(
    st.sampled_from([b"host", b"content-length", b"transfer-encoding", b"x-openstack-request-id", b"accept", b"x"]),
    st.sampled_from([b"a", b"3", b"chunked", b"application/vnd.openstack.images-v2.3"]) | st.binary(max_size=70),
)
TARGET = st.lists(
    st.sampled_from([b"/", b"v2", b"v2.3", b"v9", b"images", b"%2f", b"%ff", b"%c3%a9", b"%", b"a", b"//"])
)


@settings(deadline=None, max_examples=300)
@given(st.lists(HEADER, max_size=5), TARGET.map(b"".join), st.binary(max_size=8))
def test_no_head_ends_in_a_bug(headers: list[tuple[bytes, bytes]], target: bytes, query: bytes) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote((b"/" + target).decode()),
        "raw_path": b"/" + target,
        "query_string": query,
        "headers": [(b"host", b"a"), *headers],
    }
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(service()(scope, receive, send))
    assert sent[0]["status"] in {200, 300, 400, 404, 431}
    assert [value for name, value in sent[0]["headers"] if name == b"x-openstack-request-id"]
