from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.model.errors import Conflict, ContentRefused, NotFound, TooLarge, Unavailable
from gateway.ports import BLOCK_SIZE, Store
from gateway.stores.place import Login, Place
from gateway.stores.swift import SwiftStore
from gateway.stores.swift.account import PAUSES
from tests.cli.service import eventually
from tests.serving import servers
from tests.serving.process import LONGEST
from tests.stores.conformance import StoreSuite, key, read, refusing
from tests.stores.places import place as local
from tests.stores.servers import rgw, swift
from tests.stores.servers.faulty import faulty
from tests.stores.servers.swift import Swift, held, logged_in

ROOT = Path(__file__).parents[2]
QUICK = tuple(pause / 20 for pause in PAUSES)
OPENED: list[SwiftStore] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


ON = os.environ.get("GATEWAY_TEST_SWIFT_ON", "swift")
"""`rgw`: Ceph's object gateway, which speaks the same API."""

THOROUGH = "GATEWAY_TEST_SWIFT_ON" in os.environ
"""A fault at every request, not only at one of each kind."""

only_swift = pytest.mark.skipif(ON != "swift", reason="about Swift's own servers")


@pytest.fixture(scope="module")
def server() -> Swift:
    """Swift starts in 3 seconds where it is installed; Ceph takes half a minute, and has no folder to look into."""
    if not (swift if ON == "swift" else rgw).is_ready():
        pytest.skip(f"{ON} is not installed: `make stores` does that")
    found = servers.server(ON)
    disk = found.disk if ON == "swift" else Path("/nowhere")
    return Swift(found.auth_url, found.username, found.password, found.container, disk)


@pytest.fixture
def prefix() -> str:
    return f"{uuid4()}/"


def place(server: Swift, prefix: str = "", **more: object) -> Place:
    login = Login(
        name="ours", kind="tempauth", auth_url=server.auth_url, user=server.username, secret=lambda: server.password
    )
    chosen = {"segment_size": BLOCK_SIZE, "login": login, **more}
    return replace(local(Path("/nowhere")), name="swift", bucket=server.container, prefix=prefix, **chosen)  # type: ignore[arg-type]


def opened(server: Swift, prefix: str, **more: object) -> SwiftStore:
    OPENED.append(SwiftStore(place(server, prefix, **more), QUICK))
    return OPENED[-1]


@pytest.fixture
def store(server: Swift, prefix: str) -> SwiftStore:
    return opened(server, prefix)


@pytest.fixture
def left(server: Swift, prefix: str) -> Callable[[], list[str]]:
    """What the server lists of this test, without the prefix."""
    return lambda: listed(server, prefix)


def listed(server: Swift, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in held(server) if name.startswith(prefix)]


def content(size: int = 3 * BLOCK_SIZE + 7) -> bytes:
    return os.urandom(size)


def blocks(whole: bytes) -> Iterator[bytes]:
    return (whole[at : at + BLOCK_SIZE] for at in range(0, len(whole), BLOCK_SIZE))


def refusal_of(attempt: Callable[[], object]) -> Unavailable | None:
    try:
        attempt()
    except Unavailable as refused:
        return refused
    return None


class TestSmallSegments(StoreSuite):
    @pytest.fixture
    def store(self, server: Swift, prefix: str) -> Store:
        return opened(server, prefix)

    @pytest.fixture
    def left(self, server: Swift, prefix: str) -> Callable[[], list[str]]:
        return lambda: listed(server, prefix)


class TestOneSegment(StoreSuite):
    @pytest.fixture
    def store(self, server: Swift, prefix: str) -> Store:
        return opened(server, prefix, segment_size=256 << 20)

    @pytest.fixture
    def left(self, server: Swift, prefix: str) -> Callable[[], list[str]]:
        return lambda: listed(server, prefix)


def test_a_long_blob_has_segments_and_a_short_one_has_none(store: SwiftStore, left: Callable[[], list[str]]) -> None:
    short, long = key(), key()
    store.put(short, [b"x" * BLOCK_SIZE])
    assert left() == [short]
    store.delete(short)
    store.put(long, blocks(content()))
    assert [name.count("/") for name in left()] == [0, 2, 2, 2, 2]
    assert {name[:36] for name in left()} == {long}


