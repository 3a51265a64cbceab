"""Connections that break in the middle of a file: the fetch goes on, or fails by name, and no byte comes twice."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.methods.lines import Lines
from gateway.methods.location import parse
from gateway.methods.outbound import Outbound
from gateway.methods.rules import Deadlines, FetchRules
from gateway.model.errors import Interrupted, OverLimit, PolicyRefused, Refusal
from tests.methods.conftest import Source
from tests.serving.process import LONGEST

LOOPBACK = (ip_network("127.0.0.0/8"),)

SIZE = 700_000
FILE = os.urandom(SIZE)
OTHER = os.urandom(SIZE)
TAG = 'ETag: "v1"'
OLD = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
NOW = "Date: Sun, 06 Nov 1994 09:49:37 GMT"
EAGER = Deadlines(dns=0.1, connect=0.1, pause=0.001)


@dataclass
class Breaking:
    """A server of one file that breaks its answers, each after the next of `breaks` bytes of body.

    `said` are the fields of every answer, `file` what it serves now. A `rest` answers a range in its own way.
    """

    breaks: list[int] = field(default_factory=list)
    said: tuple[str, ...] = (TAG,)
    file: bytes = FILE
    ranges: bool = True
    chunked: bool = False
    reset: bool = False
    stall: bool = False
    rest: Callable[[Breaking, int], bytes] | None = None
    asked: list[tuple[int, str]] = field(default_factory=list)

    def answer(self, connection: socket.socket, asked: str) -> None:
        start = self._start(asked)
        if start is not None and self.rest is not None:
            connection.sendall(self.rest(self, start))
            return
        body = self.file[start or 0 :]
        opening = head(
            *self._framing(start, len(body)), status="206 Partial Content" if start is not None else "200 OK"
        )
        at = self.breaks.pop(0) if self.breaks else len(body)
        self._send(connection, opening, body, at)

    def _start(self, asked: str) -> int | None:
        wanted = re.search(r"\r\nrange: bytes=(\d+)-\r\n", asked, re.I)
        condition = re.search(r"\r\nif-range: (.*?)\r\n", asked, re.I)
        if wanted is None:
            return None
        assert condition is not None
        self.asked.append((int(wanted[1]), condition[1]))
        matches = any(condition[1] == said.partition(": ")[2] for said in self.said)
        return int(wanted[1]) if self.ranges and matches else None

    def _framing(self, start: int | None, length: int) -> list[str]:
        framing = ["Transfer-Encoding: chunked"] if self.chunked else [f"Content-Length: {length}"]
        part = [] if start is None else [f"Content-Range: bytes {start}-{len(self.file) - 1}/{len(self.file)}"]
        return [*self.said, *framing, *part]

    def _send(self, connection: socket.socket, opening: bytes, body: bytes, at: int) -> None:
        whole = at >= len(body)
        connection.sendall(opening + self._coded(body[:at], whole))
        if whole:
            return
        if self.stall:
            connection.recv(1)
        if self.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _coded(self, body: bytes, whole: bool) -> bytes:
        if not self.chunked:
            return body
        parts = [body[start : start + 65536] for start in range(0, len(body), 65536)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if whole else b"")


def head(*fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode()


@contextmanager
def served(server: Breaking) -> Iterator[Source]:
    source = Source(lambda connection, _: server.answer(connection, source.heads[-1]), "127.0.0.1", None)
    try:
        yield source
    finally:
        source.close()


def outbound(*sources: Source, **rules: Any) -> Outbound:
    given = {"ports": tuple(source.port for source in sources), "deadlines": EAGER, **rules}
    return Outbound(FetchRules(allowed_networks=LOOPBACK, **given), lambda host, deadline: ["127.0.0.1"])


def read(fetching: Outbound, url: str, **options: Any) -> tuple[bytes, int]:
    """The bytes, and how often the fetch went on. Whatever came before a refusal was the file's own."""
    fetch = fetching.open(parse(url), **{"max_size": None, "check": lambda target: None, **options})
    received = bytearray()
    for block in fetch.blocks():
        assert FILE.startswith(bytes(block), len(received))
        received += block
    return bytes(received), fetch.resumed


