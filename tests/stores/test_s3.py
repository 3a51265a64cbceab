"""The S3 store on a server of the run's choice: moto's, or with GATEWAY_TEST_S3=rgw Ceph's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.model.errors import Unavailable
from gateway.ports import Store
from gateway.stores import Login
from gateway.stores.objects.signing import EMPTY, UNSIGNED, Signer
from tests.serving import servers
from tests.stores.buckets import PREFIX, opened, refusal_of, until
from tests.stores.conformance import StoreSuite, blocks_of, key, large, read
from tests.stores.places import in_bucket
from tests.stores.servers.bucket import Auditor, Server, fresh

ROOT = Path(__file__).parents[2]


class TestS3(StoreSuite):
    @pytest.fixture
    def store(self, bucket: Server) -> Store:
        return opened(bucket)

    @pytest.fixture
    def left(self, witness: Auditor) -> Callable[[], list[str]]:
        return witness.left


class TestS3WithTheMachinesKeys(StoreSuite):
    """Which the library finds by itself, so that its uploads in parts are used."""

    @pytest.fixture
    def store(self, bucket: Server, machines_keys: None) -> Store:
        return opened(bucket, login=None)

    @pytest.fixture
    def left(self, witness: Auditor) -> Callable[[], list[str]]:
        return witness.left


def test_only_its_own_prefix_is_the_stores(store: Store, witness: Auditor) -> None:
    name = key()
    others = [f"cloud/{key()}", f"{PREFIX}2/{key()}", f"{PREFIX}/folder/{key()}", f"{PREFIX}/README"]
    for other in others:
        witness.write(other, b"not ours")
    witness.begin(f"cloud/{name}")
    store.put(name, [b"ours"])
    assert list(store.keys()) == [name]
    store.delete(name)
    assert witness.objects() == sorted(others)
    assert witness.uploads() == [f"cloud/{name}"]


def test_a_bucket_without_a_prefix_works_alike(bucket: Server, witness: Auditor) -> None:
    store, name = opened(bucket, prefix=""), key()
    store.put(name, blocks_of(bytes(large(store))))
    assert witness.objects() == list(store.keys()) == [name]
    store.delete(name)
    assert witness.left() == []


def test_many_keys_are_listed_page_by_page(store: Store, witness: Auditor) -> None:
    if servers.S3 == "moto":
        pytest.skip("moto takes a minute to make more than a page")
    names = {key() for _ in range(1100)}
    for name in names:
        witness.write(f"{PREFIX}/{name}", b"")
    assert sorted(store.keys()) == sorted(names)


def test_a_copy_from_bucket_to_bucket_reads_and_writes_at_once(store: Store, bucket: Server) -> None:
    other, name, content = opened(bucket, prefix="other"), key(), os.urandom(large(store))
    store.put(name, blocks_of(content))
    assert other.put(name, store.get(name)) == len(content)
    assert read(other, name) == content


def test_where_it_is_has_no_secret(bucket: Server, store: Store) -> None:
    host = bucket.endpoint.partition("://")[2]
    assert store.url(name := key()) == f"s3://{host}/{bucket.bucket}/{PREFIX}/{name}"
    said = json.dumps(dict(store.properties)) + repr(in_bucket(bucket))
    assert bucket.secret_key not in said
    assert store.properties["bucket"] == bucket.bucket


@pytest.mark.parametrize(
    ("wrong", "named"), [({"bucket": "no-such-bucket"}, "no-such-bucket"), ({"access_key": "nobody"}, "'bucket'")]
)
def test_a_store_that_can_be_none_is_refused_at_its_opening(bucket: Server, wrong: dict[str, str], named: str) -> None:
    if "access_key" in wrong and servers.S3 == "moto":
        pytest.skip("moto takes any key")
    with pytest.raises(Unavailable) as refused:
        opened(replace(bucket, **wrong))
    assert refused.value.code == "store-broken"
    assert named in refused.value.message
    assert refused.value.remedy


def test_a_vanished_bucket_is_no_missing_blob(server: Server) -> None:
    with fresh(server) as bucket:
        store, name = opened(bucket), key()
        store.put(name, [b"x"])
    for attempt in (store.get, store.size, store.delete, lambda _: list(store.keys())):
        with pytest.raises(Unavailable) as refused:
            attempt(name)
        assert bucket.bucket in refused.value.message
    for content in (b"x", bytes(large(store))):
        with pytest.raises(Unavailable):
            store.put(key(), blocks_of(content))


def test_the_secret_is_read_anew(bucket: Server, tmp_path: Path) -> None:
    if servers.S3 == "moto":
        pytest.skip("moto takes any secret")
    file = tmp_path / "secret"
    file.write_text(bucket.secret_key)
    login = Login(name="bucket", kind="s3", user=bucket.access_key, secret=file.read_text, rereads=True)
    store, name = opened(bucket, login=login), key()
    store.put(name, [b"x"])
    file.write_text("another")
    until(lambda: refusal_of(lambda: store.size(name)) is not None)
    file.write_text(bucket.secret_key)
    until(lambda: refusal_of(lambda: store.size(name)) is None)


def test_a_missing_secret_file_is_a_store_that_is_away(bucket: Server, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    for rereads in (True, False):
        login = Login(name="bucket", kind="s3", user=bucket.access_key, secret=file.read_text, rereads=rereads)
        with pytest.raises(Unavailable):
            opened(bucket, login=login).size(key())


@pytest.mark.parametrize("digest", [EMPTY, UNSIGNED, sha256(b"<Complete/>").hexdigest()])
@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize("name", ["", "cloud/images/ä b+c~d", "a"])
def test_requests_are_signed_as_amazons_own_library_signs_them(
    name: str, token: str | None, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 22, 18, 0, 1, tzinfo=UTC)
    query = {"uploads": "", "prefix": "cloud/im ages/ä+~", "key-marker": "a&b=c"}
    signer = Signer(access_key="AK", secret=lambda: "SK", session_token=token, region="eu-1")
    url, headers = signer.signed("PUT", "https://s3.example:8443/bucket", name, query, now, digest)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
    theirs = AWSRequest("PUT", url, headers={"x-amz-content-sha256": digest})
    theirs.context["payload_signing_enabled"] = True
    signing = SigV4Auth(Credentials("AK", "SK", token), "s3", "eu-1")
    monkeypatch.setattr(signing, "_normalize_url_path", lambda path: path)
    signing.add_auth(theirs)
    assert headers["authorization"] == theirs.headers["Authorization"]
