"""The connections to the image service: which are kept, what is sent over them, how much they take and how long."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from gateway.model.errors import Unavailable
from gateway.upstream import Connection, Place
from gateway.upstream.line import MOST_WAITING
from tests.fronting.saying import CLOSING, GENEROUS, OK, Server, call, with_server
from tests.identity.keystone_server import certify

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
