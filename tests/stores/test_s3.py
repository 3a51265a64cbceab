"""The S3 store on a server of the run's choice: moto's, or with GATEWAY_TEST_S3=rgw Ceph's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.model.errors import Conflict, ContentRefused, NotFound, OverLimit, Refusal, Unavailable
from gateway.ports import BLOCK_SIZE, Store
from gateway.stores import STORES, Login
from gateway.stores.objects import writing
from gateway.stores.objects.signing import EMPTY, UNSIGNED, Signer
from tests.serving import servers
from tests.serving.process import LONGEST
from tests.stores.conformance import StoreSuite, blocks_of, key, large, read, refusing
from tests.stores.places import in_bucket
from tests.stores.servers.bucket import Auditor, Server, auditor, fresh
from tests.stores.servers.faulty import Faulty, faulty

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
PREFIX = "cloud/images"
UNDONE = 8
"""Requests that take back what a put has left: those of the library's abort, the object and its uploads."""
PART = 16 * MIB
OPENED: list[Store] = []


@pytest.fixture(scope="module")
def server() -> Server:
    return servers.server(servers.S3)  # type: ignore[no-any-return]


@pytest.fixture
def bucket(server: Server) -> Iterator[Server]:
    with fresh(server) as made:
        yield made


@pytest.fixture
def witness(bucket: Server) -> Auditor:
    return auditor(bucket)


@pytest.fixture
def store(bucket: Server) -> Store:
    return opened(bucket)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def opened(bucket: Server, **more: object) -> Store:
    OPENED.append(STORES["s3"](in_bucket(bucket, **{"prefix": PREFIX, "part_size": 5 * MIB, **more})))
    return OPENED[-1]


def refusal_of(attempt: Callable[[], object]) -> Refusal | None:
    try:
        attempt()
    except Refusal as refusal:
        return refusal
    return None


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


@pytest.fixture
def machines_keys(bucket: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.secret_key)


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


def test_an_unfinished_upload_is_listed_under_its_key_and_removed_with_it(store: Store, witness: Auditor) -> None:
    name, other = key(), key()
    for begun in (name, name, other):
        witness.begin(f"{PREFIX}/{begun}")
    assert sorted(store.keys()) == sorted([name, other])
    store.delete(name)
    assert witness.uploads() == [f"{PREFIX}/{other}"]
    assert list(store.keys()) == [other]


