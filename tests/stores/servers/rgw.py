"""Ceph's object gateway on loopback, over one disk that is a file: S3, and Swift with token auth.

`python -m tests.stores.servers.rgw` installs it where it may, starts it and waits for Ctrl-C.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

from tests.interop.installed import SetupFailed, run
from tests.interop.running import free_ports, served, stop
from tests.stores.servers.bucket import Server, auditor

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw")
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph-authtool")
ACCESS, SECRET = "rgw-access", "rgw-secret"
ADMIN_SECONDS = 60

CONF = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon}]
mon initial members = a
public network = 127.0.0.0/8
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = {disk}
osd memory target = 939524096
mon allow pool size one = true
mon data avail crit = 1
mon max pg per osd = 1000
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
# An object that was removed frees its disk at once, not after two hours.
rgw gc obj min wait = 0
rgw gc processor period = 5
rgw gc processor max time = 5
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
"""


@dataclass(frozen=True, slots=True)
class Rgw(Server):
    """And what a client of its Swift API needs; the container is the bucket."""

    auth_url: str
    username: str
    password: str

    @property
    def container(self) -> str:
        return self.bucket


class Missing(Exception):
    """Ceph is not installed, and cannot be from here; the message says how."""


def is_ready() -> bool:
    """Whether `server` would start without installing anything first."""
    return all(shutil.which(program) for program in PROGRAMS)


def install() -> None:
    """By the system's own packages. Raises Missing."""
    if is_ready():
        return
    if os.getuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
            subprocess.run(["apt-get", *words], env=env, capture_output=True, check=False)
    if not is_ready():
        raise Missing(f"Ceph is not installed: sudo apt-get install {' '.join(PACKAGES)}")


@contextmanager
def server(*, disk: int = 20 << 30) -> Iterator[Rgw]:
    """A new Ceph with one empty bucket and `disk` bytes of room. Raises Missing, SetupFailed, NotServing."""
    install()
    with tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        (mon, port), fsid = free_ports(2), str(uuid4())
        conf = folder / "ceph.conf"
        for part in ("mon", "osd", "rgw", "run"):
            (folder / part).mkdir()
        conf.write_text(CONF.format(fsid=fsid, mon=mon, port=port, folder=folder, disk=disk))
        cluster = _Cluster(folder, conf)
        cluster.found(stack, fsid, mon)
        url = f"http://127.0.0.1:{port}"
        command = ["radosgw", "-c", conf, "-n", "client.rgw", "-f"]
        stack.enter_context(served(command, url, folder / "output.log", os.environ))
        password = cluster.user()
        made = Rgw(url, "default", ACCESS, SECRET, "images", f"{url}/auth/1.0", "gateway:swift", password)
        auditor(made).client.create_bucket(Bucket=made.bucket)
        yield made


@dataclass(frozen=True, slots=True)
class _Cluster:
    folder: Path
    conf: Path

    def found(self, stack: ExitStack, fsid: str, mon: int) -> None:
        """A monitor and one disk. The manager is left out: it only counts, and takes longest to start."""
        keyring, monmap, osd = self.folder / "keyring", self.folder / "monmap", str(uuid4())
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self._run("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{mon}]", "--fsid", fsid, monmap)
        self._run("ceph-mon", "-c", self.conf, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._start(stack, "ceph-mon", "a")
        self._until("ceph", "-c", self.conf, "--connect-timeout", "10", "osd", "new", osd)
        self._run("ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._start(stack, "ceph-osd", "0")

    def user(self) -> str:
        """A user of both APIs; gives the secret of the second."""
        admin = ("radosgw-admin", "-c", self.conf)
        who = ("--uid=gateway", "--display-name=gateway", f"--access-key={ACCESS}", f"--secret-key={SECRET}")
        self._run(*admin, "user", "create", *who)
        self._run(*admin, "subuser", "create", "--uid=gateway", "--subuser=gateway:swift", "--access=full")
        key = ("key", "create", "--subuser=gateway:swift", "--key-type=swift", "--gen-secret")
        said = subprocess.run([*admin, *key], capture_output=True, check=True, timeout=ADMIN_SECONDS).stdout
        return str(json.loads(said)["swift_keys"][0]["secret_key"])

    def _run(self, *command: str | Path) -> None:
        run(command, self.folder / "output.log", ADMIN_SECONDS, **os.environ)

    def _until(self, *command: str | Path) -> None:
        """Run it until it goes well: what it talks to is still starting."""
        until = monotonic() + ADMIN_SECONDS
        while True:
            try:
                return self._run(*command)
            except (SetupFailed, subprocess.TimeoutExpired):
                if monotonic() > until:
                    raise
                sleep(0.2)

    def _start(self, stack: ExitStack, program: str, name: str) -> None:
        """Again where it gives up: a disk that is faster than its monitor's map is told that its cluster is another."""
        words = [program, "-c", str(self.conf), "-i", name, "-f"]
        again = ["sh", "-c", 'until "$@"; do sleep 0.3; done', "sh", *words]
        with (self.folder / "output.log").open("ab") as output:
            process = subprocess.Popen(again, stdout=output, stderr=output, start_new_session=True)
        stack.callback(stop, process)


def main() -> None:
    with server() as running:
        print(running, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