def ended(fetching: Outbound, url: str) -> tuple[bytes, Refusal | None]:
    try:
        return read(fetching, url)[0], None
    except Refusal as refusal:
        return b"", refusal


def refused(server: Breaking, **rules: Any) -> Refusal:
    with served(server) as source, pytest.raises(Refusal) as raised:
        read(outbound(source, **rules), source.url("/image?sig=hunter2"))
    assert raised.value.message
    assert raised.value.remedy
    assert "hunter2" not in raised.value.message + raised.value.remedy
    return raised.value


POINTS = [0, 1, SIZE - 1, *Random(7).sample(range(SIZE), 22)]


@pytest.mark.parametrize("at", POINTS)
def test_a_broken_connection_is_taken_up_where_it_broke(at: int) -> None:
    server = Breaking([at])
    with served(server) as source:
        received, resumed = read(outbound(source), source.url("/image?sig=1"))
    assert (hashlib.sha256(received).digest(), resumed) == (hashlib.sha256(FILE).digest(), 1)
    assert server.asked == [(at, '"v1"')]
    assert [asked.split("\r\n")[0] for asked in source.heads] == ["GET /image?sig=1 HTTP/1.1"] * 2


STRONG = [(TAG,), (OLD, NOW), (TAG, OLD, NOW), (TAG, "Accept-Ranges: bytes")]
WEAK = [
    (),
    ('ETag: W/"v1"', OLD, NOW),
    ("ETag: v1", OLD, NOW),
    ('ETag: "v1", "v2"',),
    (OLD,),
    (OLD, "Date: Sun, 06 Nov 1994 08:50:36 GMT"),
    (OLD, "Date: yesterday"),
    ("Last-Modified: Sun, 06 Nov 1994 08:49:37 +0000", NOW),
    (TAG, "Accept-Ranges: none"),
]


@settings(deadline=None, max_examples=60)
@given(
    breaks=st.lists(st.integers(0, SIZE), max_size=7),
    chunked=st.booleans(),
    reset=st.booleans(),
    said=st.sampled_from(STRONG + WEAK),
    ranges=st.booleans(),
)
def test_whatever_breaks_the_bytes_are_whole_or_the_failure_has_a_name(
    breaks: list[int], chunked: bool, reset: bool, said: tuple[str, ...], ranges: bool
) -> None:
    server = Breaking(list(breaks), said, chunked=chunked, reset=reset, ranges=ranges)
    can = ranges and said in STRONG and len(breaks) <= 5 and not reset
    with served(server) as source:
        received, refusal = ended(outbound(source), source.url())
    if refusal is None:
        assert received == FILE
    else:
        assert breaks
        assert not can
        assert refusal.code in {"source-truncated", "source-broken"}


@pytest.mark.parametrize("said", STRONG)
def test_a_proof_that_the_file_is_the_same_is_sent_along(said: tuple[str, ...]) -> None:
    server = Breaking([1000], said)
    with served(server) as source:
        assert read(outbound(source), source.url()) == (FILE, 1)
    assert server.asked == [(1000, said[0].partition(": ")[2])]


@pytest.mark.parametrize("said", WEAK)
def test_without_a_proof_nothing_more_is_asked(said: tuple[str, ...]) -> None:
    server = Breaking([1000], said)
    assert refused(server).code == "source-truncated"
    assert server.asked == []


def test_a_source_that_knows_no_ranges_fails_as_ever() -> None:
    """Its file is the same, so nothing is said of a change."""
    server = Breaking([1000], ranges=False)
    assert refused(server).code == "source-truncated"
    assert len(server.asked) == 1


def test_a_stall_is_taken_up_too() -> None:
    with served(Breaking([1000, 5000], stall=True)) as source:
        assert read(outbound(source, deadlines=replace(EAGER, idle=1)), source.url()) == (FILE, 2)


