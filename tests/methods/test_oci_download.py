"""A layer of an artifact, from registries that are well, confused and hostile."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.methods.credentials import Credential
from gateway.methods.oci_download import OciDownload
from gateway.methods.rules import FetchRules
from gateway.methods.sources import SourceRules
from gateway.model.errors import BadRequest, OverLimit, PolicyRefused, SourceRefused
from tests.methods.artifacts import LAYER, NAME, digest, index, kept, layer, manifest
from tests.methods.conftest import CALM, Source
from tests.methods.scripted import Reply, field, reply, scripted

SECRET = "it-is-a-secret"
OURS = Credential(kind="basic", hosts=("127.0.0.1",), plain_http=True, user="puller", secret=lambda: SECRET)
ONE = manifest(layer(LAYER, "disk.qcow2"))


def method(*sources: Source, **rules: Any) -> OciDownload:
    given: dict[str, Any] = {
        "ports": tuple(source.port for source in sources),
        "deadlines": CALM,
        "allowed_networks": (ip_network("127.0.0.0/8"),),
        "sources": {"127.0.0.1": SourceRules(plain_http=True)},
        "credentials": {"ours": OURS},
    }
    return OciDownload(FetchRules(**{**given, **rules}))


def asked(source: Source, reference: str = ":12", **more: str) -> dict[str, str]:
    return {"name": "oci-download", "uri": f"oci://127.0.0.1:{source.port}/{NAME}{reference}", **more}


def granted(target: object) -> None:
    return None


def fetched(one: OciDownload, said: Mapping[str, str], check: Callable[[Any], None] = granted) -> bytes:
    """Described, then opened and read, as a worker does it."""
    secret = one.read(said).secret
    described = one.describe(secret, check=check)
    source = one.open(secret, max_size=None, check=check)
    assert (source.total, described.size) == (described.size, described.size)
    found = b"".join(bytes(block) for block in source.blocks())
    assert digest(found) == f"sha256:{described.expected['sha256']}"
    return found


def refused(one: OciDownload, said: Mapping[str, str], check: Callable[[Any], None] = granted) -> str:
    with pytest.raises(SourceRefused) as caught:
        fetched(one, said, check)
    return caught.value.code


def test_a_layer_by_tag_by_digest_and_by_both(serve: Any) -> None:
    source = scripted(serve, kept(tag=ONE))
    for reference in (":12", f"@{digest(ONE)}", f":12@{digest(ONE)}"):
        assert fetched(method(source), asked(source, reference)) == LAYER
    assert "application/vnd.oci.image.index.v1+json" in field(source.heads[0], "Accept")
    assert not any(field(head, "Authorization") for head in source.heads)


def test_the_policy_is_told_where_and_the_tenant_what_it_said(serve: Any) -> None:
    source = scripted(serve, {})
    said = asked(source, title="a", credential="ours")
    request = method(source).read(said)
    assert request.facts == {
        "request.host": "127.0.0.1", "request.scheme": "http", "request.port": source.port,
        "request.path": f"/v2/{NAME}/manifests/12", "request.credential": "ours",
    }  # fmt: skip
    assert dict(request.shown) == said


def test_every_place_is_judged_before_it_is_contacted(serve: Any) -> None:
    elsewhere = scripted(serve, {"/blob": reply(LAYER)})
    replies = kept(tag=ONE)
    replies[f"/v2/{NAME}/blobs/{digest(LAYER)}"] = reply(
        status="307 Temporary Redirect", Location=f"http://127.0.0.1:{elsewhere.port}/blob"
    )
    source, seen = scripted(serve, replies), []

    def check(target: Any) -> None:
        seen.append(target.path)
        if target.port == elsewhere.port:
            raise PolicyRefused("not there")

    with pytest.raises(PolicyRefused):
        fetched(method(source, elsewhere), asked(source), check)
    assert seen == [*[f"/v2/{NAME}/manifests/12"] * 2, f"/v2/{NAME}/blobs/{digest(LAYER)}", "/blob"]
    assert elsewhere.accepted == 0
    assert fetched(method(source, elsewhere), asked(source)) == LAYER


ARM, AMD = manifest(layer(b"arm")), manifest(layer(LAYER), note="amd")
INDEX = index({"linux/arm64": ARM, "linux/amd64": AMD})
TWO = manifest(layer(b"a", "a.raw"), layer(LAYER, "b.raw"), layer(b"c", "b.raw", "text/plain"))


def test_one_of_several_manifests_and_layers(serve: Any) -> None:
    source = scripted(serve, kept(ARM, AMD, tag=INDEX))
    assert fetched(method(source), asked(source, platform="linux/amd64")) == LAYER
    with pytest.raises(SourceRefused, match="no layer") as caught:
        fetched(method(source), asked(source, platform="linux/amd64", title="x"))
    assert caught.value.code == "which-layer"
    for more in ({}, {"platform": "linux/riscv64"}):
        with pytest.raises(SourceRefused) as caught:
            fetched(method(source), asked(source, **more))
        assert (caught.value.code, "linux/amd64, linux/arm64" in caught.value.remedy) == ("which-manifest", True)
    source = scripted(serve, kept(tag=TWO))
    assert fetched(method(source), asked(source, title="b.raw", media_type="application/vnd.example.disk")) == LAYER
    assert refused(method(source), asked(source)) == "which-layer"
    assert refused(method(source), asked(source, title="b.raw")) == "which-layer"


def test_a_manifest_without_media_types_is_told_by_what_it_holds(serve: Any) -> None:
    plain = {key: value for key, value in json.loads(ONE).items() if key != "mediaType"}
    source = scripted(serve, kept(tag=json.dumps(plain).encode()))
    assert fetched(method(source), asked(source)) == LAYER


BAD = {
    "not JSON": b"<html>",
    "too deep": b"[" * 100_000,
    "no object": b"[]",
    "an old schema": json.dumps({"schemaVersion": 1, "fsLayers": []}).encode(),
    "another kind": manifest(layer(LAYER), mediaType="text/plain"),
    "no layers": json.dumps({"schemaVersion": 2, "layers": {}}).encode(),
    "layers that are none": json.dumps({"schemaVersion": 2, "layers": [1]}).encode(),
    "a digest of another kind": manifest(layer(LAYER, digest="md5:" + "0" * 32)),
    "a digest that leads away": manifest(layer(LAYER, digest="sha256:../../../" + "0" * 55)),
    "a size that is none": manifest(layer(LAYER, size=True)),
    "a size below zero": manifest(layer(LAYER, size=-1)),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_manifest(serve: Any, content: bytes) -> None:
    source = scripted(serve, kept(tag=content))
    assert refused(method(source), asked(source)) == "bad-manifest"


def test_a_manifest_that_never_ends_is_read_to_its_cap(serve: Any) -> None:
    source = scripted(serve, kept(tag=b" " * (5 << 20)))
    assert refused(method(source), asked(source)) == "bad-manifest"
    assert source.accepted == 1


def test_a_manifest_of_another_digest(serve: Any) -> None:
    replies = kept(ARM, AMD, tag=INDEX)
    replies[f"/v2/{NAME}/manifests/{digest(INDEX)}"] = reply(ONE)
    replies[f"/v2/{NAME}/manifests/{digest(AMD)}"] = reply(ONE)
    source = scripted(serve, replies)
    assert refused(method(source), asked(source, f"@{digest(INDEX)}")) == "digest-mismatch"
    assert refused(method(source), asked(source, platform="linux/amd64")) == "digest-mismatch"


def _chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def test_a_layer_that_is_longer_than_its_manifest_says(serve: Any) -> None:
    """Of a length that is announced, the worker compares the two; see `describing.check_size`."""
    replies = kept(tag=ONE)
    replies[f"/v2/{NAME}/blobs/{digest(LAYER)}"] = _chunked(LAYER + b"x")
    source = scripted(serve, replies)
    one = method(source)
    opened = one.open(one.read(asked(source)).secret, max_size=None, check=granted)
    with pytest.raises(SourceRefused) as caught:
        list(opened.blocks())
    assert caught.value.code == "source-broken"


def test_a_layer_over_the_cap_is_not_asked_for(serve: Any) -> None:
    source = scripted(serve, kept(tag=ONE))
    one = method(source)
    with pytest.raises(OverLimit):
        one.open(one.read(asked(source)).secret, max_size=len(LAYER) - 1, check=granted)
    assert source.accepted == 1


def _guarded(replies: Mapping[str, Reply], wanted: str, challenge: str) -> dict[str, Reply]:
    """Answers 401 unless a request has the right Authorization."""

    def guard(found: Reply) -> Reply:
        assert isinstance(found, bytes)
        denied = reply(status="401 Unauthorized", WWW_Authenticate=challenge)
        return lambda head: found if field(head, "Authorization") == wanted else denied

    return {path: guard(found) for path, found in replies.items()}


BASIC = "Basic " + base64.b64encode(f"puller:{SECRET}".encode()).decode()


def test_a_token_for_anybody(serve: Any) -> None:
    realm = scripted(serve, {"/token": reply(b'{"token": "abc.def"}')})
    challenge = f'Bearer realm="http://127.0.0.1:{realm.port}/token",service="r",scope="repository:{NAME}:pull"'
    source = scripted(serve, _guarded(kept(tag=ONE), "Bearer abc.def", challenge))
    assert fetched(method(source, realm), asked(source)) == LAYER
    assert realm.heads[0].startswith("GET /token?service=r&scope=repository%3Aimages%2Fdebian%3Apull ")
    assert not field(realm.heads[0], "Authorization")
    assert len(realm.heads) == 2  # one for the description, one for the layer with its manifest


def test_the_operators_credential_gets_the_token(serve: Any) -> None:
    token = reply(b'{"access_token": "abc.def"}')
    realm = scripted(serve, _guarded({"/token": token}, BASIC, "Basic"))
    challenge = f'Bearer realm="http://127.0.0.1:{realm.port}/token",service="r"'
    source = scripted(serve, _guarded(kept(tag=ONE), "Bearer abc.def", challenge))
    assert fetched(method(source, realm), asked(source, credential="ours")) == LAYER
    assert not any(SECRET in head or BASIC in head for head in source.heads)
    assert refused(method(source, realm), asked(source)) == "source-forbidden"


def test_a_registry_that_wants_it_itself(serve: Any) -> None:
    source = scripted(serve, _guarded(kept(tag=ONE), BASIC, 'Basic realm="r"'))
    assert fetched(method(source), asked(source, credential="ours")) == LAYER
    assert refused(method(source), asked(source)) == "source-forbidden"


def test_a_redirected_layer_is_asked_without_anything_shown(serve: Any) -> None:
    elsewhere = scripted(serve, {"/blob": reply(LAYER)})
    replies = _guarded(kept(tag=ONE), BASIC, 'Basic realm="r"')
    replies[f"/v2/{NAME}/blobs/{digest(LAYER)}"] = reply(
        status="307 Temporary Redirect", Location=f"http://127.0.0.1:{elsewhere.port}/blob"
    )
    source = scripted(serve, replies)
    assert fetched(method(source, elsewhere), asked(source, credential="ours")) == LAYER
    assert [field(head, "Authorization") for head in elsewhere.heads] == [""]


def test_who_is_redirected_to_has_no_say_in_what_is_shown(serve: Any) -> None:
    elsewhere = scripted(serve, {"/blob": reply(status="401 Unauthorized", WWW_Authenticate='Basic realm="mine"')})
    replies = kept(tag=ONE)
    replies[f"/v2/{NAME}/blobs/{digest(LAYER)}"] = reply(
        status="307 Temporary Redirect", Location=f"http://127.0.0.1:{elsewhere.port}/blob"
    )
    source = scripted(serve, replies)
    assert refused(method(source, elsewhere), asked(source, credential="ours")) == "source-forbidden"
    assert not any(field(head, "Authorization") for head in (*source.heads, *elsewhere.heads))


REALMS = {
    "metadata": ("http://169.254.169.254/latest/api/token", "source-unreachable"),
    "a closed network": ("http://10.0.0.1/token", "source-unreachable"),
    "no address": ("file:///etc/passwd", "source-refused"),
    "a user in it": ("http://user@127.0.0.1/token", "source-refused"),
    "nothing": ("", "source-refused"),
}


@pytest.mark.parametrize(("realm", "code"), REALMS.values(), ids=REALMS)
def test_where_tokens_are_is_checked_like_any_place(serve: Any, connects: Any, realm: str, code: str) -> None:
    source = scripted(serve, _guarded(kept(tag=ONE), "Bearer x", f'Bearer realm="{realm}"'))
    assert refused(method(source, ports=(80, source.port)), asked(source)) == code
    assert {address[1] for address in connects} == {source.port}


def test_where_tokens_are_is_the_policys_to_grant(serve: Any) -> None:
    realm = scripted(serve, {"/token": reply(b'{"token": "abc"}')})
    challenge = f'Bearer realm="http://127.0.0.1:{realm.port}/token"'
    source = scripted(serve, _guarded(kept(tag=ONE), "Bearer abc", challenge))

    def check(target: Any) -> None:
        if target.port == realm.port:
            raise PolicyRefused("not there")

    with pytest.raises(PolicyRefused):
        fetched(method(source, realm), asked(source), check)
    assert realm.accepted == 0


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"token": "a\\r\\nX: y"}', b"[" * 60_000, b" " * 70_000])
def test_what_is_no_token(serve: Any, answer: bytes) -> None:
    realm = scripted(serve, {"/token": reply(answer)})
    source = scripted(serve, _guarded(kept(tag=ONE), "Bearer a", f'Bearer realm="http://127.0.0.1:{realm.port}/token"'))
    assert refused(method(source, realm), asked(source)) == "source-forbidden"


def test_a_credential_goes_only_where_it_belongs(serve: Any) -> None:
    realm = scripted(serve, {"/token": reply(b'{"token": "abc"}')})
    challenge = f'Bearer realm="http://127.0.0.2:{realm.port}/token"'
    source = scripted(serve, _guarded(kept(tag=ONE), "Bearer abc", challenge))
    assert refused(method(source, realm), asked(source, credential="ours")) == "credential-misplaced"
    assert realm.accepted == 0


URIS = {
    "a URL": "https://r.example/a:1",
    "no repository": "oci://r.example",
    "an upper-case repository": "oci://r.example/Debian",
    "a way up": "oci://r.example/../a",
    "a query": "oci://r.example/a?x",
    "a user": "oci://user@r.example/a",
    "another digest": "oci://r.example/a@md5:00",
    "a short digest": "oci://r.example/a@sha256:00",
    "too long": "oci://r.example/" + "a" * 1024,
}


@pytest.mark.parametrize("uri", URIS.values(), ids=URIS)
def test_what_names_no_artifact(uri: str) -> None:
    with pytest.raises(BadRequest) as caught:
        OciDownload(FetchRules()).read({"name": "oci-download", "uri": uri})
    assert caught.value.code == "bad-uri"


@pytest.mark.parametrize("uri", ["oci://127.0.0.1/a", "oci://[::1]/a", "oci://r.example:22/a"])
def test_closed_addresses_and_ports_are_told_at_once(uri: str) -> None:
    with pytest.raises(BadRequest) as caught:
        OciDownload(FetchRules()).read({"name": "oci-download", "uri": uri})
    assert caught.value.code == "source-refused"


@pytest.mark.parametrize("more", [{"credential": 1}, {"credential": "a b"}, {"credential": ""}, {"title": ""}])
def test_choices_are_short_texts(more: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        OciDownload(FetchRules()).read({"name": "oci-download", "uri": "oci://r.example/a", **more})
