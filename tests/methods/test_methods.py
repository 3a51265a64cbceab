"""The import methods, as the service meets them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.methods import METHODS
from gateway.methods.rules import FetchRules
from gateway.methods.web_download import WebDownload
from gateway.model.errors import BadRequest
from gateway.model.image import MOVES
from gateway.policy.facts import METHODS as KNOWN
from gateway.policy.facts import SOURCE_FACTS, VOCABULARY


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_known_to_the_policy_and_starts_where_its_move_can(name: str) -> None:
    method = METHODS[name](FetchRules())
    assert method.name == name
    assert name in KNOWN
    assert method.starts_from in MOVES[method.move][0]


def test_web_download_tells_the_policy_where_and_the_tenant_no_secrets() -> None:
    uri = "https://Mirror.Example./images/a.qcow2?sig=hunter2#part"
    request = METHODS["web-download"](FetchRules()).read({"name": "web-download", "uri": uri, "more": 1})
    assert request.facts == {
        "request.host": "mirror.example",
        "request.scheme": "https",
        "request.port": 443,
        "request.path": "/images/a.qcow2",
        "request.credential": "",
    }
    assert set(request.facts) == SOURCE_FACTS["web-download"] <= set(VOCABULARY)
    assert request.shown == {"name": "web-download", "uri": "https://mirror.example/images/a.qcow2"}
    assert request.secret == {"uri": "https://mirror.example/images/a.qcow2?sig=hunter2"}
    assert "hunter2" not in str(request.shown)


@pytest.mark.parametrize(
    "uri",
    [None, "", 1, [], {}, True, "file:///etc/passwd", "http://127.0.0.1/", "http://0.0.0.0/", "http://[::1]/",
     "http://169.254.169.254/", "http://a:b@host/", "http://host:22/"],
)  # fmt: skip
def test_web_download_refuses_what_is_no_source(uri: object) -> None:
    with pytest.raises(BadRequest) as refusal:
        METHODS["web-download"](FetchRules()).read({"name": "web-download", "uri": uri})
    assert refusal.value.remedy


def test_web_download_needs_a_uri() -> None:
    with pytest.raises(BadRequest, match="uri"):
        METHODS["web-download"](FetchRules()).read({"name": "web-download"})


def test_web_download_brings_the_bytes_of_its_secret(serve: Any, outbound: Any) -> None:
    source = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage")
    method = WebDownload(outbound(source))
    request = method.read({"name": "web-download", "uri": source.url("/a?sig=1")})
    opened = method.open(request.secret, max_size=5, check=lambda target: None)
    assert opened.total == 5
    assert b"".join(opened.blocks()) == b"image"
    assert source.heads[0].startswith("GET /a?sig=1 ")


def test_glance_direct_has_no_source() -> None:
    method = METHODS["glance-direct"](FetchRules())
    request = method.read({"name": "glance-direct"})
    assert (request.facts, request.shown, request.secret) == ({}, {"name": "glance-direct"}, {})
    assert method.open({}, max_size=None, check=lambda target: None) is None


OUTWARD = {
    "httpx",
    "httpcore",
    "requests",
    "urllib3",
    "aiohttp",
    "urllib.request",
    "http.client",
    "ftplib",
    "smtplib",
    "telnetlib",
}
DIALS = {"connect", "connect_ex", "create_connection", "open_connection", "sock_connect"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    root = Path(gateway.__file__).parent
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


def test_only_the_guarded_fetch_opens_outward_connections() -> None:
    """The command line is a client of its own; Keystone, stores and an image service behind the gateway are where the
    operator says; the rest has one way out.
    """
    clients = {name for name, tree in modules() if imported(tree) & OUTWARD}
    assert {name for name in clients if not name.startswith(("cli/", "stores/", "upstream/"))} == {
        "methods/backend.py", "methods/fetch.py", "methods/hop.py", "methods/stream.py", "methods/transport.py",
        "identity/keystone_calls.py",
    }  # fmt: skip


def dials(tree: ast.Module) -> bool:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr in DIALS for call in calls)


def test_only_one_module_dials() -> None:
    """What a caller can name, that is; the addresses of the scanner and of stores are the operator's own."""
    found = {name for name, tree in modules() if "socket" in imported(tree) and dials(tree)}
    assert found == {"methods/backend.py", "stores/line.py", "tools/line.py"}
