"""Answers that are passed on: to their end, or until their client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import pytest
from starlette.types import Message, Receive

from gateway.api.passing import Streamed
from gateway.upstream import Connection
from tests.fronting.saying import Server, cut, with_server


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
    sent = passed_on([cut(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + b"x" * 30, cuts)], stays)
    assert b"".join(message["body"] for message in sent[1:]) == b"x" * 30
    assert [message["more_body"] for message in sent[1:]] == [*[True] * (len(sent) - 2), False]


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_has_no_length(status: int) -> None:
    sent = passed_on([[b"HTTP/1.1 %d None\r\nContent-Length: 5\r\nX-Kept: yes\r\n\r\n" % status]], stays)
    assert (sent[0]["status"], sent[0]["headers"]) == (status, [(b"x-kept", b"yes")])
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