def test_a_source_that_breaks_for_ever_is_given_up() -> None:
    server = Breaking([100] * 50)
    said = refused(server, resumes=3)
    assert (said.code, "3 times" in said.message) == ("source-truncated", True)
    assert [start for start, _ in server.asked] == [100, 200, 300]


def test_nothing_is_taken_up_where_the_operator_does_not_want_it() -> None:
    server = Breaking([100])
    assert refused(server, resumes=0).code == "source-truncated"
    assert server.asked == []


def part(content_range: str, *fields: str, body: bytes = FILE[1000:], tag: str = TAG) -> bytes:
    said = [content_range, tag, *fields, f"Content-Length: {len(body)}"]
    return head(*filter(None, said), status="206 Partial Content") + body


LAST = SIZE - 1
LIES: dict[str, tuple[bytes, str]] = {
    "one byte before": (part(f"Content-Range: bytes 999-{LAST}/{SIZE}", body=FILE[999:]), "source-broken"),
    "one byte after": (part(f"Content-Range: bytes 1001-{LAST}/{SIZE}", body=FILE[1001:]), "source-broken"),
    "from the start": (part(f"Content-Range: bytes 0-{LAST}/{SIZE}", body=FILE), "source-broken"),
    "another length": (part(f"Content-Range: bytes 1000-{LAST}/{SIZE}", body=FILE[1001:]), "source-broken"),
    "beyond the end": (part(f"Content-Range: bytes 1000-{SIZE}/{SIZE}", body=FILE[1000:] + b"x"), "source-broken"),
    "backwards": (part(f"Content-Range: bytes 1000-999/{SIZE}", body=b""), "source-broken"),
    "of unknown size": (part(f"Content-Range: bytes 1000-{LAST}/*"), "source-broken"),
    "no range": (part(""), "source-broken"),
    "other units": (part(f"Content-Range: lines 1000-{LAST}/{SIZE}"), "source-broken"),
    "two ranges": (part(f"Content-Range: bytes 1000-{LAST}/{SIZE}, bytes 0-1/{SIZE}"), "source-broken"),
    "parts": (part("Content-Type: multipart/byteranges; boundary=x"), "source-broken"),
    "parts and a range": (
        part(f"Content-Range: bytes 1000-{LAST}/{SIZE}", "Content-Type: multipart/byteranges; boundary=x"),
        "source-broken",
    ),
    "more than it says": (
        head(f"Content-Range: bytes 1000-{LAST}/{SIZE}", TAG, status="206 Partial Content") + FILE[1000:] + b"x",
        "source-broken",
    ),
    "more than its piece": (
        head(f"Content-Range: bytes 1000-1999/{SIZE}", TAG, status="206 Partial Content") + bytes(1500),
        "source-broken",
    ),
    "one byte after, of no length": (
        head(f"Content-Range: bytes 1001-{LAST}/{SIZE}", TAG, status="206 Partial Content") + FILE[1001:],
        "source-broken",
    ),
    "another total": (part(f"Content-Range: bytes 1000-{SIZE}/{SIZE + 1}", body=FILE[1000:] + b"x"), "source-changed"),
    "another tag": (part(f"Content-Range: bytes 1000-{LAST}/{SIZE}", tag='ETag: "v2"'), "source-changed"),
    "a weak tag": (part(f"Content-Range: bytes 1000-{LAST}/{SIZE}", tag='ETag: W/"v1"'), "source-changed"),
    "no tag": (part(f"Content-Range: bytes 1000-{LAST}/{SIZE}", tag=""), "source-changed"),
    "a coding": (part(f"Content-Range: bytes 1000-{LAST}/{SIZE}", "Content-Encoding: gzip"), "source-refused"),
    "no range to have": (head(f"Content-Range: bytes */{SIZE}", status="416 Range Not Satisfiable"), "source-changed"),
    "another file": (head('ETag: "v2"', f"Content-Length: {SIZE}") + OTHER, "source-changed"),
    "nothing there": (head("Content-Length: 0", status="404 Not Found"), "source-failed"),
    "nothing said": (head(status="204 No Content"), "source-failed"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_rest_that_does_not_fit_is_refused_by_name(case: str) -> None:
    answer, code = LIES[case]
    server = Breaking([1000], rest=lambda server, start: answer)
    assert refused(server).code == code
    assert len(server.asked) == 1


def test_a_date_may_be_left_out_but_not_be_another() -> None:
    fits = f"Content-Range: bytes 1000-{LAST}/{SIZE}"
    with served(Breaking([1000], (OLD, NOW), rest=lambda server, start: part(fits, tag=""))) as source:
        assert read(outbound(source), source.url()) == (FILE, 1)
    newer = part(fits, OLD.replace("37", "38"), tag="")
    assert refused(Breaking([1000], (OLD, NOW), rest=lambda server, start: newer)).code == "source-changed"


def test_a_file_that_changes_under_its_fetch_has_changed() -> None:
    """The same length, another tag: not one byte of the new file comes after those of the old one."""
    server = Breaking([1000])

    def changes(target: Any) -> None:
        if server.breaks == []:
            server.file, server.said = OTHER, ('ETag: "v2"',)

    with served(server) as source, pytest.raises(Refusal) as raised:
        read(outbound(source), source.url(), check=changes)
    assert raised.value.code == "source-changed"
    assert raised.value.transient  # type: ignore[attr-defined]


def test_a_rest_may_come_in_pieces() -> None:
    """A server may send less than it was asked for (RFC 9110 15.3.7)."""

    def piece(server: Breaking, start: int) -> bytes:
        stop = min(SIZE, start + 200_000)
        return part(f"Content-Range: bytes {start}-{stop - 1}/{SIZE}", body=FILE[start:stop])

    with served(Breaking([1000], rest=piece)) as source:
        assert read(outbound(source), source.url()) == (FILE, 4)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "429 Too Many Requests"])
