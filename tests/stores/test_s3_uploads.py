"""Objects that are put in parts, and what is left of those nobody completes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.model.errors import Conflict, ContentRefused, Refusal, Unavailable
from gateway.ports import Store
from tests.serving import servers
from tests.stores.buckets import MIB, PREFIX, opened, until
from tests.stores.conformance import blocks_of, key, read, refusing
from tests.stores.servers.bucket import Auditor, Server
from tests.stores.servers.faulty import faulty

ROOT = Path(__file__).parents[2]
PART = 16 * MIB
BEGUN, TAKEN, COMPLETED = {"verb": "POST", "at": 1}, {"verb": "PUT", "at": 1}, {"verb": "POST", "at": 2}
"""Requests of an upload in parts."""


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


@pytest.mark.parametrize(("verb", "fault"), [("PUT", ""), ("PUT", "200 InvalidPart"), ("POST", "200 InvalidPart")])
def test_so_is_one_that_another_puts_at_the_end(bucket: Server, witness: Auditor, verb: str, fault: str) -> None:
    """While the last part travels, which is seen; or while the upload is completed, if that fails."""
    with faulty(bucket.endpoint) as front, ThreadPoolExecutor(1) as pool:
        store, name = opened(replace(bucket, endpoint=front.url)), key()
        front.plan(verb=verb, at=1, fault=["", fault], holding=True)
        putting = pool.submit(store.put, name, blocks_of(bytes(6 * MIB)))
        until(lambda: front.verbs.count(verb) == 2)
        witness.write(f"{PREFIX}/{name}", b"the other's")
        front.plan()
        with pytest.raises((Conflict, Unavailable)):
            putting.result()
        assert read(store, name) == b"the other's"
        assert witness.uploads() == []


def test_an_upload_that_was_begun_and_never_heard_of_leaves_nothing(bucket: Server, witness: Auditor) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url))
        front.plan(**BEGUN, fault=["lost answer"] * 6)
        with pytest.raises(Unavailable, match="the connection broke"):
            store.put(key(), blocks_of(bytes(6 * MIB)))
    assert witness.left() == []


def test_an_upload_that_was_begun_twice_for_nothing_leaves_nothing(bucket: Server, witness: Auditor) -> None:
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url)), key()

        def blocks() -> Iterator[bytes]:
            yield from blocks_of(bytes(6 * MIB))
            witness.write(f"{PREFIX}/{name}", b"the other's")

        front.plan(**BEGUN, fault="lost answer")
        with pytest.raises(Conflict):
            store.put(name, blocks())
    assert witness.left() == [f"{PREFIX}/{name}"]


def test_a_store_that_is_closed_ends_its_uploads_by_name(store: Store, witness: Auditor) -> None:
    def blocks() -> Iterator[bytes]:
        yield from blocks_of(bytes(6 * MIB))
        store.close()
        yield from blocks_of(bytes(6 * MIB))

    with pytest.raises(Unavailable, match="stopping"):
        store.put(key(), blocks())
    assert witness.objects() == []


def test_an_answer_before_the_body_is_heard(bucket: Server, witness: Auditor) -> None:
    """Though nobody takes the rest of the body: it says why, and is not asked again."""
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url), part_size=PART)
        front.plan(**TAKEN, fault="403 unread")
        with pytest.raises(Unavailable, match="refuses credentials"):
            store.put(key(), blocks_of(bytes(PART)))
        assert front.verbs.count("PUT") == 1
    assert witness.left() == []


def test_an_object_that_another_puts_meanwhile_is_the_others(either: Store, witness: Auditor) -> None:
    name = key()

    def blocks() -> Iterator[bytes]:
        yield from blocks_of(bytes(6 * MIB))
        witness.write(f"{PREFIX}/{name}", b"the other's")

    with pytest.raises(Conflict):
        either.put(name, blocks())
    assert read(either, name) == b"the other's"
    assert witness.uploads() == []


def test_a_server_that_is_silent_for_good_is_given_up_in_time(bucket: Server) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url), patience=0.5)
        front.plan(**TAKEN, fault=["stall"] * 6)
        with pytest.raises(Unavailable, match="does not answer in time"):
            store.put(key(), blocks_of(bytes(5 * MIB)))
        assert front.verbs.count("PUT") < 6


def test_an_upload_that_was_begun_twice_leaves_nothing(bucket: Server, witness: Auditor) -> None:
    """The server has begun one; its answer was lost, and the next try has begun another one."""
    with faulty(bucket.endpoint) as front:
        store, name = opened(replace(bucket, endpoint=front.url)), key()
        front.plan(**BEGUN, fault="lost answer")
        store.put(name, blocks_of(bytes(6 * MIB)))
    assert witness.left() == [f"{PREFIX}/{name}"]


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


@pytest.mark.parametrize(
    ("at", "fault", "said"),
    [
        (BEGUN, "200", "which upload"),
        (BEGUN, "200 no text", "cannot be read"),
        (TAKEN, "200", "what it has taken"),
        (COMPLETED, "200", "answers 500"),
        (COMPLETED, "200 no text", "cannot be read"),
    ],
)
def test_an_answer_that_says_nothing_is_no_success(
    bucket: Server, witness: Auditor, at: dict[str, Any], fault: str, said: str
) -> None:
    with faulty(bucket.endpoint) as front:
        store = opened(replace(bucket, endpoint=front.url))
        front.plan(**at, fault=fault)
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
