"""glance-download against real sources: what is asked of them, what is believed of them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from gateway.methods import METHODS, offered
from gateway.methods.description import described
from gateway.methods.glance_download import GlanceDownload
from gateway.methods.location import parse
from gateway.methods.rules import FetchRules
from gateway.model.errors import BadRequest, OverLimit, SourceRefused
from gateway.policy.facts import SOURCE_FACTS
from gateway.ports import Describes, Target
from tests.methods.conftest import CALM

BYTES = b"an image of another cloud"
IMAGE = str(uuid.uuid4())
RECORD: dict[str, Any] = {
    "id": IMAGE,
    "status": "active",
    "size": len(BYTES),
    "disk_format": "raw",
    "container_format": "bare",
    "os_hash_algo": "sha512",
    "os_hash_value": hashlib.sha512(BYTES).hexdigest(),
    "checksum": hashlib.md5(BYTES).hexdigest(),
    "hw_disk_bus": "scsi",
    "trait:STORAGE_DISK_SSD": "required",
    "os_distro": "debian",
    "speed": "88mph",
    "owner": "somebody",
}


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def cloud(serve: Any, record: Any = RECORD, content: bytes = BYTES, **more: Any) -> Any:
    """An Images API with one image."""

    def speak(connection: Any, line: str) -> None:
        body = content if line.split()[1].endswith("/file") else json.dumps(record).encode()
        connection.sendall(answer(body))

    return serve(speak, **more)


def method(*sources: Any, path: str = "", **rules: Any) -> GlanceDownload:
    """For an operator who has opened nothing but these regions: their addresses are private ones."""
    regions = {f"R{n}": parse(f"http://127.0.0.1:{source.port}{path}") for n, source in enumerate(sources, 1)}
    return GlanceDownload(FetchRules(regions=regions, deadlines=CALM, **rules))


def secret(**more: str) -> dict[str, str]:
    given = {"glance_region": "R1", "glance_image_id": IMAGE, "glance_service_interface": "public", "token": "t0ken"}
    return given | more


def anything(target: Target) -> None:
    return None


def body(**more: object) -> dict[str, object]:
    return {"name": "glance-download", "glance_region": "R1", "glance_image_id": IMAGE, **more}


def test_a_request_is_read_in_the_apis_words() -> None:
    request = METHODS["glance-download"](FetchRules()).read(body())
    assert request.facts == {"request.region": "R1"}
    assert set(request.facts) == SOURCE_FACTS["glance-download"]
    assert request.with_token
    assert request.shown == {"name": "glance-download", "glance_service_interface": "public", **request.secret}
    assert isinstance(METHODS["glance-download"](FetchRules()), Describes)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"glance_region": None}, "glance_region"),
        ({"glance_region": "", "glance_image_id": "foo"}, "glance_region"),
        ({"glance_image_id": 7}, "glance_image_id"),
        ({"glance_image_id": "foo"}, "image id does not look like a UUID"),
        ({"glance_image_id": f"{{{IMAGE}}}"}, "UUID"),
        ({"glance_image_id": f"urn:uuid:{IMAGE}"}, "UUID"),
        ({"glance_image_id": IMAGE[:-1] + "é"}, "UUID"),
        ({"glance_region": "R\0"}, "glance_region"),
        ({"glance_region": "\ud800"}, "glance_region"),
        ({"glance_region": "R" * 256}, "glance_region"),
        ({"glance_service_interface": ["public"]}, "glance_service_interface"),
    ],
)
def test_a_bad_request_is_refused_at_once(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        METHODS["glance-download"](FetchRules()).read(body(**wrong))


def test_it_is_offered_where_there_is_a_region() -> None:
    assert "glance-download" not in offered(FetchRules())
    assert "glance-download" in offered(FetchRules(regions={"R1": parse("https://image.example")}))


@pytest.mark.parametrize("path", ["", "/", "/v2", "/image/", "/image/v2"])
def test_the_record_and_the_bytes_are_asked_with_the_callers_token(serve: Any, path: str) -> None:
    source = cloud(serve)
    under = "/image" if path.startswith("/image") else ""
    checked: list[Target] = []
    found = method(source, path=path).describe(secret(), check=checked.append)
    assert (found.disk_format, found.container_format, found.size) == ("raw", "bare", len(BYTES))
    assert found.properties == {"hw_disk_bus": "scsi", "trait:STORAGE_DISK_SSD": "required", "os_distro": "debian"}
    assert found.expected == {"sha512": RECORD["os_hash_value"]}
    opened = method(source, path=path).open(secret(), max_size=None, check=checked.append)
    assert b"".join(bytes(block) for block in opened.blocks()) == BYTES
    assert [head.split()[1] for head in source.heads] == [f"{under}/v2/images/{IMAGE}{end}" for end in ("", "/file")]
    assert all("X-Auth-Token: t0ken\r\n" in head for head in source.heads)
    assert [target.port for target in checked] == [source.port] * 2


def test_nobodys_token_is_sent_where_there_is_none(serve: Any) -> None:
    source, given = cloud(serve), secret()
    del given["token"]
    method(source).describe(given, check=anything)
    assert "auth" not in source.heads[0].lower()


def test_the_token_is_never_sent_elsewhere(serve: Any) -> None:
    other = cloud(serve)
    redirect = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(SourceRefused):
        method(serve(redirect.encode()), other).describe(secret(), check=anything)
    assert other.accepted == 0


def test_headers_end_with_their_origin(serve: Any, outbound: Any, content: Callable[..., bytes]) -> None:
    last = serve(answer(BYTES))
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {last.url()}\r\nContent-Length: 0\r\n\r\n"
    first = serve(redirect.encode())
    fetch = outbound(first, last).open(
        parse(first.url()), max_size=None, check=anything, headers={"X-Auth-Token": "t0ken"}
    )
    assert content(fetch) == BYTES
    assert ["t0ken" in source.heads[0] for source in (first, last)] == [True, False]


def test_a_private_region_opens_its_own_port_and_no_other(serve: Any, connects: list[Any]) -> None:
    source, other = cloud(serve), cloud(serve)
    rules = FetchRules(regions={"R1": parse(f"http://127.0.0.1:{source.port}")}, deadlines=CALM)
    methods = offered(rules)
    with pytest.raises(BadRequest):
        methods["web-download"].read({"name": "web-download", "uri": source.url(name="127.0.0.1")})
    with pytest.raises(BadRequest):
        methods["web-download"].read({"name": "web-download", "uri": other.url(name="127.0.0.1")})
    assert connects == []


def test_a_gateway_may_be_a_region_of_its_own(serve: Any) -> None:
    source = cloud(serve)
    own = parse(f"http://127.0.0.1:{source.port}")
    rules = FetchRules(regions={"R1": own}, deadlines=CALM)
    closed = replace(rules, own_addresses=((ip_address("127.0.0.1"), source.port),))
    assert GlanceDownload(closed).describe(secret(), check=anything).size == len(BYTES)


@pytest.mark.parametrize("wrong", [{"glance_region": "not a region"}, {"glance_service_interface": "not an interface"}])
def test_an_unknown_region_fails_by_name(serve: Any, wrong: dict[str, str]) -> None:
    source = cloud(serve)
    with pytest.raises(SourceRefused, match="not a") as refusal:
        method(source).describe(secret(**wrong), check=anything)
    assert refusal.value.code == "unknown-region"
    assert "R1" in refusal.value.remedy
    assert source.accepted == 0


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "403 Forbidden", "204 No Content"])
def test_an_image_that_cannot_be_had_fails_by_name(serve: Any, status: str) -> None:
    with pytest.raises(SourceRefused, match=IMAGE) as refusal:
        method(serve(answer(b"", status))).describe(secret(), check=anything)
    assert "R1" in refusal.value.remedy
    assert "t0ken" not in f"{refusal.value.message} {refusal.value.remedy}"


def test_a_record_without_end_is_cut_off(serve: Any) -> None:
    def flood(connection: Any, line: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

    with pytest.raises(OverLimit):
        method(serve(flood)).describe(secret(), check=anything)


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in RECORD.items() if key not in keys}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b"", "source-broken"),
        (b"[]", "source-broken"),
        (b"[" * 100_000, "source-broken"),
        (b"\xff", "source-broken"),
        ({**RECORD, "status": "queued"}, "source-not-active"),
        ({**RECORD, "status": "deactivated"}, "source-not-active"),
        ({**RECORD, "size": None}, "source-broken"),
        ({**RECORD, "size": -1}, "source-broken"),
        ({**RECORD, "size": True}, "source-broken"),
        ({**RECORD, "size": "5"}, "source-broken"),
        ({**RECORD, "disk_format": None}, "source-broken"),
        ({**RECORD, "container_format": "../x"}, "source-broken"),
        (without("os_hash_value", "checksum"), "source-unverified"),
        ({**without("checksum"), "os_hash_algo": "md4"}, "source-unverified"),
        ({**without("checksum"), "os_hash_algo": ["sha512"]}, "source-unverified"),
    ],
)
def test_a_record_is_not_believed(record: Any, code: str) -> None:
    content = record if isinstance(record, bytes) else json.dumps(record).encode()
    with pytest.raises(SourceRefused) as refusal:
        described(content, "x")
    assert refusal.value.code == code
    assert refusal.value.remedy


def test_without_a_multihash_the_checksum_counts() -> None:
    record = json.dumps(without("os_hash_algo")).encode()
    assert described(record, "x").expected == {"md5": RECORD["checksum"]}


@pytest.mark.parametrize("value", [1, None, ["a"], {"a": 1}, "\0", "\ud800"])
def test_properties_are_texts(value: object) -> None:
    record = json.dumps({**without("hw_disk_bus", "trait:STORAGE_DISK_SSD"), "hw_x": value}).encode()
    assert described(record, "x").properties == {"os_distro": "debian"}


def test_an_empty_image_is_empty(serve: Any, content: Callable[..., bytes]) -> None:
    source = cloud(serve, content=b"")
    opened = method(source).open(secret(), max_size=None, check=anything)
    assert opened.total == 0
    assert content(opened) == b""