def test_many_unfinished_uploads_are_all_found(store: Store, witness: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pages of a few: a server may make them as short as it likes."""
    names = [key() for _ in range(7)]
    for name in names:
        witness.begin(f"{PREFIX}/{name}")
    monkeypatch.setattr("gateway.stores.objects.unfinished.PAGE", "3")
    assert sorted(store.keys()) == sorted(names)


CRASHING = """
import os, pickle, sys
from gateway.stores import STORES
from tests.stores.places import in_bucket
from tests.stores.servers.bucket import Server
store = STORES["s3"](in_bucket(Server(*sys.argv[2:]), prefix="cloud/images", part_size=5 << 20))
def blocks():
    for number in range(18):
        yield bytes(1 << 20)
    print("halfway", flush=True)
    sys.stdin.read()
store.put(sys.argv[1], blocks())
"""


def test_what_a_killed_process_was_writing_is_found_and_removed(bucket: Server, store: Store, witness: Auditor) -> None:
    name = key()
    told = (bucket.endpoint, bucket.region, bucket.access_key, bucket.secret_key, bucket.bucket)
    with subprocess.Popen(
        [sys.executable, "-c", CRASHING, name, *told], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"halfway\n"
        process.kill()
    assert witness.uploads() == [f"{PREFIX}/{name}"]
    assert list(store.keys()) == [name]
    with pytest.raises(Refusal, match="No blob"):
        store.size(name)
    store.delete(name)
    assert witness.left() == []


def test_a_copy_from_bucket_to_bucket_reads_and_writes_at_once(store: Store, bucket: Server) -> None:
    other, name, content = opened(bucket, prefix="other"), key(), os.urandom(large(store))
    store.put(name, blocks_of(content))
    assert other.put(name, store.get(name)) == len(content)
    assert read(other, name) == content


@pytest.mark.parametrize(("kind", "most"), [("ours", MIB), ("the library's", 3 * PART)])
def test_what_an_upload_holds_in_memory(bucket: Server, machines_keys: None, kind: str, most: int) -> None:
    """Of its parts: nothing, or as many as the library sends at once while the next one is gathered."""
    words = (bucket.endpoint, bucket.region, bucket.access_key, bucket.secret_key, bucket.bucket)
    command = [sys.executable, "-c", MEASURING, kind, str(PART), *words]
    grown = int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert grown < most


MEASURING = """
import sys
from dataclasses import replace
from gateway.stores import STORES
from tests.stores.conformance import key
from tests.stores.places import in_bucket
from tests.stores.servers.bucket import Server
place = in_bucket(Server(*sys.argv[3:]), part_size=int(sys.argv[2]))
store = STORES["s3"](place if sys.argv[1] == "ours" else replace(place, login=None))
block = b"x" * (1 << 20)
def resident(name):
    return int([line for line in open("/proc/self/status") if line.startswith(name)][0].split()[1]) << 10
def send(parts):
    store.put(key(), (block for _ in range(parts * int(sys.argv[2]) >> 20)))
send(1)  # what is loaded on first use is loaded
before = resident("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
send(5)
print(resident("VmHWM") - before)
"""


def test_a_refusal_that_is_kept_keeps_no_part(store: Store) -> None:
    """Refusals are remembered until their import has ended; what they broke off must not wait for that."""
    kept = [refusal_of(lambda: store.put(key(), refusing(*blocks_of(bytes(11 * MIB))))) for _ in range(8)]
    assert all(isinstance(refusal, ContentRefused) for refusal in kept)
    assert mapped(5 * MIB) == 0


def test_where_parts_cannot_be_gathered_the_spool_folder_is_named(bucket: Server, tmp_path: Path) -> None:
    store, name = opened(bucket, spool=tmp_path / "gone"), key()
    refusal = refusal_of(lambda: store.put(name, blocks_of(bytes(6 * MIB))))
    assert isinstance(refusal, Unavailable)
    assert "cannot gather" in refusal.message
    assert "spool folder" in refusal.remedy
    assert isinstance(refusal_of(lambda: store.size(name)), NotFound)


def mapped(size: int) -> int:
    """How many pieces of memory of this size the process has from files without a name, alone or in a row."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    sizes = [
        int(end, 16) - int(start, 16)
        for start, end in (line[0].split("-") for line in lines if line[-1] == "(deleted)")
    ]
    return sum(found // size for found in sizes)


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


def test_a_server_that_is_away_does_not_keep_the_gateway_from_starting(bucket: Server) -> None:
    with faulty(bucket.endpoint) as front:
        front.plan(at=1, fault="503", lasting=True)
        store = opened(replace(bucket, endpoint=front.url), patience=2.0)
        with pytest.raises(Unavailable) as refused:
            store.get(key())
        assert refused.value.message == "Store remote failed: it answers 503"
        front.plan()
        store.put(name := key(), [b"back"])
        assert read(store, name) == b"back"


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


def test_more_parts_than_an_object_may_have_are_refused(
    store: Store, witness: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_PARTS", 2)
    store.put(key(), blocks_of(bytes(10 * MIB)))
    with pytest.raises(OverLimit) as refused:
        store.put(name := key(), blocks_of(bytes(10 * MIB + 1)))
    assert "part_size" in refused.value.remedy
    assert [found for found in witness.left() if name in found] == []


def test_an_object_that_changes_under_a_reader_is_told(bucket: Server, witness: Auditor) -> None:
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url)), key()
        store.put(name, blocks_of(b"a" * 8 * MIB))
        front.plan(at=1, fault="cut", after=3 * MIB, holding=True)
        runs = store.get(name)
        first = next(runs)
        witness.write(f"{PREFIX}/{name}", b"b" * 8 * MIB)
        front.plan()
        with pytest.raises(Unavailable) as refused:
            b"".join(runs)
        assert refused.value.code == "blob-changed"
        assert set(first) == {ord("a")}


def test_a_download_that_breaks_goes_on_where_it_broke(bucket: Server) -> None:
    with faulty(bucket.endpoint) as front:
        store, name, content = opened(replace(bucket, endpoint=front.url)), key(), os.urandom(8 * MIB)
        store.put(name, blocks_of(content))
        front.plan(at=1, fault="cut", after=3 * MIB)
        assert read(store, name) == content
        front.plan(at=1, fault="cut", after=3 * MIB)
        assert read(store, name, 5, 6 * MIB) == content[5 : 5 + 6 * MIB]


def test_a_server_that_stays_broken_is_asked_six_times(bucket: Server, store: Store) -> None:
    store.put(name := key(), [b"x"])
    with faulty(bucket.endpoint) as front:
        broken = opened(replace(bucket, endpoint=front.url))
        attempts: list[Callable[[], object]] = [
            lambda: broken.size(name),
            lambda: broken.get(name),
            lambda: broken.delete(name),
            lambda: list(broken.keys()),
            lambda: broken.put(key(), [b"x"]),
        ]
        for attempt in attempts:
            front.plan(at=1, fault="503", lasting=True)
            with pytest.raises(Unavailable) as refused:
                attempt()
            assert refused.value.code == "store-broken"
            assert front.requests == 6
    assert read(store, name) == b"x"


def test_an_upload_that_was_begun_twice_leaves_nothing(bucket: Server, witness: Auditor) -> None:
    """The server has begun one; its answer was lost, and the next try has begun another one."""
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url)), key()
        front.plan(**BEGUN, fault="lost answer")
        store.put(name, blocks_of(bytes(6 * MIB)))
    assert witness.left() == [f"{PREFIX}/{name}"]


