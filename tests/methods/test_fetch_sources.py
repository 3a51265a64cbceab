"""What arrives from good sources, and by which name a bad one fails."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.methods.location import parse
from gateway.methods.pace import Pace
from gateway.methods.rules import Deadlines
from gateway.model.errors import OverLimit, PolicyRefused, Refusal, SourceRefused
from gateway.ports import BLOCK_SIZE
from tests.serving.process import LONGEST

REACHED = Deadlines(dns=0.1, connect=0.1)
HURRIED = {
    "source-stalled": replace(REACHED, head=0.8, idle=0.8),
    "source-slow": replace(REACHED, minimum_rate=1000, rate_window=0.2),
}
"""By the code of the refusal that they bring about."""
IMAGE = os.urandom((3 << 20) + 12345)
CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"


def head(*fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *fields, "", ""]).encode()


def whole(body: bytes = IMAGE) -> bytes:
    return head(f"Content-Length: {len(body)}") + body


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;why=not\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: x\r\n\r\n"


def fetch(outbound: Any, url: str, **options: Any) -> bytes:
    options = {"max_size": None, "check": lambda target: None, **options}
    return b"".join(bytes(block) for block in outbound.open(parse(url), **options).blocks())


def refusal(outbound: Any, url: str, **options: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        fetch(outbound, url, **options)
    assert raised.value.message
    assert raised.value.remedy
    return raised.value


def test_the_bytes_are_the_sources_bytes(serve: Any, outbound: Any) -> None:
    source = serve(whole())
    opened = outbound(source).open(parse(source.url()), max_size=len(IMAGE), check=lambda target: None)
    digest, sizes = hashlib.sha256(), []
    for block in opened.blocks():
        digest.update(block)
        sizes.append(len(block))
    assert digest.digest() == hashlib.sha256(IMAGE).digest()
    assert opened.total == len(IMAGE)
    assert max(sizes) <= BLOCK_SIZE


@pytest.mark.parametrize("size", [1000, 65536, 1 << 20, 2 << 20])
def test_a_chunked_source_has_no_total_but_all_its_bytes(serve: Any, outbound: Any, size: int) -> None:
    source = serve(head("Transfer-Encoding: chunked") + chunked(IMAGE, size))
    opened = outbound(source).open(parse(source.url()), max_size=None, check=lambda target: None)
    blocks = [bytes(block) for block in opened.blocks()]
    assert opened.total is None
    assert b"".join(blocks) == IMAGE
    assert max(map(len, blocks)) <= BLOCK_SIZE


def test_an_empty_file_is_a_file(serve: Any, outbound: Any) -> None:
    source = serve(whole(b""))
    assert fetch(outbound(source), source.url()) == b""


def test_the_source_sees_the_whole_url_and_nothing_of_ours(
    serve: Any, outbound: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    source = serve(whole(b"x"))
    fetch(outbound(source), source.url("/a%2Fb?sig=1%2F2"))
    request, *fields = source.heads[0].strip().lower().split("\r\n")
    assert request == "get /a%2fb?sig=1%2f2 http/1.1"
    assert sorted(field.split(":")[0] for field in fields) == [
        "accept",
        "accept-encoding",
        "connection",
        "host",
        "user-agent",
    ]
    assert "accept-encoding: identity" in fields
    assert f"host: source.example:{source.port}" in fields


def test_redirects_are_followed_and_carry_nothing_over(serve: Any, outbound: Any) -> None:
    last = serve(whole(b"image"))
    first = serve(head(f"Location: {last.url('/b?key=1')}", "Set-Cookie: a=b; Domain=example", status="302 Found"))
    seen = []
    assert fetch(outbound(first, last), first.url("/a"), check=seen.append) == b"image"
    assert [(target.port, target.path) for target in seen] == [(first.port, "/a"), (last.port, "/b")]
    assert "cookie" not in last.heads[0].lower()
    assert "referer" not in last.heads[0].lower()


def test_the_policy_stops_a_hop_before_it_is_contacted(serve: Any, outbound: Any) -> None:
    last = serve(whole(b"image"))
    first = serve(head(f"Location: {last.url()}", status="307 Temporary Redirect"))

    def check(target: Any) -> None:
        if target.port == last.port:
            raise PolicyRefused("Not from there.", remedy="From elsewhere.")

    assert refusal(outbound(first, last), first.url(), check=check).code == "not-granted"
    assert (first.accepted, last.accepted) == (1, 0)


def test_a_redirect_loop_ends_after_five(serve: Any, outbound: Any) -> None:
    source = serve(head("Location: /again", status="302 Found"))
    assert refusal(outbound(source), source.url()).code == "source-refused"
    assert source.accepted == 6


def test_a_closed_port_in_a_redirect_is_not_contacted(serve: Any, outbound: Any) -> None:
    closed = serve(whole(b"image"))
    first = serve(head(f"Location: {closed.url()}", status="302 Found"))
    assert refusal(outbound(first), first.url()).code == "source-refused"
    assert closed.accepted == 0


BROKEN: dict[str, tuple[bytes, str]] = {
    "short": (head("Content-Length: 5000") + b"x" * 4000, "source-truncated"),
    "nothing of it": (head("Content-Length: 5000"), "source-truncated"),
    "last chunk missing": (head("Transfer-Encoding: chunked") + CHUNK, "source-truncated"),
    "chunk cut": (head("Transfer-Encoding: chunked") + CHUNK[:1000], "source-truncated"),
    "chunk size no number": (head("Transfer-Encoding: chunked") + CHUNK + b"zz\r\nabc\r\n" + CHUNK, "source-broken"),
    "chunk size negative": (head("Transfer-Encoding: chunked") + b"-1\r\nabc\r\n", "source-broken"),
    "chunk without its end": (head("Transfer-Encoding: chunked") + b"3\r\nabcd\r\n0\r\n\r\n", "source-broken"),
    "chunk extension bomb": (head("Transfer-Encoding: chunked") + b"3;" + b"a" * 300_000, "source-broken"),
    "trailer bomb": (head("Transfer-Encoding: chunked") + b"0\r\n" + b"A: b\r\n" * 60_000, "source-broken"),
    "other coding": (head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", "source-broken"),
    "two lengths": (head("Content-Length: 5", "Content-Length: 6") + b"123456", "source-broken"),
    "length no number": (head("Content-Length: +5") + b"12345", "source-broken"),
    "length endless": (head("Content-Length: " + "9" * 30) + b"12345", "source-broken"),
    "no http": (b"SSH-2.0-OpenSSH_9.2p1\r\n", "source-broken"),
    "no answer": (b"", "source-broken"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", "source-broken"),
    "header bomb": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000, "source-broken"),
    "one long header": (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 500_000, "source-broken"),
    "101 fields": (head(*["A: b"] * 101, "Content-Length: 1") + b"x", "source-broken"),
    "switching protocols": (head("Upgrade: h2c", status="101 Switching Protocols"), "source-broken"),
    "gzip": (head("Content-Encoding: gzip", "Content-Length: 3") + b"abc", "source-refused"),
    "identity": (head("Content-Encoding: identity", "Content-Length: 3") + b"abc", "source-refused"),
    "no end": (head() + b"abc", "source-refused"),
    "no end, 1.0": (head("Content-Type: a/b", version="1.0") + b"abc", "source-refused"),
    "missing": (head("Content-Length: 0", status="404 Not Found"), "source-failed"),
    "partial": (head("Content-Length: 3", status="206 Partial Content") + b"abc", "source-failed"),
    "no content": (head(status="204 No Content"), "source-failed"),
    "redirect to nowhere": (head("Content-Length: 0", status="302 Found"), "source-failed"),
    "server error": (head("Content-Length: 0", status="500 Oops"), "source-failed"),
    "redirect to a file": (head("Location: file:///etc/passwd", status="302 Found"), "source-refused"),
    "redirect with a user": (head("Location: http://a:b@source.example/", status="302 Found"), "source-refused"),
    "redirect to a number": (head("Location: http://2130706433/", status="302 Found"), "source-refused"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_source_fails_by_name(serve: Any, outbound: Any, case: str) -> None:
    answer, code = BROKEN[case]
    source = serve(answer)
    assert refusal(outbound(source), source.url("/image?sig=hunter2")).code == code


@pytest.mark.parametrize("case", BROKEN)
def test_no_refusal_shows_the_query(serve: Any, outbound: Any, case: str) -> None:
    source = serve(BROKEN[case][0].replace(b"source.example/", b"source.example/?sig=hunter2"))
    said = refusal(outbound(source), source.url("/image?sig=hunter2"))
    assert "hunter2" not in said.message + said.remedy + repr(said)


def test_a_reset_is_a_truncation(serve: Any, outbound: Any) -> None:
    def reset(connection: socket.socket, _: str) -> None:
        connection.sendall(head("Content-Length: 100000") + b"x" * 1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    source = serve(reset)
    assert refusal(outbound(source), source.url()).code in ("source-truncated", "source-broken")


def test_a_known_size_makes_an_unmarked_end_acceptable(serve: Any, outbound: Any) -> None:
    source = serve(head() + b"abc")
    assert fetch(outbound(source), source.url(), expected_size=3) == b"abc"
    assert refusal(outbound(source), source.url(), expected_size=4).code == "source-truncated"


@pytest.mark.parametrize("fields", [["Content-Length: 5000000000"], ["Transfer-Encoding: chunked"]])
def test_an_endless_source_is_cut_within_one_block_of_the_cap(serve: Any, outbound: Any, fields: list[str]) -> None:
    def endless(connection: socket.socket, _: str) -> None:
        connection.sendall(head(*fields))
        while True:
            connection.sendall(CHUNK)

    source = serve(endless)
    received: list[int] = []
    with pytest.raises(OverLimit):
        collect(outbound(source), source.url(), received)
    assert sum(received) <= 3 << 20


def test_an_announced_size_over_the_cap_is_refused_unread(serve: Any, outbound: Any) -> None:
    source = serve(whole())
    with pytest.raises(OverLimit):
        outbound(source).open(parse(source.url()), max_size=len(IMAGE) - 1, check=lambda target: None)


def test_a_fetch_that_is_given_up_hangs_up_at_once(serve: Any, outbound: Any) -> None:
    hung_up = threading.Event()

    def endless(connection: socket.socket, _: str) -> None:
        try:
            connection.sendall(head("Transfer-Encoding: chunked"))
            while True:
                connection.sendall(CHUNK)
        finally:
            hung_up.set()

    source = serve(endless)
    with pytest.raises(OverLimit) as raised:
        collect(outbound(source), source.url(), [])
    assert hung_up.wait(LONGEST)
    assert raised.value.__traceback__ is not None  # it still holds the frames; only closing frees the socket


def collect(outbound: Any, url: str, received: list[int]) -> None:
    for block in outbound.open(parse(url), max_size=3 << 20, check=lambda target: None).blocks():
        received.append(len(block))


def silent(connection: socket.socket, request: str) -> None:
    connection.recv(1)


def stalls_in_head(connection: socket.socket, request: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    connection.recv(1)


def stalls_in_body(connection: socket.socket, request: str) -> None:
    connection.sendall(head("Content-Length: 5000") + b"x" * 10)
    connection.recv(1)


def trickles(prelude: bytes, drop: bytes) -> Callable[[socket.socket, str], None]:
    def trickle(connection: socket.socket, request: str) -> None:
        connection.sendall(prelude)
        connection.settimeout(0.02)
        while True:
            connection.sendall(drop)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    return trickle


SLOW: dict[str, tuple[Callable[[socket.socket, str], None], str]] = {
    "silent": (silent, "source-stalled"),
    "stalls in its head": (stalls_in_head, "source-stalled"),
    "stalls in its body": (stalls_in_body, "source-stalled"),
    "trickles its head": (trickles(b"HTTP/1.1 200 OK\r\nA: ", b"b"), "source-stalled"),
    "trickles interim answers": (trickles(b"", head(status="100 Continue")), "source-stalled"),
    "trickles its body": (trickles(head("Content-Length: 5000"), b"x"), "source-slow"),
    "trickles a chunk's extension": (trickles(head("Transfer-Encoding: chunked") + b"5;", b"x"), "source-slow"),
}


@pytest.mark.parametrize("case", SLOW)
def test_a_slow_source_fails_by_its_deadline(serve: Any, outbound: Any, case: str) -> None:
    answer, code = SLOW[case]
    source = serve(answer)
    assert refusal(outbound(source, deadlines=HURRIED[code]), source.url()).code == code


def test_a_steady_source_ends_at_the_total_deadline(serve: Any, outbound: Any) -> None:
    source = serve(trickles(head("Content-Length: 5000000"), b"x" * 1000))
    deadlines = replace(REACHED, minimum_rate=1, rate_window=LONGEST, total=0.5)
    said = refusal(outbound(source, deadlines=deadlines), source.url())
    assert (said.code, "0.5 s" in said.message) == ("source-slow", True)


def test_finding_a_source_does_not_eat_into_the_time_for_its_head(serve: Any, outbound: Any) -> None:
    source = serve(whole(b"image"))
    deadlines = Deadlines(dns=5, connect=5, head=2)

    def late(host: str, deadline: float) -> list[str]:
        threading.Event().wait(2.1)
        return ["127.0.0.1"]

    assert fetch(outbound(source, names=late, deadlines=deadlines), source.url()) == b"image"


def test_no_read_may_begin_after_its_deadline() -> None:
    now = 0.0
    pace = Pace(Deadlines(head=2, idle=5, total=9), parse("http://host/"), until=9.0, clock=lambda: now)
    pace.begin_head()
    assert pace.patience() == 2
    now = 2.0
    with pytest.raises(SourceRefused, match="2 s"):
        pace.patience()
    pace.begin_body()
    assert pace.patience() == 5
    now = 8.0
    assert pace.patience() == 1
    now = 9.5
    with pytest.raises(SourceRefused, match="9 s"):
        pace.patience()


def test_a_slow_reader_is_not_the_sources_fault(serve: Any, outbound: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate counts seconds spent waiting for the source: here the reader takes two windows, the source none."""
    now = [0.0]
    monkeypatch.setattr("gateway.methods.stream.time", SimpleNamespace(monotonic=lambda: now[0]))
    source = serve(whole())
    strict = replace(REACHED, minimum_rate=1 << 30, rate_window=0.5)
    opened = outbound(source, deadlines=strict).open(parse(source.url()), max_size=None, check=lambda target: None)
    blocks = opened.blocks()
    received = len(next(blocks)) + len(next(blocks))
    now[0] += 1.1
    assert received + sum(len(block) for block in blocks) == len(IMAGE)


