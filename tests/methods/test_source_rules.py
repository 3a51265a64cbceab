"""What an operator says of some hosts: credentials, an authority, a network, a port and a proxy of their own."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.methods.credentials import Credential
from gateway.methods.location import parse
from gateway.methods.outbound import Outbound
from gateway.methods.rules import FetchRules
from gateway.methods.sources import ORDINARY, SourceRules, Tunnel
from gateway.methods.web_download import WebDownload
from gateway.model.errors import BadRequest, SourceRefused
from tests.methods.conftest import CALM, Source
from tests.methods.scripted import field, reply, scripted
from tests.methods.test_fetch_sources import certificate, secured
from tests.serving.process import LONGEST

SECRET = "it-is-a-secret"
LOOPBACK = ip_network("127.0.0.0/8")


def rules(*sources: Source, opened: bool = True, **more: Any) -> FetchRules:
    given: dict[str, Any] = {"ports": tuple(source.port for source in sources), "deadlines": CALM}
    return FetchRules(**{**given, "allowed_networks": (LOOPBACK,) if opened else (), **more})


def resolve(host: str, deadline: float) -> list[str]:
    """`private.example` is where nobody may go; `unknown.example` has no address; all others are here."""
    if host.startswith("unknown"):
        raise OSError("no such name")
    return ["10.0.0.1"] if host.startswith("private") else ["127.0.0.1"]


def fetched(made: FetchRules, url: str, credential: str = "") -> bytes:
    method = WebDownload(Outbound(made, resolve), made.credentials)
    said = {"name": "web-download", "uri": url, **({"credential": credential} if credential else {})}
    source = method.open(method.read(said).secret, max_size=None, check=lambda target: None)
    return b"".join(bytes(block) for block in source.blocks())


def refused(made: FetchRules, url: str, credential: str = "") -> str:
    with pytest.raises((SourceRefused, BadRequest)) as caught:
        fetched(made, url, credential)
    assert SECRET not in f"{caught.value!r} {caught.value.remedy}"
    return caught.value.code


def bearer(*hosts: str, plain_http: bool = True) -> Mapping[str, Credential]:
    return {"ours": Credential(kind="bearer", hosts=hosts, plain_http=plain_http, secret=lambda: SECRET)}


def test_a_credential_is_shown_where_it_belongs_and_at_no_redirect(serve: Any) -> None:
    last = scripted(serve, {"/image": reply(b"image")})
    first = scripted(serve, {"/image": reply(status="302 Found", Location=last.url())})
    made = rules(first, last, credentials=bearer("*.example"))
    assert fetched(made, first.url(), "ours") == b"image"
    assert (field(first.heads[0], "Authorization"), field(last.heads[0], "Authorization")) == (f"Bearer {SECRET}", "")
    assert fetched(made, first.url()) == b"image"
    assert not field(first.heads[1], "Authorization")


def test_a_user_and_a_password(serve: Any) -> None:
    source = scripted(serve, {"/image": reply(b"image")})
    basic = Credential(kind="basic", hosts=("source.example",), plain_http=True, user="ü", secret=lambda: SECRET)
    assert fetched(rules(source, credentials={"ours": basic}), source.url(), "ours") == b"image"
    expected = base64.b64encode(f"ü:{SECRET}".encode()).decode()
    assert field(source.heads[0], "Authorization") == f"Basic {expected}"


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("credential-unknown", {}),
        ("credential-misplaced", bearer("other.example")),
        ("credential-misplaced", bearer("*.source.example")),
        ("credential-misplaced", bearer()),
        ("credential-plain", bearer("source.example", plain_http=False)),
        ("credential-unfit", {"ours": Credential(kind="s3", hosts=("source.example",), secret=lambda: SECRET)}),
    ],
)
def test_a_credential_that_does_not_belong_there_is_not_sent(serve: Any, code: str, known: Any) -> None:
    source = scripted(serve, {})
    assert refused(rules(source, credentials=known), source.url(), "ours") == code
    assert source.accepted == 0


def test_a_credential_over_https(serve: Any, tmp_path: Path) -> None:
    path = certificate(tmp_path, "source.example")
    source = scripted(serve, {"/image": reply(b"image")}, wrap=secured(path))
    made = rules(source, credentials=bearer("source.example", plain_http=False), ca_file=path)
    assert fetched(made, f"https://source.example:{source.port}/image", "ours") == b"image"


def test_the_closest_pattern_tells_the_source() -> None:
    known = {pattern: SourceRules(ports=(number,)) for number, pattern in enumerate(("*.example", "*.a.example"), 1)}
    known["x.a.example"] = SourceRules(ports=(3,))
    made = FetchRules(sources=known)
    hosts = {"x.a.example": 3, "y.a.example": 2, "z.y.a.example": 2, "a.example": 1, "xa.example": 1}
    assert {host: made.source(host).ports[0] for host in hosts} == hosts
    assert made.source("example") is made.source("other") is ORDINARY


def test_an_authority_for_its_own_hosts_alone(serve: Any, tmp_path: Path) -> None:
    ours, theirs = certificate(tmp_path, "ours.example"), certificate(tmp_path, "theirs.example")
    one = scripted(serve, {"/image": reply(b"ours")}, wrap=secured(ours))
    other = scripted(serve, {"/image": reply(b"theirs")}, wrap=secured(theirs))
    made = rules(one, other, sources={"ours.example": SourceRules(ca_file=ours)}, ca_file=theirs)
    assert fetched(made, f"https://ours.example:{one.port}/image") == b"ours"
    assert fetched(made, f"https://theirs.example:{other.port}/image") == b"theirs"
    assert refused(rules(one, ca_file=ours, sources={"ours.example": SourceRules(ca_file=theirs)}),
                   f"https://ours.example:{one.port}/image") == "source-untrusted"  # fmt: skip
    swapped = rules(other, sources={"ours.example": SourceRules(ca_file=theirs)})
    assert refused(swapped, f"https://theirs.example:{other.port}/image") == "source-untrusted"


def test_a_network_and_a_port_for_its_own_hosts_alone(serve: Any) -> None:
    source = scripted(serve, {"/image": reply(b"image")})
    own = SourceRules(allowed_networks=(LOOPBACK,), ports=(source.port,))
    made = rules(opened=False, sources={"ours.example": own, "127.0.0.1": own})
    assert fetched(made, source.url(name="ours.example")) == b"image"
    assert fetched(made, source.url(name="127.0.0.1")) == b"image"
    assert refused(made, source.url(name="theirs.example")) == "source-refused"
    both = rules(source, opened=False, sources={"ours.example": own})
    assert refused(both, source.url(name="theirs.example")) == "source-unreachable"
    assert source.accepted == 2


class Proxy:
    """An HTTP proxy: connects by name to `names`, else to what it is asked for; says what it was `asked`."""

    def __init__(self, names: Mapping[str, int], wants: str = "", answer: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.asked: list[str] = []
        self._names = names
        self._wants = wants
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(LONGEST)
            head = connection.recv(65536).decode()
            place = head.split(" ")[1]
            self.asked.append(place)
            if self._answer or field(head, "Proxy-Authorization") != self._wants:
                connection.sendall(self._answer or b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = place.rpartition(":")
            with socket.create_connection(("127.0.0.1", self._names.get(host, int(port)))) as onward:
                connection.sendall(b"HTTP/1.1 200 Connected\r\nVia: test\r\n\r\n")
                back = threading.Thread(target=_carry, args=(onward, connection), daemon=True)
                back.start()
                _carry(connection, onward)
                back.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def _carry(one: socket.socket, other: socket.socket) -> None:
    try:
        while block := one.recv(65536):
            other.sendall(block)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxied() -> Iterator[Callable[..., Proxy]]:
    made: list[Proxy] = []

    def start(names: Mapping[str, int] | None = None, **more: Any) -> Proxy:
        made.append(Proxy(names or {}, **more))
        return made[-1]

    yield start
    for proxy in made:
        proxy.close()


def through(proxy: Proxy, **more: Any) -> dict[str, SourceRules]:
    return {"*.example": SourceRules(tunnel=Tunnel(host="127.0.0.1", port=proxy.port, **more))}


@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_is_asked_for_the_address_that_was_checked(
    serve: Any, proxied: Any, connects: Any, tmp_path: Path, tls: bool
) -> None:
    path = certificate(tmp_path, "source.example")
    source = scripted(serve, {"/image": reply(b"image")}, wrap=secured(path) if tls else None)
    proxy = proxied()
    made = rules(source, sources=through(proxy), ca_file=path)
    url = f"http{'s' if tls else ''}://source.example:{source.port}/image"
    assert fetched(made, url) == b"image"
    assert proxy.asked == [f"127.0.0.1:{source.port}"]
    assert ("127.0.0.1", proxy.port) in connects


def test_what_is_private_is_closed_behind_a_proxy_too(serve: Any, proxied: Any) -> None:
    source, proxy = scripted(serve, {"/image": reply(b"image")}), proxied()
    made = rules(source, sources=through(proxy))
    for name in ("private.example", "unknown.example"):
        assert refused(made, source.url(name=name)) == "source-unreachable"
    assert refused(rules(source, opened=False, sources=through(proxy)), source.url()) == "source-unreachable"
    assert proxy.asked == []


def test_a_redirect_is_checked_behind_a_proxy_too(serve: Any, proxied: Any) -> None:
    proxy = proxied()
    for location in ("http://169.254.169.254/", "http://private.example/"):
        source = scripted(serve, {"/image": reply(status="302 Found", Location=location)})
        made = rules(source, sources=through(proxy), ports=(80, source.port))
        assert refused(made, source.url()) == "source-unreachable"
    assert len(proxy.asked) == 2


def test_a_proxy_looks_names_up_where_the_operator_says_so(serve: Any, proxied: Any) -> None:
    source = scripted(serve, {"/image": reply(b"image")})
    proxy = proxied({"unknown.example": source.port})
    made = rules(
        source, opened=False, sources={**through(proxy, resolves=True), "10.0.0.1": through(proxy)["*.example"]}
    )
    assert fetched(made, source.url(name="unknown.example")) == b"image"
    assert proxy.asked == [f"unknown.example:{source.port}"]
    assert refused(made, source.url(name="10.0.0.1")) == "source-refused"


def test_a_proxy_is_shown_its_credential_and_the_source_is_not(serve: Any, proxied: Any) -> None:
    source = scripted(serve, {"/image": reply(b"image")})
    wanted = "Basic " + base64.b64encode(f"gateway:{SECRET}".encode()).decode()
    proxy = proxied(wants=wanted)
    known = {"squid": Credential(kind="basic", user="gateway", secret=lambda: SECRET)}
    made = rules(source, sources=through(proxy, authorization="squid"), credentials=known)
    assert fetched(made, source.url()) == b"image"
    assert "Proxy-Authorization" not in source.heads[0]
    assert SECRET not in source.heads[0]
    assert refused(rules(source, sources=through(proxy)), source.url()) == "source-unreachable"


ANSWERS = {
    "no": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"\r\n\r\n",
    "without an end": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000,
    "more than a head": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_proxy_that_does_not_lead_there(serve: Any, proxied: Any, answer: bytes) -> None:
    source = scripted(serve, {"/image": reply(b"image")})
    made = rules(source, sources=through(proxied(answer=answer)))
    assert refused(made, source.url()) == "source-unreachable"
    assert source.accepted == 0


def test_a_stop_hangs_up_behind_a_proxy(serve: Any, proxied: Any) -> None:
    source = scripted(serve, {"/image": reply(b"image")})
    made = rules(source, sources=through(proxied()))
    opened = Outbound(made, resolve).open(parse(source.url()), max_size=None, check=lambda target: None)
    assert made.lines.open == 1
    opened.close()
    assert made.lines.open == 0
