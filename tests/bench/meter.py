"""What a process costs, as Linux counts it: CPU seconds, bytes written, peak memory. See proc(5)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Spent:
    """Wall and CPU seconds of the metered process, and the bytes it had written to disk."""

    seconds: float
    cpu: float
    written: int


class Meter:
    """One process with all its threads, those that have ended included."""

    def __init__(self, pid: int) -> None:
        self._proc = Path("/proc") / str(pid)

    def cpu(self) -> float:
        """User and system seconds, in steps of a clock tick. The name in the second field may hold spaces."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def written(self) -> int:
        """Bytes of page cache made dirty. A page written twice counts twice only if it reached the disk in between."""
        return self._number("io", "write_bytes")

    def peak(self) -> int:
        """The most bytes that were resident since `forget_peak`."""
        return self._number("status", "VmHWM") * 1024

    def resident(self) -> int:
        return self._number("status", "VmRSS") * 1024

    def forget_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")

    def spend(self, work: Callable[[], object]) -> Spent:
        """Run `work` and say what it cost the process. The disk is quiet before and after."""
        os.sync()
        cpu, written, began = self.cpu(), self.written(), time.perf_counter()
        work()
        seconds, cpu = time.perf_counter() - began, self.cpu() - cpu
        os.sync()
        return Spent(seconds, cpu, self.written() - written)

    def _number(self, file: str, key: str) -> int:
        for line in (self._proc / file).read_text().splitlines():
            name, _, value = line.partition(":")
            if name == key:
                return int(value.split()[0])
        raise KeyError(f"{self._proc / file} has no {key}")


def counts_writes(folder: Path) -> bool:
    """Does `Meter.written` see what is written to this folder? It sees nothing of a folder in memory."""
    probe = folder / "probe"

    def write() -> None:
        with probe.open("wb", buffering=0) as file:
            for _ in range(16):
                file.write(bytes(MIB))
            os.fsync(file.fileno())

    spent = Meter(os.getpid()).spend(write)
    probe.unlink()
    return abs(spent.written - 16 * MIB) < MIB


class Others:
    """What everybody but this run took of the machine: a measurement on a busy machine says little."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = _busy()
        self._own = _own()

    def share(self) -> float:
        """Part of all the machine's CPU time since the start, from 0 to 1. Ask once our processes have ended."""
        busy, own = _busy() - self._busy, _own() - self._own
        return max(0.0, busy - own) / ((time.monotonic() - self._began) * (os.cpu_count() or 1))


def _busy() -> float:
    """CPU seconds the machine has worked, time stolen by its host included."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal, *_ = (int(field) for field in file.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / TICKS


def _own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
