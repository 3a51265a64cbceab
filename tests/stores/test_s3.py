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

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.model.errors import Conflict, ContentRefused, NotFound, OverLimit, Refusal, Unavailable
from gateway.ports import BLOCK_SIZE, Store
from gateway.stores import STORES, Login
from gateway.stores.objects import writing
from gateway.stores.objects.signing import Signer
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


def test_one_upload_holds_two_parts_in_memory(store: Store) -> None:
    """What the process keeps of a blob of 100 parts."""
    script = MEASURING.format(part=5 * MIB)
    grown = int(subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stdout)
    assert grown < 3 * 5 * MIB


MEASURING = """
import pathlib, threading
from gateway.stores.objects.parts import Parts
parts, alive, most = Parts("s", {part}, folder=pathlib.Path("/tmp"), most=9, patience=60), [], 0
def resident():
    return int([line for line in open("/proc/self/status") if line.startswith("VmRSS")][0].split()[1]) << 10
before, block = resident(), b"x" * (1 << 20)
lock, gone = threading.Lock(), threading.Event()
def let_go():
    while not gone.wait(0.001):
        with lock:
            if alive:
                alive.pop(0)
thread = threading.Thread(target=let_go)
thread.start()
for part in parts.of(block for _ in range(500)):
    max(part[::4096])
    with lock:
        alive.append(part)
    del part
    most = max(most, resident())
gone.set()
thread.join()
print(most - before)
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


@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize("name", ["", "cloud/images/ä b+c~d", "a"])
def test_requests_are_signed_as_amazons_own_library_signs_them(
    name: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 22, 18, 0, 1, tzinfo=UTC)
    query = {"uploads": "", "prefix": "cloud/im ages/ä+~", "key-marker": "a&b=c"}
    signer = Signer(access_key="AK", secret=lambda: "SK", session_token=token, region="eu-1")
    url, headers = signer.signed("GET", "https://s3.example:8443/bucket", name, query, now)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
    theirs = AWSRequest("GET", url, headers={"x-amz-content-sha256": sha256(b"").hexdigest()})
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