def test_a_server_that_is_away_for_a_moment_is_asked_again(status: str) -> None:
    def away(server: Breaking, start: int) -> bytes:
        if len(server.asked) < 3:
            return head("Content-Length: 0", status=status)
        return part(f"Content-Range: bytes {start}-{LAST}/{SIZE}", body=FILE[start:])

    with served(Breaking([1000], rest=away)) as source:
        assert read(outbound(source), source.url()) == (FILE, 1)
    assert refused(Breaking([1000], rest=lambda server, start: head(status=status))).code == "source-failed"


def test_the_size_that_a_rest_tells_is_held_to_the_cap() -> None:
    server = Breaking([1000], chunked=True)
    with served(server) as source, pytest.raises(OverLimit):
        read(outbound(source), source.url(), max_size=SIZE - 1)
    assert len(server.asked) == 1


# Every request is checked like the first


def redirecting(last: Source, elsewhere: str) -> Callable[[socket.socket, str], None]:
    """Leads to `last` once, and elsewhere ever after."""
    ways = [last.url("/b")]

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(head(f"Location: {ways.pop() if ways else elsewhere}", status="302 Found"))

    return answer


@pytest.fixture
def first(serve: Any) -> Callable[[Source, str], Source]:
    return lambda last, elsewhere: serve(redirecting(last, elsewhere))


def test_the_rest_is_asked_for_from_the_first_url_on(first: Any) -> None:
    server, targets = Breaking([1000]), []
    with served(server) as last:
        source = first(last, last.url("/c"))
        fetching = outbound(source, last)
        options = {"headers": {"X-Auth-Token": "t0ken"}, "check": targets.append}
        assert read(fetching, source.url("/a"), **options) == (FILE, 1)
    assert [(target.port, target.path) for target in targets] == [
        (source.port, "/a"), (last.port, "/b"), (source.port, "/a"), (last.port, "/c"),
    ]  # fmt: skip
    assert all("x-auth-token: t0ken" in asked.lower() for asked in source.heads)
    assert not any("x-auth-token" in asked.lower() for asked in last.heads)