def test_interim_answers_do_not_go_on_for_ever(serve: Any, outbound: Any) -> None:
    def endless(connection: socket.socket, _: str) -> None:
        while True:
            connection.sendall(head(status="100 Continue") * 1000)

    source = serve(endless)
    assert refusal(outbound(source), source.url()).code == "source-broken"


@pytest.mark.parametrize(
    "answer", [whole(b"image")[:-1], head("Content-Length: 9", status="404 Not Found"), b"no http\r\n\r\n"]
)
def test_every_connection_is_closed_again(serve: Any, outbound: Any, answer: bytes) -> None:
    hung_up = threading.Event()

    def speak(connection: socket.socket, request: str) -> None:
        connection.sendall(answer)
        if connection.recv(1) == b"":
            hung_up.set()

    source = serve(speak)
    try:
        outbound(source).open(parse(source.url()), max_size=None, check=lambda target: None).close()
    except SourceRefused:
        pass
    assert hung_up.wait(LONGEST)


def test_a_source_closed_under_its_reader_fails_by_name(serve: Any, outbound: Any) -> None:
    source = serve(whole())
    opened = outbound(source).open(parse(source.url()), max_size=None, check=lambda target: None)
    opened.close()
    with pytest.raises(SourceRefused):
        list(opened.blocks())


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def secured(path: Path) -> Callable[[socket.socket], socket.socket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return lambda connection: context.wrap_socket(connection, server_side=True)


def test_https_brings_the_same_bytes(serve: Any, outbound: Any, tmp_path: Path) -> None:
    path = certificate(tmp_path, "source.example")
    source = serve(whole(), wrap=secured(path))
    assert fetch(outbound(source, ca_file=path), f"https://source.example:{source.port}/") == IMAGE


def test_https_ends_early(serve: Any, outbound: Any, tmp_path: Path) -> None:
    path = certificate(tmp_path, "source.example")
    source = serve(whole()[:-1], wrap=secured(path))
    assert refusal(outbound(source, ca_file=path), f"https://source.example:{source.port}/").code == "source-truncated"


def test_an_unknown_authority_or_another_name_is_not_trusted(serve: Any, outbound: Any, tmp_path: Path) -> None:
    path = certificate(tmp_path, "source.example")
    source = serve(whole(), wrap=secured(path))
    assert refusal(outbound(source), f"https://source.example:{source.port}/").code == "source-untrusted"
    other = outbound(source, ca_file=path)
    assert refusal(other, f"https://other.example:{source.port}/").code == "source-untrusted"
    assert not any("GET" in head for head in source.heads)


def test_https_does_not_lead_to_http(serve: Any, outbound: Any, tmp_path: Path) -> None:
    path = certificate(tmp_path, "source.example")
    last = serve(whole(b"image"))
    first = serve(head(f"Location: {last.url()}", status="302 Found"), wrap=secured(path))
    said = refusal(outbound(first, last, ca_file=path), f"https://source.example:{first.port}/")
    assert (said.code, last.accepted) == ("source-refused", 0)
