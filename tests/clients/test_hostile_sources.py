"""Sources that lead inside, stall, lie or never end: the import ends by name, and the image can be used again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import quote, unquote

import pytest

from tests.clients.site import User, settings, user_of
from tests.served import served

GOOD = b"a whole image. " * 7_000
OUTSIDE = "127.0.0.2"
"""The one address the service may fetch from; everything else of loopback is inside."""


class Source(BaseHTTPRequestHandler):
    """`/to/URL` redirects there; the other paths are the names of its methods."""

    released: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        name, _, rest = unquote(self.path.partition("?")[0])[1:].partition("/")
        try:
            if name == "to":
                self.head(302, Location=rest)
            else:
                getattr(self, name)()
        except OSError:
            pass  # the service has had enough

    def head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def good(self) -> None:
        self.head(200, Content_Length=str(len(GOOD)))
        self.wfile.write(GOOD)

    def missing(self) -> None:
        self.head(404, Content_Length="0")

    def silent(self) -> None:
        self.released.wait(60)

    def stalled(self) -> None:
        self.head(200, Content_Length="5000000")
        self.wfile.write(GOOD)
        self.released.wait(60)

    def short(self) -> None:
        self.head(200, Content_Length="5000000")
        self.wfile.write(GOOD)

    def broken(self) -> None:
        self.head(200, Transfer_Encoding="chunked")
        self.wfile.write(b"400\r\n" + b"a" * 1024 + b"\r\nno chunk at all\r\n" + b"b" * 4096)
        self.released.wait(60)

    def unsaid(self) -> None:
        self.head(200)
        self.wfile.write(GOOD)

    def packed(self) -> None:
        self.head(200, Content_Length=str(len(GOOD)), Content_Encoding="gzip")
        self.wfile.write(GOOD)

    def endless(self) -> None:
        self.head(200, Transfer_Encoding="chunked")
        while True:
            self.wfile.write(b"100000\r\n" + b"\1" * (1 << 20) + b"\r\n")

    def large(self) -> None:
        self.head(200, Content_Length=str(1 << 40))
        self.released.wait(60)

    def around(self) -> None:
        self.head(302, Location="/around")

    def log_message(self, *args: object) -> None: ...


@dataclass(frozen=True)
class Place:
    """The service, a source it may reach, and listeners at `inside` that nobody may reach."""

    url: str
    source: str
    inside: int
    listeners: list[socket.socket] = field(default_factory=list)

    def fill(self, text: str) -> str:
        return text.format(source=self.source, inside=self.inside, gateway=self.url.rpartition(":")[2])

    def contacted(self) -> bool:
        """Whether anybody has connected to the inside."""
        return any(_taken(listener) for listener in self.listeners)


def _taken(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("hostile")
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        inside = listeners[0].getsockname()[1]
        if socket.has_ipv6:
            listeners.append(stack.enter_context(socket.create_server(("::1", inside), family=socket.AF_INET6)))
        for listener in listeners:
            listener.setblocking(False)
        port = stack.enter_context(_source())
        fetch = {
            "allowed_networks": [f"{OUTSIDE}/32"],
            "ports": [80, inside, port],
            "dns_timeout": "200ms",
            "connect_timeout": "200ms",
            "idle_timeout": "2s",
        }
        file = settings(home, fetch, imports={"retries": 0})
        url = stack.enter_context(served(home, "--demo", "--config", str(file), "--data", str(home / "data")))
        yield Place(url, f"http://{OUTSIDE}:{port}", inside, listeners)


@contextmanager
def _source() -> Iterator[int]:
    """The source in a thread; gives its port."""
    with ThreadingHTTPServer((OUTSIDE, 0), Source) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            Source.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def gold(place: Place) -> Iterator[User]:
    user = user_of(place.url)
    with user.http:
        yield user


INSIDE = {
    "loopback": "http://127.0.0.1:{inside}/x",
    "loopback, another way": "http://[::ffff:127.0.0.1]:{inside}/x",
    "loopback of six": "http://[::1]:{inside}/x",
    "this host": "http://0.0.0.0:{inside}/x",
    "this host of six": "http://[::]:{inside}/x",
    "instance metadata": "http://169.254.169.254/latest/meta-data/",
    "a name for loopback": "http://localhost:{inside}/x",
    "a number": "http://2130706433:{inside}/x",
    "a port that is not open": "http://127.0.0.2:1/x",
    "the service itself": "http://127.0.0.1:{gateway}/v2/images",
}


@pytest.mark.parametrize("name", INSIDE)
def test_what_is_inside_is_never_contacted(place: Place, gold: User, name: str) -> None:
    image = gold.create(name=name)
    answer = gold.start(image, "web-download", uri=place.fill(INSIDE[name]))
    if name == "a name for loopback":  # only the worker looks names up
        check_refused(gold, image)
    else:
        assert answer.status_code == 400
        gold.error(answer)
    check_untouched(place, gold, image)


@pytest.mark.parametrize("name", INSIDE)
def test_no_redirect_leads_inside(place: Place, gold: User, name: str) -> None:
    image = gold.create(name=name)
    there = quote(place.fill(INSIDE[name]), safe="/")
    assert gold.start(image, "web-download", uri=f"{place.source}/to/{there}").status_code == 202
    check_refused(gold, image)
    check_untouched(place, gold, image)


def test_a_redirect_to_the_open_is_followed(place: Place, gold: User) -> None:
    image = gold.create(name="followed")
    assert gold.start(image, "web-download", uri=f"{place.source}/to/{place.source}/good").status_code == 202
    gold.reaches(image, "active")
    assert gold.file(image).content == GOOD


def check_refused(user: User, image: str) -> None:
    task = user.ended(image)
    assert task["status"] == "failure"
    assert task["code"] in ("source-refused", "source-unreachable")
    assert task["message"]
    assert task["remedy"]


def check_untouched(place: Place, user: User, image: str) -> None:
    assert not place.contacted()
    assert user.show(image)["status"] == "queued"


LYING = {
    "missing": "source-failed",
    "silent": "source-stalled",
    "stalled": "source-stalled",
    "short": "source-truncated",
    "broken": "source-broken",
    "unsaid": "source-refused",
    "packed": "source-refused",
    "endless": "over-limit",
    "large": "over-limit",
    "around": "source-refused",
}


@pytest.mark.parametrize("path", LYING)
def test_a_bad_source_ends_by_name_and_a_good_one_follows(place: Place, gold: User, path: str) -> None:
    image = gold.create(name=path)
    assert gold.start(image, "web-download", uri=f"{place.source}/{path}?token=secret").status_code == 202
    task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", LYING[path])
    assert task["message"]
    assert task["remedy"]
    assert "secret" not in str(task)
    found = gold.show(image)
    assert (found["status"], found["size"], found["checksum"]) == ("queued", None, None)
    assert gold.file(image).content == b""
    assert gold.start(image, "web-download", uri=f"{place.source}/good").status_code == 202
    gold.reaches(image, "active")
    assert gold.file(image).content == GOOD