def test_a_redirect_to_a_closed_address_is_not_followed(first: Any, connects: list[Any]) -> None:
    server = Breaking([1000])
    with served(server) as last:
        source = first(last, f"http://127.0.1.9:{last.port}/secret")
        fetching = Outbound(
            FetchRules(
                allowed_networks=(ip_network("127.0.0.1/32"),),
                ports=(source.port, last.port),
                deadlines=EAGER,
                resumes=2,
            ),
            lambda host, deadline: ["127.0.0.1"],
        )
        with pytest.raises(Refusal) as raised:
            read(fetching, source.url())
    assert raised.value.code == "source-unreachable"
    assert {address[0] for address in connects} == {"127.0.0.1"}
    assert server.asked == []


def test_a_name_that_leads_elsewhere_by_now_is_not_followed(connects: list[Any]) -> None:
    addresses = ["127.0.0.1"]
    with served(Breaking([1000])) as source:
        rules = FetchRules(
            allowed_networks=(ip_network("127.0.0.1/32"),), ports=(source.port,), deadlines=EAGER, resumes=1
        )
        fetching = Outbound(rules, lambda host, deadline: [addresses.pop() if addresses else "169.254.169.254"])
        with pytest.raises(Refusal) as raised:
            read(fetching, source.url())
    assert raised.value.code == "source-unreachable"
    assert {address[0] for address in connects} == {"127.0.0.1"}


def test_the_policy_may_stop_it_meanwhile() -> None:
    asked: list[Any] = []

    def check(target: Any) -> None:
        asked.append(target)
        if len(asked) > 1:
            raise PolicyRefused("Not any more.", remedy="Ask for it.")

    server = Breaking([1000])
    with served(server) as source, pytest.raises(PolicyRefused):
        read(outbound(source), source.url(), check=check)
    assert server.asked == []


# Time


def test_the_deadline_of_the_whole_holds_over_all_connections() -> None:
    deadlines = replace(EAGER, total=0.6, idle=0.25, pause=0.01)
    server = Breaking([1000] * 50, stall=True)
    said = refused(server, deadlines=deadlines, resumes=100)
    assert said.code in {"source-stalled", "source-slow"}
    assert len(server.asked) <= 3


def test_no_pause_is_begun_that_the_deadline_would_end() -> None:
    server = Breaking([1000])
    assert refused(server, deadlines=replace(EAGER, pause=60, total=30)).code == "source-truncated"
    assert server.asked == []


def test_a_source_gains_no_time_by_breaking() -> None:
    """Each connection is slow and ends before its rate could be judged; over all of them it is too slow."""
    strict = replace(EAGER, minimum_rate=1 << 20, rate_window=0.3, pause=1e-9)

    def trickle(connection: socket.socket, _: str) -> None:
        start = int((re.search(r"bytes=(\d+)-", source.heads[-1]) or ["", "0"])[1])
        said = [TAG, f"Content-Length: {SIZE - start}"]
        partial = [f"Content-Range: bytes {start}-{LAST}/{SIZE}"] if start else []
        connection.sendall(head(*said, *partial, status="206 Partial Content" if start else "200 OK"))
        threading.Event().wait(0.1)
        connection.sendall(FILE[start : start + 100])

    source = Source(trickle, "127.0.0.1", None)
    try:
        with pytest.raises(Refusal) as raised:
            read(outbound(source, deadlines=strict, resumes=12), source.url())
    finally:
        source.close()
    assert raised.value.code == "source-slow"


def test_a_pause_ends_with_the_process() -> None:
    lines, stopping = Lines(), Interrupted("The gateway is stopping.")
    with served(Breaking([1000])) as source:
        fetching = outbound(source, lines=lines, deadlines=replace(EAGER, pause=30))
        ended: list[Refusal] = []

        def run() -> None:
            try:
                read(fetching, source.url())
            except Refusal as refusal:
                ended.append(refusal)

        thread = threading.Thread(target=run)
        thread.start()
        began = time.monotonic()
        while lines.open or not source.heads:
            assert time.monotonic() - began < LONGEST
        lines.cut(stopping)
        thread.join()
    assert ended == [stopping]
    assert lines.open == 0