def test_the_manifest_comes_last(store: SwiftStore, left: Callable[[], list[str]]) -> None:
    name, seen = key(), []

    def watched() -> Iterator[bytes]:
        for block in blocks(content()):
            yield block
            seen.append(left())
        seen.append(left())

    store.put(name, watched())
    assert len(seen[-1]) >= 3
    assert all(name not in names for names in seen)
    assert name in left()


def test_a_refusal_in_the_stream_leaves_no_segment(store: SwiftStore, left: Callable[[], list[str]]) -> None:
    with pytest.raises(ContentRefused):
        store.put(key(), refusing(*blocks(content())))
    assert left() == []


def test_an_existing_key_is_refused_before_a_byte_is_read(store: SwiftStore, left: Callable[[], list[str]]) -> None:
    name = key()
    store.put(name, [b"x"])
    with pytest.raises(Conflict):
        store.put(name, refusing())
    assert left() == [name]


def test_whoever_comes_second_leaves_the_first_ones_bytes(server: Swift, store: SwiftStore, prefix: str) -> None:
    """Another process writes the key while we do: it has won, and only our own segments go."""
    name, mine, theirs = key(), content(), content()

    def overtaken() -> Iterator[bytes]:
        yield from blocks(mine)
        opened(server, prefix).put(name, blocks(theirs))

    with pytest.raises(Conflict):
        store.put(name, overtaken())
    assert read(store, name) == theirs
    store.delete(name)
    assert list(store.keys()) == []


KILLED = """
import sys
from tests.stores.servers.swift import Swift
from tests.stores.test_swift import opened
auth_url, username, password, container, prefix, key = sys.argv[1:]
store = opened(Swift(auth_url, username, password, container, None), prefix)
def blocks():
    for _ in range(3):
        yield b"x" * (1 << 20)
    yield b"x"
    print("half", flush=True)
    sys.stdin.read()
store.put(key, blocks())
"""


def test_a_killed_put_leaves_only_what_its_key_finds(
    server: Swift, store: SwiftStore, prefix: str, left: Callable[[], list[str]]
) -> None:
    name = key()
    place = (server.auth_url, server.username, server.password, server.container, prefix, name)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.kill()
    assert len(left()) >= 3
    for attempt in (store.get, store.size):
        with pytest.raises(NotFound):
            attempt(name)
    assert list(store.keys()) == [name]
    store.delete(name)
    assert left() == []


def test_segments_no_manifest_names_go_with_the_blob(
    server: Swift, store: SwiftStore, prefix: str, left: Callable[[], list[str]]
) -> None:
    name, whole = key(), content()
    store.put(name, blocks(whole))
    url, headers = logged_in(server)
    stray = f"{url}/{server.container}/{prefix}{name}/0123456789abcdef/00000001"
    httpx.put(stray, headers=headers, content=b"left by a killed put", trust_env=False).raise_for_status()
    assert list(store.keys()) == [name]
    assert read(store, name) == whole
    store.delete(name)
    assert left() == []


@only_swift
def test_segments_that_are_not_listed_yet_go_by_their_manifest(server: Swift, store: SwiftStore, prefix: str) -> None:
    """Listings lag behind in a busy cluster; a manifest does not."""
    name = key()
    store.put(name, blocks(content()))
    url, headers = logged_in(server)
    names = [entry for entry in held(server) if entry.startswith(f"{prefix}{name}/")]
    unlist(server, names)
    store.delete(name)
    for segment in names:
        found = httpx.head(f"{url}/{server.container}/{segment}", headers=headers, trust_env=False)
        assert found.status_code == 404


def unlist(server: Swift, names: list[str]) -> None:
    """Takes names out of the container's own database."""
    import sqlite3

    for path in server.disk.rglob("containers/**/*.db"):
        with sqlite3.connect(path) as database:
            # The triggers call functions of the server's.
            for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {trigger}")
            database.executemany("DELETE FROM object WHERE name = ?", [(name,) for name in names])
        database.close()


