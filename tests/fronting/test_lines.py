"""The gateway's calls to the image service: whatever way an answer is said in, it comes as it was said, or not at all.

A server here says what it is told to, byte by byte.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise, repeat
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive

from gateway.api.passing import Streamed
from gateway.model.errors import Unavailable
from gateway.upstream import Connection, Place
from gateway.upstream.connection import Headers
from gateway.upstream.line import LONGEST_HEAD, MOST_WAITING
from tests.identity.keystone_server import certify

GENEROUS = 60
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass
class Server:
    """Each request is answered with the next of `answers`, piece by piece, the last one again and again.

    After an answer that has None at its end the connection is closed. What came is in `requests`, one list for each
    connection.
    """

    answers: Sequence[Iterable[bytes | None]]
    requests: list[list[bytes]] = field(default_factory=list)
    url: str = ""
    said: int = 0
    given: int = 0

    @asynccontextmanager
    async def serving(self, certificate: Path | None = None) -> AsyncIterator[Connection]:
        tls = None
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        connection = Connection(Place(endpoint=self.url, ca_file=certificate, timeout=GENEROUS))
        try:
            async with asyncio.timeout(GENEROUS):
                yield connection
        finally:
            await connection.aclose()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append([])
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests[-1].append(head + await _sent(reader, head))
        pieces = self.answers[min(self.given, len(self.answers) - 1)]
        self.given += 1
        for piece in pieces:
            if piece is None:
                return False
            writer.write(piece)
            await writer.drain()
            self.said += len(piece)
        return True


async def _sent(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
        if line.lower() == b"transfer-encoding: chunked":
            return await reader.readuntil(b"0\r\n\r\n")
    return b""


Said = tuple[int, list[tuple[bytes, bytes]], bytes]


async def call(
    connection: Connection, verb: str = "GET", body: AsyncIterator[bytes] | bytes = b"", headers: Headers = ()
) -> Said:
    async with connection.ask(verb, "/v2/images", headers=headers, body=body) as answer:
        found = b"".join([chunk async for chunk in answer.body])
        assert answer.over
        return answer.status, list(answer.headers), found


def with_server(server: Server, work: Callable[[Connection], Awaitable[object]]) -> None:
    async def run() -> None:
        async with server.serving() as connection:
            await work(connection)

    uvloop.run(run())


# What is said, in every way it can be said.

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


def _cut(content: bytes, places: Iterable[int]) -> list[bytes]:
    marks = sorted({0, len(content), *(place % (len(content) + 1) for place in places)})
    return [content[start:end] for start, end in pairwise(marks)]


@settings(deadline=None)
@given(st.lists(wires(), min_size=1, max_size=3), st.lists(st.integers(0, 1 << 16), max_size=8))
def test_an_answer_comes_as_it_was_said(answers: list[Wire], places: list[int]) -> None:
    """And the connection is kept exactly while answers end by themselves."""
    said = [[*_cut(wire.content, places), *([None] if wire.framing == "end" else [])] for wire in answers]
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


# Connections that are kept.


def test_more_than_the_answer_ends_the_connection() -> None:
    """What follows an answer unasked is never the answer to the next call."""
    server = Server([[OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"], [OK]])

    async def work(connection: Connection) -> None:
        for _ in range(2):
            assert (await call(connection))[2] == b"ok"

    with_server(server, work)
    assert len(server.requests) == 2


@pytest.mark.parametrize("late", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b""], ids=["answer", "end"])
def test_what_came_before_a_call_is_not_its_answer(late: bytes) -> None:
    """Not even where the loop was too busy to notice. A call that may not be sent twice is not lost to it."""
    asked, heard, said = (threading.Semaphore(0) for _ in range(3))

    def serve(listening: socket.socket) -> None:
        first, _ = listening.accept()
        with first:
            first.recv(1 << 16)
            first.sendall(OK)
            asked.acquire()
            first.sendall(late) if late else first.shutdown(socket.SHUT_WR)
            said.release()
            second, _ = listening.accept()
            with second:
                second.recv(1 << 16)
                second.sendall(OK.replace(b"ok", b"ja"))
                heard.acquire()

    async def run(port: int) -> None:
        connection = Connection(Place(endpoint=f"http://127.0.0.1:{port}", timeout=GENEROUS))
        assert (await call(connection))[2] == b"ok"
        asked.release()
        assert said.acquire(timeout=GENEROUS)  # the loop does nothing else meanwhile
        assert (await call(connection, "POST", b"x"))[2] == b"ja"
        heard.release()
        await connection.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        uvloop.run(run(listening.getsockname()[1]))
        thread.join()


@pytest.mark.parametrize(("verb", "again"), [("GET", True), ("POST", False), ("DELETE", False)])
def test_a_kept_connection_that_ends_unheard_is_asked_again_where_that_does_no_harm(verb: str, again: bool) -> None:
    server = Server([[OK], [None], [OK]])

    async def work(connection: Connection) -> None:
        await call(connection)
        if again:
            assert (await call(connection, verb))[2] == b"ok"
        else:
            with pytest.raises(Unavailable):
                await call(connection, verb)

    with_server(server, work)
    assert [len(requests) for requests in server.requests] == ([2, 1] if again else [2])


def test_a_new_connection_that_ends_unheard_is_not_asked_again() -> None:
    server = Server([[None]])

    async def work(connection: Connection) -> None:
        with pytest.raises(Unavailable):
            await call(connection)

    with_server(server, work)
    assert len(server.requests) == 1


def test_an_answer_nobody_reads_to_its_end_ends_its_connection() -> None:
    server = Server([[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf"], [OK]])

    async def work(connection: Connection) -> None:
        async with connection.ask("GET", "/"):
            pass
        assert (await call(connection))[2] == b"ok"

    with_server(server, work)
    assert len(server.requests) == 2


@pytest.mark.parametrize("kept", [OK, CLOSING], ids=["kept", "closed"])
def test_calls_at_once_have_a_connection_each(kept: bytes) -> None:
    async def work(connection: Connection) -> None:
        for _ in range(2):
            found = await asyncio.gather(*(call(connection) for _ in range(20)))
            assert [body for _, _, body in found] == [b"ok"] * 20

    server = Server([[kept]])
    with_server(server, work)
    assert len(server.requests) == (20 if kept == OK else 40)


# What is sent.


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


def test_a_body_of_any_kind_comes_as_it_was_sent() -> None:
    server = Server([[OK]])

    async def work(connection: Connection) -> None:
        await call(connection, "POST", b"whole")
        await call(connection, "POST", pieces(b"ab", b"", b"c"))
        await call(connection, "POST", pieces(b"ab", b"c"), [(b"content-length", b"3")])
        await call(connection, "POST")

    with_server(server, work)
    bodies = [one.partition(b"\r\n\r\n")[2] for one in server.requests[0]]
    assert bodies == [b"whole", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc", b""]


def test_a_refusal_is_heard_before_all_has_been_sent() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(1 << 16)

    async def work(connection: Connection) -> None:
        assert (await call(connection, "POST", endless()))[::2] == (413, b"big")

    # The server takes nothing more, and keeps its end open: what was sent already is not lost to a reset.
    async def run() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(refusal)
            await done.wait()
            writer.close()

        done = asyncio.Event()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        connection = Connection(Place(endpoint=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        async with asyncio.timeout(GENEROUS):
            await work(connection)
        done.set()
        await connection.aclose()
        server.close()

    uvloop.run(run())
    assert sent


def test_what_breaks_the_body_breaks_the_call_and_nothing_else() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"ab"
        raise LookupError("the caller went away")

    async def work(connection: Connection) -> None:
        with pytest.raises(LookupError):
            await call(connection, "POST", broken())
        assert (await call(connection))[2] == b"ok"

    server = Server([[OK]])
    with_server(server, work)
    assert [len(requests) for requests in server.requests] == [0, 1]


@pytest.mark.parametrize("header", [(b"X", b"a\r\nY: b"), (b"X", b"a\nY: b"), (b"X\r\nY", b"b")])
def test_a_header_never_becomes_two(header: tuple[bytes, bytes]) -> None:
    async def work(connection: Connection) -> None:
        with pytest.raises(ValueError, match="line break"):
            await call(connection, headers=[header])

    server = Server([[OK]])
    with_server(server, work)
    assert not any(server.requests)


# How much, and how long.


def test_an_answer_is_not_taken_faster_than_it_is_read() -> None:
    size = 64 * MOST_WAITING
    server = Server(
        [[b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, *([bytes(1 << 16)] * (size >> 16))], [OK]]
    )

    async def work(connection: Connection) -> None:
        async with connection.ask("GET", "/") as answer:
            for _ in range(200):  # time enough to take all of it
                await call(connection)
            assert server.said < size + 200 * len(OK)
            assert sum([len(chunk) async for chunk in answer.body]) == size

    with_server(server, work)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"], ids=["nothing", "a part"])
def test_silence_has_an_end(said: bytes) -> None:
    async def run() -> None:
        server = Server([[said]])
        async with server.serving():
            connection = Connection(Place(endpoint=server.url, timeout=0.1))
            with pytest.raises(Unavailable):
                await call(connection)
            await connection.aclose()

    uvloop.run(run())


def test_blanks_around_the_coding_are_none_of_it() -> None:
    async def work(connection: Connection) -> None:
        assert (await call(connection))[2] == b"ok"

    with_server(Server([[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n"]]), work)


# Passed on.


def passed_on(answers: Sequence[Iterable[bytes | None]], receive: Receive) -> list[Message]:
    """What a client is sent of the first answer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def work(connection: Connection) -> None:
        await Streamed(connection.ask("GET", "/"))({"type": "http"}, receive, send)

    with_server(Server(answers), work)
    return sent


