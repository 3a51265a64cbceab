"""S3 servers that fail, at any request and in any way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gateway.model.errors import Conflict, ContentRefused, NotFound, Unavailable
from gateway.ports import Store
from tests.serving import servers
from tests.serving.process import LONGEST
from tests.stores.buckets import MIB, PREFIX, UNDONE, opened, refusal_of
from tests.stores.conformance import blocks_of, key, read, refusing
from tests.stores.servers.bucket import Auditor, Server
from tests.stores.servers.faulty import Faulty, faulty


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