def test_more_than_the_most_segments_is_said(store: SwiftStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.swift.draft.MOST_SEGMENTS", 2)
    with pytest.raises(TooLarge) as refused:
        store.put(key(), blocks(content()))
    assert refused.value.code == "blob-too-large"
    assert list(store.keys()) == []


def test_a_segment_that_is_gone_is_no_whole_blob(server: Swift, prefix: str) -> None:
    store = opened(server, prefix, patience=5.0)
    url, headers = logged_in(server)
    for number in (1, 3):
        name = key()
        store.put(name, blocks(content()))
        lost = next(entry for entry in held(server) if entry.endswith(f"{number:08d}") and name in entry)
        httpx.delete(f"{url}/{server.container}/{lost}", headers=headers, trust_env=False).raise_for_status()
        with pytest.raises((Unavailable, NotFound)) as refused:
            list(store.get(name))
        assert refused.value.code == ("blob-truncated" if ON == "swift" else "blob-not-found")
        store.delete(name)
    assert list(store.keys()) == []


def test_a_range_beyond_the_end_is_truncated(store: SwiftStore) -> None:
    name = key()
    store.put(name, [b"x" * 10])
    for offset, length in ((5, 10), (10, 1), (50, 1)):
        with pytest.raises(Unavailable) as refused:
            list(store.get(name, offset, length))
        assert refused.value.code == "blob-truncated"
    assert list(store.get(name, 10, 0)) == list(store.get(name, 10)) == list(store.get(name, 50)) == []


def test_a_container_that_is_not_there_is_refused_at_once(server: Swift, prefix: str) -> None:
    with pytest.raises(Unavailable, match="no container never-made") as refused:
        opened(replace(server, container="never-made"), prefix)
    assert "openstack container create never-made" in refused.value.remedy


def test_a_container_that_is_gone_is_no_missing_blob(server: Swift, prefix: str) -> None:
    swift.make_container(server, "soon-gone")
    gone = opened(replace(server, container="soon-gone"), prefix)
    url, headers = logged_in(server)
    httpx.delete(f"{url}/soon-gone", headers=headers, trust_env=False).raise_for_status()
    attempts: list[Callable[[], object]] = [
        lambda: gone.get(key()),
        lambda: gone.size(key()),
        lambda: gone.delete(key()),
        lambda: list(gone.keys()),
        lambda: gone.put(key(), [b"x"]),
        lambda: gone.put(key(), blocks(content())),
    ]
    for attempt in attempts:
        with pytest.raises(Unavailable, match="no container soon-gone"):
            attempt()


@pytest.mark.parametrize(
    ("username", "password"),
    [("cloud:gateway", "wrong-word"), ("cloud:nobody", "no-word"), ("cloud:reader", "swift-reader")],
)
def test_credentials_that_do_not_open_the_container_are_the_operators(
    server: Swift, prefix: str, username: str, password: str
) -> None:
    shut_out = replace(server, username=username, password=password)
    with pytest.raises(Unavailable) as refused:
        opened(shut_out, prefix)
    assert refused.value.code == "store-broken"
    assert "credentials" in refused.value.remedy
    assert password not in refused.value.message + refused.value.remedy + repr(place(shut_out))


@only_swift
def test_a_quota_that_is_used_up_is_a_full_store(server: Swift, prefix: str) -> None:
    swift.make_container(server, "small")
    url, headers = logged_in(server)
    limit = {**headers, "X-Container-Meta-Quota-Bytes": str(2 * BLOCK_SIZE)}
    httpx.post(f"{url}/small", headers=limit, trust_env=False).raise_for_status()
    store = opened(replace(server, container="small"), prefix)
    with pytest.raises(Unavailable) as refused:
        store.put(key(), blocks(content(6 * BLOCK_SIZE)))
    assert refused.value.code == "store-full"
    assert list(store.keys()) == []


def test_a_secret_is_read_anew_for_each_login(server: Swift, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old")
    known = place(server).login
    assert known is not None
    login = replace(known, secret=secret.read_text)
    with pytest.raises(Unavailable, match="401"):
        opened(server, "", login=login)
    secret.write_text(server.password)
    opened(server, "", login=login)
    secret.unlink()
    with pytest.raises(Unavailable, match="secret"):
        opened(server, "", login=login)


def run_out(server: Swift) -> None:
    """Until the token that this user has is refused: the store's, as Swift gives the same one to all who log in."""
    url, headers = logged_in(server)
    eventually(lambda: httpx.get(url, headers=headers, trust_env=False).status_code == 401)


@only_swift
def test_a_token_may_run_out_between_segments_and_between_calls(prefix: str) -> None:
    if not swift.is_ready():
        pytest.skip("Swift is not installed: `make stores` does that")
    with swift.server(token_life=3) as server:
        store, name, whole = opened(server, prefix), key(), content()

        def slow() -> Iterator[bytes]:
            for block in blocks(whole):
                yield block
                run_out(server)

        assert store.put(name, slow()) == len(whole)
        run_out(server)
        assert read(store, name) == whole
        run_out(server)
        store.delete(name)
        assert held(server) == []


def test_a_revoked_token_is_renewed_once(server: Swift, store: SwiftStore, prefix: str) -> None:
    """The servers' keys were changed: the token ends before its time."""
    name, whole = key(), content()
    with faulty(server.auth_url) as front:
        store = opened(replace(server, auth_url=front.url), prefix)
        outcomes = []
        for number in range(1, 16):
            front.plan(at=number, fault="401")
            outcomes.append(refusal_of(lambda: store.put(name, blocks(whole))))
            assert outcomes[-1] or read(store, name) == whole
            front.plan()
            store.delete(name)
            assert list(store.keys()) == []
    # A segment that is under way cannot be sent again: of four, each may have been the one.
    assert sum(outcome is not None for outcome in outcomes) <= 4


def test_a_token_that_is_revoked_while_a_segment_is_sent_is_renewed_before_the_next(server: Swift, prefix: str) -> None:
    name, whole = key(), content()
    with faulty(server.auth_url) as front:
        store = opened(replace(server, auth_url=front.url), prefix)

        def revoking() -> Iterator[bytes]:
            for number, block in enumerate(blocks(whole)):
                if number == 3:
                    front.plan(at=1, fault="401")
                yield block

        assert store.put(name, revoking()) == len(whole)
        assert read(store, name) == whole


def test_bytes_that_change_on_their_way_are_noticed(server: Swift, prefix: str) -> None:
    name, whole = key(), content(2 * BLOCK_SIZE)
    with faulty(server.auth_url) as front:
        store = opened(replace(server, auth_url=front.url), prefix)
        outcomes = []
        for number in range(1, 8):
            front.plan(at=number, fault="flip")
            outcomes.append(refusal_of(lambda: store.put(name, blocks(whole))))
            assert outcomes[-1] or read(store, name) == whole
            front.plan()
            store.delete(name)
    assert [outcome.message for outcome in outcomes if outcome] == [
        "Store swift failed: it has other bytes than it was sent"
    ] * 2


FAULTS = ("reset", "lost answer", "503", "stall")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(1, 19) if THOROUGH else (2, 5, 8, 10, 11, 14))
def test_one_fault_is_survived_or_said(
    server: Swift, prefix: str, left: Callable[[], list[str]], fault: str, number: int
) -> None:
    name, whole = key(), content(2 * BLOCK_SIZE + 7)
    with faulty(server.auth_url) as front:
        patience = 2.0 if fault == "stall" else LONGEST
        store = opened(replace(server, auth_url=front.url), prefix, patience=patience)
        front.plan(at=number, fault=fault)
        if refusal_of(lambda: store.put(name, blocks(whole))):
            assert left() == []
        else:
            assert read(store, name) == whole
            assert list(store.keys()) == [name]
        store.delete(name)
        assert left() == []


@pytest.mark.parametrize("fault", ["reset", "503"])
def test_a_server_that_stays_broken_is_asked_six_times(
    server: Swift, store: SwiftStore, prefix: str, fault: str
) -> None:
    name = key()
    store.put(name, [b"x"])
    with faulty(server.auth_url) as front:
        broken = opened(replace(server, auth_url=front.url), prefix)
        attempts: list[Callable[[], object]] = [
            lambda: broken.size(name),
            lambda: broken.get(name),
            lambda: broken.delete(name),
            lambda: list(broken.keys()),
            lambda: broken.put(key(), [b"x"]),
        ]
        for attempt in attempts:
            front.plan(at=1, fault=fault, lasting=True)
            with pytest.raises(Unavailable) as refused:
                attempt()
            assert refused.value.code == "store-broken"
            assert front.requests == 6
    assert read(store, name) == b"x"


class Keystone(BaseHTTPRequestHandler):
    """Answers every login with a token of the real Swift behind it."""

    server: Any

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        url, headers = logged_in(self.server.behind)
        places = [("public", "One", "http://127.0.0.1:9/v1/x"), ("internal", "One", "x"), ("internal", "Two", url)]
        endpoints = [{"interface": kind, "region": region, "url": at} for kind, region, at in places]
        token = {
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2026-01-01T01:00:00.000000Z",
            "catalog": [{"type": "image", "endpoints": []}, {"type": "object-store", "endpoints": endpoints}],
        }
        body = json.dumps({"token": token}).encode()
        self.send_response(201)
        self.send_header("X-Subject-Token", headers["X-Auth-Token"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_keystone_tells_where_swift_is(server: Swift, prefix: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Keystone) as keystone:
        keystone.asked, keystone.behind = [], server  # type: ignore[attr-defined]
        threading.Thread(target=keystone.serve_forever, daemon=True).start()
        login = Login(
            name="ours",
            kind="keystone",
            auth_url=f"http://127.0.0.1:{keystone.server_port}/v3",
            user="gateway",
            secret=lambda: "the word",
            project="images",
        )
        chosen = {"login": login, "interface": "internal"}
        store, name = opened(server, prefix, region="Two", **chosen), key()
        store.put(name, [b"abc"])
        assert read(store, name) == b"abc"
        with pytest.raises(Unavailable, match="no object-store on interface internal in Three"):
            opened(server, prefix, region="Three", **chosen)
        keystone.shutdown()
    path, asked = keystone.asked[0]  # type: ignore[attr-defined]
    domain = {"name": "Default"}
    assert path == "/v3/auth/tokens"
    assert asked["auth"] == {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": "gateway", "domain": domain, "password": "the word"}},
        },
        "scope": {"project": {"name": "images", "domain": domain}},
    }


def test_a_server_that_is_away_is_said(server: Swift, prefix: str) -> None:
    store = opened(replace(server, auth_url="http://127.0.0.1:1/auth/v1.0"), prefix)
    with pytest.raises(Unavailable) as refused:
        store.get(key())
    assert refused.value.code == "store-broken"


def test_a_download_that_breaks_goes_on_where_it_broke(server: Swift, prefix: str) -> None:
    name, whole = key(), content(8 * BLOCK_SIZE)
    with faulty(server.auth_url) as front:
        store = opened(replace(server, auth_url=front.url), prefix)
        store.put(name, blocks(whole))
        front.plan(at=1, fault="cut", after=3 * BLOCK_SIZE)
        assert read(store, name) == whole
        front.plan(at=1, fault="cut", after=3 * BLOCK_SIZE)
        assert read(store, name, 5, 4 * BLOCK_SIZE) == whole[5 : 5 + 4 * BLOCK_SIZE]
        front.plan(at=1, fault="cut", lasting=True)
        with pytest.raises(Unavailable):
            read(store, name)


def test_no_connection_is_left_open(store: SwiftStore) -> None:
    name = key()
    store.put(name, blocks(content()))
    store.close()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    next(store.get(name))
    store.get(name)
    with pytest.raises(ContentRefused):
        store.put(key(), refusing(*blocks(content())))
    store.close()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_where_it_is_has_no_secret(server: Swift, store: SwiftStore, prefix: str) -> None:
    name = key()
    assert store.url(name) == f"swift+config://swift/{server.container}/{prefix}{name}"
    assert server.password not in json.dumps(dict(store.properties))
