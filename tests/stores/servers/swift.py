"""OpenStack Swift from PyPI on loopback: one disk that is a folder, one replica, TempAuth, large objects.

`python -m tests.stores.servers.swift` installs it into .venv-swift, starts it and waits for Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

import httpx

from tests.interop.installed import installed, is_installed, run
from tests.interop.running import free_ports, served

REQUIREMENTS = ("swift==2.38.3", "setuptools<81")
FOLDER = Path(__file__).parents[3] / ".venv-swift"
KINDS = ("account", "container", "object")
USER, PASSWORD, CONTAINER = "cloud:gateway", "swift-gateway", "images"

SITE = "[swift-hash]\nswift_hash_path_prefix = gateway\n"

# Listings are the suite's witness: a slow disk must not make the object server put an entry off until later.
BEHIND = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
log_level = WARNING
log_address = {folder}/no-syslog
container_update_timeout = 60
node_timeout = 60
conn_timeout = 60
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

FRONT = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_level = WARNING
log_address = {folder}/no-syslog
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats bulk {auth} copy container-quotas slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 60
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
# Sealed tokens need no memcached.
[filter:tempauth]
use = egg:swift#tempauth
fernet_key_suite = {key}
active_fernet_key_id = suite
token_life = {token_life}
user_cloud_gateway = swift-gateway .admin
user_cloud_reader = swift-reader
"""

RINGS = """\
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for kind, port in zip(("account", "container", "object"), ports):
    builder = RingBuilder(4, 1, 1)
    place = {"ip": "127.0.0.1", "port": int(port)}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "d1", "meta": "", **place,
                     "replication_ip": place["ip"], "replication_port": place["port"]})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""


class Speaker(Protocol):
    """Any server that speaks the Object Store API v1 and logs users in as TempAuth does."""

    @property
    def auth_url(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def container(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Swift:
    """What a client needs. `disk` is the folder in which the servers keep everything."""

    auth_url: str
    username: str
    password: str
    container: str
    disk: Path


def is_ready() -> bool:
    """Whether `server` would start without installing anything first."""
    return is_installed(FOLDER, REQUIREMENTS)


@contextmanager
def server(*, token_life: int = 86400) -> Iterator[Swift]:
    """A new Swift with one empty container. `token_life` in seconds. Raises SetupFailed, NotServing."""
    with tempfile.TemporaryDirectory(prefix="swift-") as name, ExitStack() as stack:
        folder = Path(name)
        programs = installed(FOLDER, folder / "install.log", REQUIREMENTS)
        front, *behind = free_ports(1 + len(KINDS))
        _configure(programs, folder, front, behind, token_life)
        log = folder / "output.log"
        for kind, port in [*zip(KINDS, behind, strict=True), ("proxy", front)]:
            command: list[str | Path] = [programs / f"swift-{kind}-server", folder / f"{kind}.conf", "--verbose"]
            stack.enter_context(served(command, f"http://127.0.0.1:{port}/healthcheck", log, os.environ))
        swift = Swift(f"http://127.0.0.1:{front}/auth/v1.0", USER, PASSWORD, CONTAINER, folder / "devices" / "d1")
        make_container(swift)
        yield swift


def logged_in(swift: Speaker) -> tuple[str, Mapping[str, str]]:
    """The URL of the account, and the headers that open it."""
    who = {"X-Auth-User": swift.username, "X-Auth-Key": swift.password}
    answer = httpx.get(swift.auth_url, headers=who, trust_env=False).raise_for_status()
    return answer.headers["X-Storage-Url"], {"X-Auth-Token": answer.headers["X-Auth-Token"]}


def make_container(swift: Speaker, name: str | None = None) -> None:
    url, headers = logged_in(swift)
    httpx.put(f"{url}/{name or swift.container}", headers=headers, trust_env=False).raise_for_status()


def held(swift: Speaker, name: str | None = None) -> list[str]:
    """The names of all objects of the container, as the server lists them."""
    url, headers = logged_in(swift)
    answer = httpx.get(f"{url}/{name or swift.container}?format=json", headers=headers, trust_env=False)
    return [entry["name"] for entry in answer.raise_for_status().json()]


def _configure(programs: Path, folder: Path, front: int, behind: list[int], token_life: int) -> None:
    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(SITE)
    values = {"user": _user(), "folder": folder}
    for kind, port in zip(KINDS, behind, strict=True):
        (folder / f"{kind}.conf").write_text(BEHIND.format(kind=kind, port=port, **values))
    sealed = {"key": "Z2F0ZXdheS1zdWl0ZS1zZWFscy1pdHMtdG9rZW5zLi4=", "token_life": token_life}
    (folder / "proxy.conf").write_text(FRONT.format(port=front, auth="tempauth", **sealed, **values))
    ports = [str(port) for port in behind]
    run([programs / "python", "-c", RINGS, folder, *ports], folder / "rings.log", 60, **os.environ)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    started = monotonic()
    with server() as swift, suppress(KeyboardInterrupt):
        print(f"{swift.auth_url} {swift.username} {swift.password}, after {monotonic() - started:.1f} s", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
