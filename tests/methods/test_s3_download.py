"""Objects of buckets: signed as the service's documentation has it, and refused by name."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.methods.credentials import Credential
from gateway.methods.location import parse
from gateway.methods.rules import FetchRules
from gateway.methods.s3_download import S3Download
from gateway.methods.sources import Buckets
from gateway.model.errors import BadRequest, SourceRefused
from tests.methods.conftest import CALM, Source
from tests.methods.scripted import Reply, field, reply, scripted

ACCESS, SECRET, REGION = "AKIAEXAMPLE", "it/is+a secret", "eu-central-1"
OURS = Credential(kind="s3", hosts=("127.0.0.1",), user=ACCESS, secret=lambda: SECRET)


def method(source: Source, **rules: Any) -> S3Download:
    place = Buckets(endpoint=parse(f"http://127.0.0.1:{source.port}"), region=REGION)
    given: dict[str, Any] = {"deadlines": CALM, "buckets": {"near": place}, "credentials": {"ours": OURS}}
    return S3Download(FetchRules(**{**given, **rules}))


def asked(key: str = "a/disk.qcow2", **more: Any) -> dict[str, Any]:
    return {"name": "s3-download", "uri": f"s3://images/{key}", **more}


def fetched(one: S3Download, said: dict[str, Any]) -> bytes:
    source = one.open(one.read(said).secret, max_size=None, check=lambda target: None)
    return b"".join(bytes(block) for block in source.blocks())


def refused(one: S3Download, said: dict[str, Any]) -> SourceRefused:
    with pytest.raises(SourceRefused) as caught:
        fetched(one, said)
    assert SECRET not in f"{caught.value!r} {caught.value.remedy}"
    return caught.value


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(head: str, secret: str) -> str:
    """What the signature of a request has to be ("Authenticating Requests: Using Query Parameters")."""
    target = urlsplit(head.split(" ")[1])
    said = dict(parse_qsl(target.query, keep_blank_values=True))
    date, region = said["X-Amz-Date"], said["X-Amz-Credential"].split("/")[2]
    scope = f"{date[:8]}/{region}/s3/aws4_request"
    query = "&".join(
        f"{quote(key, safe='~')}={quote(said[key], safe='~')}" for key in sorted(said) if key != "X-Amz-Signature"
    )
    path = quote(unquote(target.path), safe="/~")
    canonical = f"GET\n{path}\n{query}\nhost:{field(head, 'Host')}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (date[:8], region, "s3", "aws4_request"):
        key = _mac(key, part)
    return _mac(key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}").hex()


def guarded(found: bytes) -> Callable[[str], bytes]:
    """The bytes for who signed with the right secret, else 403."""

    def answer(head: str) -> bytes:
        said = dict(parse_qsl(urlsplit(head.split(" ")[1]).query))
        right = said.get("X-Amz-Signature") == signature(head, SECRET) if "X-Amz-Signature" in said else False
        return reply(found) if right else reply(status="403 Forbidden")

    return answer


KEYS = {
    "plain": "a/disk.qcow2",
    "spaces and signs": "a b/c+d&e=f?g#h.raw",
    "letters of others": "ä/é.raw",
    "percent": "100%25.raw",
    "quotes": "it's(1)*!~.raw",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_an_object_of_a_closed_bucket(serve: Any, key: str) -> None:
    path = parse(f"http://x/images/{quote(key, safe='/~')}").path
    source = scripted(serve, {path: guarded(b"image")})
    assert fetched(method(source), asked(key, credential="ours")) == b"image"
    said = dict(parse_qsl(urlsplit(source.heads[0].split(" ")[1]).query))
    assert (said["X-Amz-Credential"].split("/")[0], said["X-Amz-Credential"].split("/")[2]) == (ACCESS, REGION)
    assert int(said["X-Amz-Expires"]) >= CALM.total
    wrong = Credential(kind="s3", hosts=("127.0.0.1",), user=ACCESS, secret=lambda: "wrong")
    other = method(source, credentials={"ours": wrong})
    assert refused(other, asked(key, credential="ours")).code == "source-forbidden"


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_an_object_of_a_public_bucket(serve: Any, key: str) -> None:
    path = parse(f"http://x/images/{quote(key, safe='/~')}").path
    source = scripted(serve, {path: reply(b"image")})
    assert fetched(method(source), asked(key)) == b"image"
    assert "?" not in source.heads[0].split(" ")[1]


def test_a_secret_is_read_at_each_use(serve: Any) -> None:
    secrets = ["wrong", SECRET]
    changing = Credential(kind="s3", hosts=("127.0.0.1",), user=ACCESS, secret=lambda: secrets.pop(0))
    source = scripted(serve, {"/images/a/disk.qcow2": guarded(b"image")})
    one = method(source, credentials={"ours": changing})
    assert refused(one, asked(credential="ours")).code == "source-forbidden"
    assert fetched(one, asked(credential="ours")) == b"image"


PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\\"), min_size=1, max_size=8).filter(str.isprintable)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(parts=st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3))
def test_any_key_is_asked_for_as_it_is_and_signed_right(any_bucket: Source, parts: list[str]) -> None:
    key = "/".join(parts)
    assert fetched(method(any_bucket), asked(key, credential="ours")) == key.encode()
    assert fetched(method(any_bucket), asked(key)) == b"public " + key.encode()


@pytest.fixture
def any_bucket(serve: Any) -> Source:
    """Answers with the key it was asked for; 403 where that is signed wrong."""
    made: list[Source] = []

    def answer(connection: socket.socket, line: str) -> None:
        path, _, query = line.split(" ")[1].partition("?")
        found = unquote(path).removeprefix("/images/").encode()
        connection.sendall(guarded(found)(made[0].heads[-1]) if query else reply(b"public " + found))

    made.append(serve(answer))
    return made[0]


def test_a_session_is_signed_with_its_token(serve: Any) -> None:
    lent = Credential(kind="s3", hosts=("127.0.0.1",), user=ACCESS, session_token="to/ken==", secret=lambda: SECRET)
    source = scripted(serve, {"/images/a/disk.qcow2": guarded(b"image")})
    assert fetched(method(source, credentials={"ours": lent}), asked(credential="ours")) == b"image"
    assert "X-Amz-Security-Token=to%2Fken%3D%3D" in source.heads[0]


def _unreadable() -> str:
    raise OSError("no such file")


MISFITS = {
    "credential-unknown": {},
    "credential-unfit": {"ours": Credential(kind="basic", hosts=("127.0.0.1",), secret=lambda: SECRET)},
    "credential-misplaced": {"ours": Credential(kind="s3", secret=lambda: SECRET)},
    "credential-unreadable": {"ours": Credential(kind="s3", hosts=("127.0.0.1",), user="a", secret=_unreadable)},
}


@pytest.mark.parametrize(("code", "known"), MISFITS.items(), ids=MISFITS)
def test_a_credential_that_does_not_fit_is_not_sent(serve: Any, code: str, known: Any) -> None:
    source = scripted(serve, {})
    assert refused(method(source, credentials=known), asked(credential="ours")).code == code
    assert source.accepted == 0


ANSWERS: dict[str, tuple[Reply, str]] = {
    "forbidden": (reply(b"<Error/>", status="403 Forbidden"), "source-forbidden"),
    "missing": (reply(status="404 Not Found"), "source-missing"),
    "another region": (reply(status="301 Moved Permanently"), "source-elsewhere"),
    "another region, by name": (reply(status="307 Temporary Redirect", Location="/images/b"), "source-elsewhere"),
    "away": (reply(status="503 Slow Down"), "source-failed"),
    "packed": (reply(b"image", Content_Encoding="gzip"), "source-refused"),
    "metadata": (
        reply(status="307 Temporary Redirect", Location="http://169.254.169.254/latest/"),
        "source-elsewhere",
    ),
}


@pytest.mark.parametrize(("answer", "code"), ANSWERS.values(), ids=ANSWERS)
def test_answers_that_bring_no_object(serve: Any, connects: Any, answer: Reply, code: str) -> None:
    source = scripted(serve, {"/images/a/disk.qcow2": answer})
    assert refused(method(source), asked(credential="ours")).code == code
    assert {address[1] for address in connects} == {source.port}


def test_the_policy_is_told_where_and_the_tenant_what_it_said(serve: Any) -> None:
    source = scripted(serve, {})
    request = method(source).read(asked("a b", credential="ours"))
    assert request.facts == {
        "request.host": "127.0.0.1", "request.scheme": "http", "request.port": source.port,
        "request.path": "/images/a%20b", "request.credential": "ours",
    }  # fmt: skip
    assert dict(request.shown) == {**asked("a b", credential="ours"), "source": "near"}


URIS = ["https://a/b", "s3://images", "s3://images/", "s3:///a", "s3://Images/a", "s3://images/a//b", "s3://images//a"]
URIS += ["s3://images/a/", "s3://images/../a", "s3://images/a/.", "s3://images/a\nb", "s3://images/" + "a" * 1025]
URIS += ["s3://images/a\\b"]


@pytest.mark.parametrize("uri", URIS)
def test_what_names_no_object(serve: Any, uri: str) -> None:
    with pytest.raises(BadRequest) as caught:
        method(scripted(serve, {})).read({"name": "s3-download", "uri": uri})
    assert caught.value.code == "bad-uri"


def test_one_of_several_sources_has_to_be_named(serve: Any) -> None:
    source = scripted(serve, {"/images/a/disk.qcow2": reply(b"image")})
    near = Buckets(endpoint=parse(f"http://127.0.0.1:{source.port}"), region=REGION)
    far = Buckets(endpoint=parse("https://far.example"), region="far")
    one = method(source, buckets={"near": near, "far": far})
    for more in ({}, {"source": "other"}, {"source": 1}):
        with pytest.raises(BadRequest) as caught:
            one.read(asked(**more))
        assert (caught.value.code, caught.value.remedy) == ("unknown-source", "There are: far, near.")
    assert fetched(one, asked(source="near")) == b"image"
    assert one.read(asked(source="far")).facts["request.host"] == "far.example"