BEGUN, TAKEN, COMPLETED = {"verb": "POST", "at": 1}, {"verb": "PUT", "at": 1}, {"verb": "POST", "at": 2}
"""Requests of an upload in parts."""


@pytest.mark.parametrize("fault", ["200 InternalError", "503", "reset"])
@pytest.mark.parametrize("at", [BEGUN, TAKEN, COMPLETED], ids=["begun", "taken", "completed"])
def test_what_fails_for_a_moment_is_tried_again(bucket: Server, at: dict[str, Any], fault: str) -> None:
    """Amazon's servers say 200 to an upload's end before they know (CompleteMultipartUpload)."""
    with faulty(bucket.endpoint) as front:
        store, name, content = opened(replace(bucket, endpoint=front.url)), key(), os.urandom(6 * MIB)
        front.plan(**at, fault=fault)
        store.put(name, blocks_of(content))
        assert front.verbs.count(at["verb"]) == 3
        assert read(store, name) == content


@pytest.mark.parametrize("at", [BEGUN, COMPLETED])
def test_an_error_behind_a_success_is_none_in_the_end(bucket: Server, witness: Auditor, at: dict[str, Any]) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url))
        front.plan(**at, fault=["200 InternalError"] * 6)
        with pytest.raises(Unavailable) as refused:
            store.put(key(), blocks_of(bytes(6 * MIB)))
    assert refused.value.code == "store-broken"
    assert witness.left() == []


def test_an_end_whose_answer_was_lost_is_one(bucket: Server) -> None:
    """Amazon's servers forget an upload that is complete: the next try finds none."""
    with faulty(bucket.endpoint) as front:
        store, name, content = opened(replace(bucket, endpoint=front.url)), key(), os.urandom(6 * MIB)
        front.plan(**COMPLETED, fault=["lost answer", "404 NoSuchUpload"])
        store.put(name, blocks_of(content))
        assert read(store, name) == content
        front.plan(**COMPLETED, fault=["reset", "404 NoSuchUpload"])
        with pytest.raises(Unavailable):
            store.put(key(), blocks_of(content))
        front.plan(**COMPLETED, fault="404 NoSuchUpload")
        with pytest.raises(Unavailable, match="NoSuchUpload"):
            store.put(key(), blocks_of(content))


def test_an_error_that_stays_is_said(bucket: Server, witness: Auditor) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url))
        front.plan(**COMPLETED, fault="200 InvalidPart")
        with pytest.raises(Unavailable, match="InvalidPart"):
            store.put(key(), blocks_of(bytes(6 * MIB)))
    assert witness.left() == []


@pytest.mark.parametrize(("at", "said"), [(BEGUN, "which upload"), (TAKEN, "what it has taken")])
def test_an_answer_that_says_nothing_is_no_success(
    bucket: Server, witness: Auditor, at: dict[str, Any], said: str
) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url))
        front.plan(**at, fault="200")
        with pytest.raises(Unavailable, match=said):
            store.put(key(), blocks_of(bytes(6 * MIB)))
    assert witness.objects() == []


def test_an_upload_that_another_has_aborted_is_no_success(store: Store, witness: Auditor) -> None:
    def blocks() -> Iterator[bytes]:
        yield from blocks_of(bytes(6 * MIB))
        witness.clear()

    with pytest.raises(Unavailable, match="NoSuchUpload" if servers.S3 != "moto" else "500"):
        store.put(key(), blocks())
    assert witness.left() == []


def test_what_is_refused_meanwhile_does_not_wait_for_more_tries(bucket: Server) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url), patience=1.0)

        def blocks() -> Iterator[bytes]:
            yield from blocks_of(bytes(6 * MIB))
            until(lambda: "PUT" in front.verbs)
            yield from refusing()

        front.plan(**TAKEN, fault="stall")
        with pytest.raises(ContentRefused):
            store.put(key(), blocks())
        assert front.verbs.count("PUT") == 1


