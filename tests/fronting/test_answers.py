"""What the image service says, in every way it can be said, comes as it was said, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import Unavailable
from gateway.upstream import Connection
from gateway.upstream.line import LONGEST_HEAD
from tests.fronting.saying import Server, call, cut, with_server

NAMES = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True).map(lambda name: b"X-" + name)
VALUES = st.from_regex(rb"([!-~\x80-\xff]([ -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True)
FRAMINGS = st.sampled_from(["length", "chunked", "end"])


@dataclass(frozen=True)
class Wire:
    """An answer and its bytes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    framing: str
    content: bytes


@st.composite
def wires(draw: st.DrawFn) -> Wire:
    status = draw(st.sampled_from([200, 201, 206, 300, 403, 404, 413, 500, 503]))
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    body = draw(st.binary(max_size=300))
    framing = draw(FRAMINGS)
    before = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" if draw(st.booleans()) else b""
    lines = [b"HTTP/1.1 %d Some words" % status, *(name + b": " + value for name, value in headers)]
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
        said = body
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        said = _chunked(body, draw(st.integers(1, 50)), draw(st.sampled_from([b"", b"X-Trailer: late\r\n"])))
    else:
        said = body
    return Wire(status, headers, body, framing, before + b"\r\n".join([*lines, b"", b""]) + said)


def _chunked(body: bytes, size: int, trailer: bytes) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


@settings(deadline=None)
@given(st.lists(wires(), min_size=1, max_size=3), st.lists(st.integers(0, 1 << 16), max_size=8))
def test_an_answer_comes_as_it_was_said(answers: list[Wire], places: list[int]) -> None:
    """And the connection is kept exactly while answers end by themselves."""
    said = [[*cut(wire.content, places), *([None] if wire.framing == "end" else [])] for wire in answers]
    server = Server(said)

    async def work(connection: Connection) -> None:
        for wire in answers:
            status, headers, body = await call(connection)
            kept = [(name, value) for name, value in headers if name != b"Content-Length"]
            assert (status, kept, body) == (wire.status, wire.headers, wire.body)

    with_server(server, work)
    ended = sum(wire.framing == "end" for wire in answers[:-1])
    assert len(server.requests) == 1 + ended


@settings(deadline=None)
@given(wires(), st.integers(0, 1 << 16))
def test_an_answer_that_ends_early_is_never_taken_for_whole(wire: Wire, place: int) -> None:
    """Only one that ends with its connection cannot be told."""
    cut = place % len(wire.content)
    server = Server([[wire.content[:cut], None]])

    async def work(connection: Connection) -> None:
        if wire.framing == "end" and cut >= len(wire.content) - len(wire.body):
            assert wire.body.startswith((await call(connection))[2])
        else:
            with pytest.raises(Unavailable):
                await call(connection)

    with_server(server, work)


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RUBBISH = {
    "no answer": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": b"HTTP/2 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding nobody asked for": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a status below all": b"HTTP/1.1 099 None\r\nContent-Length: 0\r\n\r\n",
    "a status above all": b"HTTP/1.1 600 None\r\nContent-Length: 0\r\n\r\n",
    "a trailer without end": CHUNKS
    + b"2\r\nok\r\n0\r\n"
    + b"X-Filling: %b\r\n" % (b"x" * 1000) * (LONGEST_HEAD // 1000 + 1000),
    "an extension without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a="
    + b"x" * (2 * LONGEST_HEAD),
    "a chunk that is none": CHUNKS + b"zz\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X-Filling: %b\r\n" % (b"x" * 1000) * (LONGEST_HEAD // 1000 + 1000),
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (2 * LONGEST_HEAD),
}


@pytest.mark.parametrize("content", RUBBISH.values(), ids=RUBBISH)
def test_what_is_no_answer_is_none(content: bytes) -> None:
    async def work(connection: Connection) -> None:
        with pytest.raises(Unavailable):
            await call(connection)

    with_server(Server([[content]]), work)
