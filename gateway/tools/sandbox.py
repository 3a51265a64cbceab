"""Running a program on bytes nobody trusts: in namespaces of its own (bubblewrap), within limits, until a deadline.

It sees the program with its libraries, the files it is given to read, one folder to write in, and /dev/null. There is
no other file, no network, no /proc, no environment, no capability. Nothing of it runs on after its end or its deadline.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore

from gateway.model.errors import ContentRefused
from gateway.tools.running import Pipes, Watch, unavailable, unheard

LIBRARY = re.compile(r"(/\S+) \(0x")
"""What ldd(1) prints of each library it has found."""

OUT = "/out"
NOBODY = "65534"
ARENAS = "1"
STACK = 1 << 20
"""Each thread's, in bytes. The usual 8 MiB, and an arena of malloc's of 64 MiB, times 64 threads are too much."""

OPEN_FILES = 64
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
SIGNALLED = 128
SPENT = SIGNALLED + signal.SIGXCPU
OUTGROWN = SIGNALLED + signal.SIGXFSZ
KILLED = SIGNALLED + signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one run may take. Bytes: `memory` of address space, `file` for each file it writes, `said` on its pipes.

    Seconds: `cpu` of work, `wall` until it is killed.
    """

    memory: int = 1 << 30
    cpu: int = 30
    wall: float = 60.0
    file: int = 0
    said: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended by itself. What it said is text, with what is no UTF-8 replaced."""

    code: int
    output: str
    errors: str

    @property
    def outgrown(self) -> bool:
        """Whether it ended because a file became larger than its bounds let it."""
        return self.code == OUTGROWN or (bool(self.code) and os.strerror(errno.EFBIG) in self.errors)

    @property
    def out_of_room(self) -> bool:
        """Whether our own disk failed it: that is no fault of the bytes it was given."""
        return bool(self.code) and any(os.strerror(number) in self.errors for number in DISK_FAULTS)

    @property
    def complaint(self) -> str:
        """Its last line on standard error, for people; at most 300 characters."""
        lines = [line for line in self.errors.splitlines() if line.strip()]
        return "".join(c if c.isprintable() else "?" for c in lines[-1].strip())[:300] if lines else "no reason given"


class Sandbox:
    """At most `at_once` runs at the same time; whoever comes later waits, and is watched while it does."""

    def __init__(self, bwrap: str = "bwrap", *, at_once: int = 2) -> None:
        self._bwrap = bwrap
        self._places = BoundedSemaphore(at_once)

    def run(
        self,
        program: str,
        words: Sequence[str],
        *,
        reads: Mapping[str, Path] | None = None,
        writes: Path | None = None,
        bounds: Bounds | None = None,
        watch: Watch = unheard,
    ) -> Ended:
        """Run `program` with `reads` at the given places, read only, and `writes` as /out.

        `watch` gets each piece of its standard output, an empty one several times a second; what it raises kills the
        run. Raises Unavailable `stage-unavailable` where the run could not be made, was too slow or talked too much,
        ContentRefused `too-costly` or `unreadable` where the bytes made it spend all its time or die.
        """
        bounds = bounds or Bounds()
        command = [*_limits(bounds), *self._walls(program, reads or {}, writes), _inside(program), *words]
        with self._place(watch):
            return _judged(program, _run(command, bounds, watch), bounds)

    def _walls(self, program: str, reads: Mapping[str, Path], writes: Path | None) -> list[str]:
        path = found(program)
        files = {_inside(program): path, **{library: library for library in _libraries(path)}, **reads}
        return [
            *(found(self._bwrap), "--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY),
            *("--cap-drop", "ALL", "--new-session", "--die-with-parent", "--chdir", "/"),
            *("--clearenv", "--setenv", "MALLOC_ARENA_MAX", ARENAS, "--dev-bind", "/dev/null", "/dev/null"),
            *(word for inside, path in files.items() for word in ("--ro-bind", str(path), inside)),
            *(("--bind", str(writes), OUT) if writes else ()),
            "--",
        ]

    @contextmanager
    def _place(self, watch: Watch) -> Iterator[None]:
        while not self._places.acquire(timeout=0.2):
            watch(b"")
        try:
            yield
        finally:
            self._places.release()


def _limits(bounds: Bounds) -> list[str]:
    return [
        *(found("prlimit"), f"--as={bounds.memory}", f"--stack={STACK}", f"--fsize={bounds.file}"),
        *(f"--cpu={bounds.cpu}:{bounds.cpu + 1}", f"--nofile={OPEN_FILES}", "--core=0", "--"),
    ]


def _libraries(program: str) -> list[str]:
    """Looked for anew each time, because a system is updated while the service runs."""
    listed = subprocess.run([found("ldd"), program], capture_output=True, text=True, errors="replace", check=False)
    if "not found" in listed.stdout:
        raise unavailable(f"{program} lacks a library")
    return LIBRARY.findall(listed.stdout)


def _inside(program: str) -> str:
    return f"/tool/{Path(program).name}"


def found(program: str) -> str:
    """Where a program is. Raises Unavailable."""
    path = shutil.which(program)
    if path is None:
        raise unavailable(f"{program} is not installed here")
    return os.path.realpath(path)


def _run(command: Sequence[str], bounds: Bounds, watch: Watch) -> Ended:
    """Its own process group, so that a signal meant for the gateway is not meant for it."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, process_group=0
    )
    assert process.stdout is not None
    assert process.stderr is not None
    pipes = Pipes(process.stdout, process.stderr, bounds.said)
    try:
        pipes.drain(bounds.wall, watch)
    finally:
        _end(process, pipes)
    return Ended(process.returncode, *pipes.texts())


def _end(process: subprocess.Popen[bytes], pipes: Pipes) -> None:
    """Gone is gone: bwrap takes the whole sandbox with it, and the pipes end when the last process in there has."""
    if not pipes.ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    pipes.close()


def _judged(program: str, ended: Ended, bounds: Bounds) -> Ended:
    name = Path(program).name
    if ended.errors.startswith(("bwrap: ", "prlimit: ")) or ended.code == KILLED:
        raise unavailable(f"{name} could not be run ({ended.complaint if ended.code != KILLED else 'it was killed'})")
    if ended.out_of_room:
        raise unavailable(f"{name} had nowhere to write ({ended.complaint})")
    if ended.code == SPENT:
        raise ContentRefused(
            f"{name} spent all of its {bounds.cpu} seconds of work on the image.",
            remedy="Write the image anew, naming its format: qemu-img convert -f FORMAT -O qcow2 IN out.qcow2",
            code="too-costly",
        )
    if ended.code > SIGNALLED and not ended.outgrown:
        raise ContentRefused(
            f"{name} died of the image ({signal.strsignal(ended.code - SIGNALLED)}).",
            remedy="Check the image with 'qemu-img check', or write it anew: qemu-img convert -O qcow2 IN out.qcow2",
            code="unreadable",
        )
    return ended