@pytest.mark.parametrize("fault", ["reset", "lost answer", "503", "stall"])
@pytest.mark.parametrize("size", [100, 6 * MIB], ids=["small", "large"])
def test_one_fault_at_any_request_is_survived_or_said(bucket: Server, witness: Auditor, fault: str, size: int) -> None:
    content = os.urandom(size)
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url), patience=1.5 if fault == "stall" else LONGEST)
        needed = requests(front, store, content)
        for number in range(1, needed + 1):
            name = key()
            front.plan(at=number, fault=fault)
            refusal = refusal_of(lambda name=name: store.put(name, blocks_of(content)))  # type: ignore[misc]
            assert front.requests <= needed + 5 + UNDONE
            front.plan()
            if refusal:
                assert isinstance(refusal, Unavailable)
                assert witness.left() == []
            else:
                assert read(store, name) == content
            store.delete(name)
            assert witness.left() == []


@pytest.mark.parametrize("fault", ["reset", "lost answer", "503", "stall"])
def test_so_it_is_by_the_librarys_uploads(bucket: Server, machines_keys: None, fault: str) -> None:
    """What it could not abort stays until the bucket's own rule drops it: without keys of ours nobody can ask."""
    content = os.urandom(6 * MIB)
    with faulty(bucket.endpoint) as front:
        patience = 1.5 if fault == "stall" else LONGEST
        store = opened(replace(bucket, endpoint=front.url), login=None, patience=patience)
        for number in range(1, requests(front, store, content) + 1):
            name = key()
            front.plan(at=number, fault=fault)
            refusal = refusal_of(lambda name=name: store.put(name, blocks_of(content)))  # type: ignore[misc]
            front.plan()
            if refusal:
                assert isinstance(refusal, Unavailable)
                assert isinstance(refusal_of(lambda name=name: store.size(name)), NotFound)  # type: ignore[misc]
            else:
                assert read(store, name) == content


def requests(front: Faulty, store: Store, content: bytes) -> int:
    """How many a put takes where nothing is wrong."""
    front.plan()
    store.put(name := key(), blocks_of(content))
    needed = front.requests
    store.delete(name)
    return needed


@pytest.mark.parametrize("fault", ["reset", "503"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_a_server_that_breaks_for_good_is_never_a_success(
    bucket: Server, witness: Auditor, fault: str, at: int
) -> None:
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url), patience=1.0), key()
        front.plan(at=at, fault=fault, lasting=True)
        with pytest.raises(Unavailable):
            store.put(name, blocks_of(bytes(6 * MIB)))
        front.plan()
        # What the reaper does: the server was not there to be told to forget.
        store.delete(name)
        assert witness.left() == []


def test_a_refusal_while_the_server_is_broken_stays_the_refusal(bucket: Server, witness: Auditor) -> None:
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url), patience=1.0), key()

        def blocks() -> Iterator[bytes]:
            yield from blocks_of(bytes(6 * MIB))
            front.plan(at=1, fault="503", lasting=True)
            yield from refusing()

        with pytest.raises((ContentRefused, Unavailable)):
            store.put(name, blocks())
        front.plan()
        store.delete(name)
        assert witness.left() == []


def test_a_server_that_keeps_fewer_bytes_than_it_was_sent_is_found_out(
    store: Store, witness: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if servers.S3 != "moto":
        pytest.skip("only moto can be made to lose bytes")
    from moto.s3.models import S3Backend

    complete = S3Backend.complete_multipart_upload

    def short(*arguments: object, **more: object) -> object:
        whole = complete(*arguments, **more)  # type: ignore[arg-type]
        whole.value = whole.value[:-1]
        return whole

    monkeypatch.setattr(S3Backend, "complete_multipart_upload", short)
    with pytest.raises(Unavailable, match="keeps 11534335 of 11534336 bytes"):
        store.put(key(), blocks_of(bytes(11 * MIB)))
    assert witness.left() == []


def test_a_lost_answer_to_a_small_put_is_no_conflict(bucket: Server) -> None:
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url)), key()
        front.plan(at=2, fault="lost answer")
        assert store.put(name, [b"abc"]) == 3
        assert front.requests > 3
        with pytest.raises(Conflict):
            store.put(name, [b"abc"])


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


def until(holds: Callable[[], bool]) -> None:
    """The library keeps what it was told for a few seconds."""
    end = datetime.now(UTC).timestamp() + 30
    while not holds():
        assert datetime.now(UTC).timestamp() < end


assert BLOCK_SIZE == MIB
