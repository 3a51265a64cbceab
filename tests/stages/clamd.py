"""A real clamd with signatures of our own, and impostors in its place."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTFILES = Path("/usr/share/clamav-testfiles")
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE" + b"!$H+H*"

needs_clamd = pytest.mark.skipif(
    shutil.which("clamd") is None, reason="clamd is missing: apt-get install clamav-daemon clamav-testfiles"
)


@dataclass(frozen=True)
class Running:
    """A clamd at its socket."""

    socket: Path
    process: subprocess.Popen[str]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It hangs meanwhile: its sockets take connections, and nothing comes back."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running(folder: Path, *, built: float | None = None, **settings: str) -> Iterator[Running]:
    """A clamd whose daily signatures are of the time `built`; undated without. `settings` go to clamd.conf."""
    signatures = folder / "signatures"
    signatures.mkdir(parents=True)
    write_signatures(signatures, built)
    path = folder / "clamd.sock"
    chosen = {"AlertExceedsMax": "yes", "LocalSocket": str(path), "DatabaseDirectory": str(signatures)}
    chosen |= {"Foreground": "yes", "TemporaryDirectory": str(folder), **settings}
    (folder / "clamd.conf").write_text("".join(f"{key} {value}\n" for key, value in chosen.items()))
    command = ["clamd", "-c", str(folder / "clamd.conf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            until_ready(process)
            yield Running(path, process)
        finally:
            process.kill()


def until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Self checking"):
            return
    raise RuntimeError("clamd did not start: " + "".join(said))


def write_signatures(folder: Path, built: float | None) -> None:
    """EICAR anywhere, and the program that Debian's test files hold; an unsigned daily database where it is dated."""
    (folder / "test.ndb").write_text(f"Test.EICAR:0:*:{EICAR.hex()}\n")
    if (TESTFILES / "clam.exe").exists():
        program = (TESTFILES / "clam.exe").read_bytes()
        digest = hashlib.md5(program, usedforsecurity=False).hexdigest()
        (folder / "test.hdb").write_text(f"{digest}:{len(program)}:Test.Clam\n")
    if built is not None:
        (folder / "daily.cud").write_bytes(daily(built))


def daily(built: float) -> bytes:
    """A local database under the name of the daily one: a head of 512 bytes, then a packed tar."""
    signatures = f"Test.Daily:0:*:{b'a daily signature'.hex()}\n".encode()
    when = time.strftime("%d %b %Y %H-%M +0000", time.gmtime(built))
    head = f"ClamAV-VDB:{when}:27000:1:90:X:X:tests:{int(built)}"
    contents = f"{head}\ndaily.ndb:{len(signatures)}:{hashlib.sha256(signatures).hexdigest()}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("daily.ndb", signatures), ("daily.info", contents)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return head.encode().ljust(512) + gzip.compress(packed.getvalue())


@contextmanager
def impostor(path: Path, act: Callable[[socket.socket], None], version: bytes = b"ClamAV 1.4.6\0") -> Iterator[None]:
    """Something at clamd's socket that names itself, passes the test, and then does as it likes with an image."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)
        serving = threading.Thread(target=_serve, args=(listening, act, version), daemon=True)
        serving.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            serving.join()


def _serve(listening: socket.socket, act: Callable[[socket.socket], None], version: bytes) -> None:
    with suppress(OSError):
        while True:
            peer, _ = listening.accept()
            threading.Thread(target=_answer, args=(peer, act, version), daemon=True).start()


def _answer(peer: socket.socket, act: Callable[[socket.socket], None], version: bytes) -> None:
    with peer, suppress(OSError):
        command = peer.recv(10, socket.MSG_WAITALL if peer.recv(2, socket.MSG_PEEK) == b"zI" else 0)
        if command != b"zINSTREAM\0":
            peer.sendall(version)
            return
        size = int.from_bytes(peer.recv(4, socket.MSG_WAITALL | socket.MSG_PEEK), "big")
        if 0 < size < 10_000:
            peer.recv(size + 8, socket.MSG_WAITALL)
            peer.sendall(b"stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0")
        else:
            act(peer)


def drained(peer: socket.socket) -> None:
    """Take a whole stream, up to its end."""
    while size := int.from_bytes(peer.recv(4, socket.MSG_WAITALL), "big"):
        peer.recv(size, socket.MSG_WAITALL)


def silent(peer: socket.socket) -> None:
    """Take everything and say nothing, until the other side gives up."""
    while peer.recv(1 << 16):
        pass
