"""The yardsticks: hashing alone, and the same work as an import on raw sockets and threads with nothing else.

`python -m tests.bench.reference FOLDER IMAGE` serves IMAGE to every GET and keeps no PUT: it receives into preallocated
blocks, hashes md5 and sha512 beside each other, writes to FOLDER, syncs, and answers.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from tests.bench.client import MIB, Address, Client
from tests.bench.meter import Meter

BLOCKS = 8
Use = Callable[[memoryview], object]


def hashing_cpu(image: Path, size: int) -> float:
    """CPU seconds of hashing `size` bytes of the file by md5, then by sha512, in this one thread."""
    began = time.thread_time()
    for name in ("md5", "sha512"):
        digest, buffer = hashlib.new(name, usedforsecurity=False), memoryview(bytearray(MIB))
        with image.open("rb", buffering=0) as file:
            for _ in range(0, size, MIB):
                digest.update(buffer[: file.readinto(buffer) or 0])
    return time.thread_time() - began


@dataclass(frozen=True, slots=True)
class Reference:
    """The running yardstick server."""

    client: Client
    meter: Meter

    @property
    def url(self) -> str:
        host, port = self.client.address
        return f"http://{host}:{port}/image"


@contextmanager
def referred(folder: Path, image: Path) -> Iterator[Reference]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.bench.reference", str(folder), str(image)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Reference(Client(announced(process)), Meter(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=10)


def announced(process: subprocess.Popen[str]) -> Address:
    """The address in the line a server prints once it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://(\S+?):(\d+)", line):
            return found[1], int(found[2])
    raise RuntimeError("the server did not start; its messages are above")


@dataclass(slots=True)
class Slot:
    """One block and how many still use it; it is free again when the last one is done."""

    block: memoryview = field(default_factory=lambda: memoryview(bytearray(MIB)))
    filled: int = 0
    users: int = 0


class Fan:
    """Hands every block to several threads, each at its own pace."""

    def __init__(self, uses: list[Use]) -> None:
        self._free: SimpleQueue[Slot] = SimpleQueue()
        self._queues: list[SimpleQueue[Slot | None]] = [SimpleQueue() for _ in uses]
        self._lock = threading.Lock()
        for _ in range(BLOCKS):
            self._free.put(Slot())
        self._threads = [
            threading.Thread(target=self._run, args=(use, queue)) for use, queue in zip(uses, self._queues, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def free(self) -> Slot:
        return self._free.get()

    def push(self, slot: Slot) -> None:
        slot.users = len(self._queues)
        for queue in self._queues:
            queue.put(slot)

    def finish(self) -> None:
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, use: Use, queue: SimpleQueue[Slot | None]) -> None:
        while (slot := queue.get()) is not None:
            use(slot.block[: slot.filled])
            with self._lock:
                slot.users -= 1
                last = slot.users == 0
            if last:
                self._free.put(slot)


def take_in(connection: socket.socket, early: bytes, size: int, target: Path) -> None:
    """Receive, hash and write a body of `size` bytes that began with `early`."""
    hashes = [hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha512")]
    with target.open("wb", buffering=0) as file:
        fan = Fan([file.write, *(digest.update for digest in hashes)])
        while size:
            slot = fan.free()
            wanted = min(size, MIB)
            slot.block[: len(early)] = early
            slot.filled, early = len(early), b""
            while slot.filled < wanted and (count := connection.recv_into(slot.block[slot.filled : wanted])):
                slot.filled += count
            fan.push(slot)
            if slot.filled < wanted:
                break
            size -= wanted
        fan.finish()
        os.fsync(file.fileno())
    [digest.hexdigest() for digest in hashes]


def give(connection: socket.socket, image: Path) -> None:
    with image.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        connection.sendfile(file)


def answer(connection: socket.socket, folder: Path, image: Path) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 12)
    head, _, early = received.partition(b"\r\n\r\n")
    if head.startswith(b"GET "):
        give(connection, image)
        return
    size = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
    target = folder / "taken"
    take_in(connection, early, size, target)
    connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    target.unlink()


def main(folder: Path, image: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"The reference serves http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                answer(connection, folder, image)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
