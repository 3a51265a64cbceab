"""Where a fetch never goes: URLs, DNS answers and redirects that lead inside, counted in opened sockets."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.methods.address import parsed
from gateway.methods.backend import PinnedBackend, confirm_peer
from gateway.methods.location import parse
from gateway.methods.outbound import Outbound
from gateway.methods.pace import Pace
from gateway.methods.resolver import system_resolve
from gateway.methods.rules import Deadlines, FetchRules
from gateway.model.errors import BadRequest, Refusal, SourceRefused
from tests.serving.process import LONGEST

HASTY = Deadlines(dns=0.01, connect=0.01)

HOSTS = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
    "017700000001", "0", "0.0.0.0", "0x0", "127.255.255.254", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::80ff:fffe]", "[fe80::1]", "[fe80::1%25lo]", "[::1%25lo]", "[ff02::1]",
    "[fc00::1]", "169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe", "169.254.43518",
    "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "10.0.0.1", "172.16.0.1", "192.168.0.1", "198.18.0.1",
    "100.64.0.1", "255.255.255.255", "224.0.0.1", "240.0.0.1", "localhost", "localhost.", "LOCALHOST", "127。0。0。1",
    "①②⑦.⓪.⓪.①", "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "user@127.0.0.1", "8.8.8.8@127.0.0.1", "8.8.8.8#@127.0.0.1",
    "8.8.8.8%00.127.0.0.1", "8.8.8.8\\@127.0.0.1",
]  # fmt: skip

ANSWERS: Sequence[Sequence[str]] = [
    [], ["127.0.0.1"], ["::1"], ["0.0.0.0"], ["::"], ["10.0.0.1"], ["192.168.1.1"], ["169.254.169.254"], ["fe80::1%lo"],
    ["::1%lo"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::1"], ["2001:0:7f00:1::80ff:fffe"],
    ["fd00::1"],
    ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1111", "::1"], ["8.8.8.8"] * 20 + ["10.0.0.1"],
    ["8.8.8.8", "not an address"], ["2606:4700::5efe:127.0.0.1"], ["127.0.0.1\x00"],
]  # fmt: skip


@pytest.fixture
def canary(serve: Any) -> Any:
    """Answers on 127.0.0.1 with an image: what a fetch must not bring."""
    return serve(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")


def closed(port: int, names: Any = lambda host, deadline: ["127.0.0.1"]) -> Outbound:
    return Outbound(FetchRules(ports=(port,), deadlines=HASTY), names)


def try_to_fetch(outbound: Outbound, url: str) -> Refusal:
    with pytest.raises(Refusal) as raised:
        list(outbound.open(parse(url), max_size=None, check=lambda target: None).blocks())
    return raised.value


def test_the_counter_counts(canary: Any, outbound: Any, connects: list[Any]) -> None:
    opened = outbound(canary).open(parse(canary.url()), max_size=None, check=lambda target: None)
    assert b"".join(opened.blocks()) == b"secret"
    assert connects == [("127.0.0.1", canary.port)]


@pytest.mark.parametrize("host", HOSTS)
def test_a_url_that_leads_inside_opens_no_socket(canary: Any, connects: list[Any], host: str) -> None:
    refusal = try_to_fetch(closed(canary.port), f"http://{host}:{canary.port}/")
    assert refusal.code in ("source-unreachable", "bad-uri", "source-refused")
    assert (connects, canary.accepted) == ([], 0)


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_name_that_leads_inside_opens_no_socket(canary: Any, connects: list[Any], answer: list[str]) -> None:
    refusal = try_to_fetch(closed(canary.port, lambda host, deadline: answer), canary.url())
    assert refusal.code == "source-unreachable"
    assert (connects, canary.accepted) == ([], 0)


@pytest.mark.parametrize("host", HOSTS)
def test_a_redirect_that_leads_inside_opens_no_further_socket(
    serve: Any, canary: Any, outbound: Any, connects: list[Any], host: str
) -> None:
    location = f"http://{host}:{canary.port}/".encode()
    first = serve(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n", host="127.0.0.2")
    names = {"source.example": ["127.0.0.2"]}
    only_first = outbound(
        first, canary, networks="127.0.0.2/32", deadlines=HASTY, names=lambda name, _: names.get(name, ["127.0.0.1"])
    )
    assert try_to_fetch(only_first, first.url()).code in ("source-unreachable", "source-refused")
    assert (connects, canary.accepted) == ([("127.0.0.2", first.port)], 0)


def test_a_name_that_changes_its_mind_is_held_to_its_first_answer(
    serve: Any, outbound: Any, connects: list[Any]
) -> None:
    source = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage", host="127.0.0.2")
    answers = iter([["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]])
    rebound = outbound(source, networks="127.0.0.2/32", deadlines=HASTY, names=lambda host, deadline: next(answers))
    opened = rebound.open(parse(source.url()), max_size=None, check=lambda target: None)
    assert b"".join(opened.blocks()) == b"image"
    assert next(answers) == ["127.0.0.1"]  # asked once only
    assert try_to_fetch(rebound, source.url()).code == "source-unreachable"
    assert connects == [("127.0.0.2", source.port)]


def test_all_addresses_are_tried_in_turn(serve: Any, outbound: Any) -> None:
    source = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage", host="127.0.0.2")
    several = outbound(source, names=lambda host, deadline: ["127.0.0.3", "127.0.0.2"])
    opened = several.open(parse(source.url()), max_size=None, check=lambda target: None)
    assert b"".join(opened.blocks()) == b"image"


@pytest.mark.parametrize("own", ["127.0.0.1", "0.0.0.0", "::"])
def test_the_gateways_own_addresses_are_closed_in_opened_networks(
    canary: Any, outbound: Any, connects: list[Any], own: str
) -> None:
    address = parsed(own)
    guarded = outbound(canary, own_addresses=((address, canary.port),), deadlines=HASTY)
    assert try_to_fetch(guarded, canary.url()).code == "source-unreachable"
    assert connects == []


def test_another_peer_than_dialled_is_noticed(canary: Any) -> None:
    with socket.create_connection(("127.0.0.1", canary.port)) as connection:
        confirm_peer(connection, parsed("127.0.0.1"))
        with pytest.raises(OSError, match="peer"):
            confirm_peer(connection, parsed("127.0.0.2"))


def test_the_network_connects_to_the_checked_location_only(canary: Any, connects: list[Any]) -> None:
    """Whatever the layers above make of a URL."""
    location = parse(canary.url())
    rules = FetchRules(allowed_networks=(ip_network("127.0.0.0/8"),), ports=(canary.port,), deadlines=HASTY)
    backend = PinnedBackend(
        rules, lambda host, _: ["127.0.0.1"], location, Pace(HASTY, location, time.monotonic() + LONGEST)
    )
    for host, port in [("127.0.0.1", canary.port), ("source.example", canary.port + 1), ("other.example", canary.port)]:
        with pytest.raises(SourceRefused):
            backend.connect_tcp(host, port)
    assert connects == []
    backend.connect_tcp("source.example", canary.port).close()
    assert connects == [("127.0.0.1", canary.port)]


def unreachable_sources(port: int) -> dict[str, Any]:
    def unknown(host: str, deadline: float) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def slow(host: str, deadline: float) -> list[str]:
        threading.Event().wait(deadline)
        raise TimeoutError

    return {
        "unknown name": unknown,
        "slow name": slow,
        "inside": lambda host, deadline: ["10.0.0.1"],
        "metadata": lambda host, deadline: ["169.254.169.254"],
        "closed port": lambda host, deadline: ["127.0.0.9"],
        "several": lambda host, deadline: ["127.0.0.9", "127.0.0.8"],
    }


def test_unreachable_sources_cannot_be_told_apart(serve: Any, outbound: Any) -> None:
    source = serve(b"")
    deadlines = Deadlines(dns=0.1, connect=0.1)
    said, took = set(), []
    for names in unreachable_sources(source.port).values():
        started = time.monotonic()
        refusal = try_to_fetch(outbound(source, names=names, deadlines=deadlines), source.url())
        took.append(time.monotonic() - started)
        said.add((type(refusal), refusal.code, refusal.message, refusal.remedy, refusal.__cause__))
    assert len(said) == 1
    assert min(took) >= deadlines.reach
    assert max(took) < deadlines.reach + LONGEST


def test_a_filtered_port_costs_no_more_than_the_deadline(outbound: Any, serve: Any) -> None:
    """A listener whose queue is full drops what comes, as a filter does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        for each in fill:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        source = serve(b"")
        started = time.monotonic()
        rules = outbound(source, ports=(port,), deadlines=Deadlines(dns=0.1, connect=0.1))
        assert try_to_fetch(rules, f"http://source.example:{port}/").code == "source-unreachable"
        assert 0.2 <= time.monotonic() - started < LONGEST
        for each in fill:
            each.close()


def test_the_systems_resolver_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: let_go.wait(LONGEST) and [])
    with pytest.raises(TimeoutError):
        system_resolve("slow.example", 0.05)
    let_go.set()


def test_the_systems_resolver_resolves_and_refuses() -> None:
    assert "127.0.0.1" in system_resolve("localhost", 5)
    with pytest.raises(OSError):
        system_resolve("no-such-name.invalid", 5)
    with pytest.raises(OSError):
        system_resolve("a" * 64, 5)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "https://169.254.169.254/a?b=hunter2", "http://8.8.8.8:22/"]
)
def test_what_the_url_shows_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        Outbound(FetchRules()).admit(parse(url))
    assert refusal.value.code == "source-refused"
    assert refusal.value.remedy
    assert "hunter2" not in refusal.value.message


def test_the_rules_are_values() -> None:
    rules = FetchRules()
    with pytest.raises(dataclasses.FrozenInstanceError):
        rules.ports = (22,)  # type: ignore[misc]
    assert issubclass(SourceRefused, Refusal)