async def stays() -> Message:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def leaves() -> Message:
    return {"type": "http.disconnect"}


def test_an_answer_without_end_ends_with_its_client() -> None:
    endless = chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\nx\r\n"))
    sent = passed_on([endless], leaves)
    assert sent[0]["status"] == 200
    assert all(message.get("more_body", True) for message in sent)


@pytest.mark.parametrize("cuts", [(), (60,), (39, 40, 41)])
def test_an_answer_is_sent_to_its_end(cuts: tuple[int, ...]) -> None:
    sent = passed_on([_cut(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + b"x" * 30, cuts)], stays)
    assert b"".join(message["body"] for message in sent[1:]) == b"x" * 30
    assert [message["more_body"] for message in sent[1:]] == [*[True] * (len(sent) - 2), False]


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_has_no_length(status: int) -> None:
    sent = passed_on([[b"HTTP/1.1 %d None\r\nContent-Length: 5\r\nX-Kept: yes\r\n\r\n" % status]], stays)
    assert (sent[0]["status"], sent[0]["headers"]) == (status, [(b"x-kept", b"yes")])
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]


def test_a_length_that_no_body_follows_is_none_for_head() -> None:
    async def work(connection: Connection) -> None:
        assert await call(connection, "HEAD") == (200, [(b"Content-Length", b"1234")], b"")
        assert (await call(connection))[2] == b"ok"

    with_server(Server([[b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"], [OK]]), work)


def test_over_tls_the_certificate_decides(tmp_path: Path) -> None:
    certificate = certify(tmp_path)

    async def run() -> None:
        server = Server([[OK]])
        async with server.serving(certificate) as connection:
            assert (await call(connection))[2] == b"ok"
            stranger = Connection(Place(endpoint=server.url, timeout=GENEROUS))
            with pytest.raises(Unavailable):
                await call(stranger)
            await stranger.aclose()
        assert len(server.requests) == 1

    uvloop.run(run())
