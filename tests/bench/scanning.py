"""What a malware scan costs: clamd alone, then the pipeline with it, on the same bytes."""

from __future__ import annotations

import shutil
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway.model.decision import StageCall
from gateway.service.lanes import Lane
from gateway.stages.pipeline import Declared, Pipeline, Tools
from gateway.stages.stage import Scanner
from gateway.tools.clamd import Clamd
from tests.bench.meter import MIB
from tests.bench.report import Figure, Kind, Samples, Skipped, figures
from tests.stages.clamd import running

SIZE = 128 * MIB
KINDS = {
    "clamd alone": Kind("MB/s", more=True),
    "all stages and clamd": Kind("MB/s", more=True),
    "all stages and clamd / clamd alone": Kind("x", more=True, target=0.95),
    "all stages without it": Kind("MB/s", more=True),
}
STAGES = ("inspect", "checksum")


def measure(folder: Path, image: Path, size: int, rounds: int) -> list[Figure]:
    """One clean image; clamd keeps no memory of what it has seen."""
    if shutil.which("clamd") is None:
        raise Skipped("clamd is missing: apt-get install clamav-daemon")
    size = min(size, SIZE)
    samples = Samples(list)
    limits = dict.fromkeys(("StreamMaxLength", "MaxFileSize", "MaxScanSize"), "2000M")
    with running(folder / "clamd", DisableCache="yes", MaxScanTime="0", **limits) as clamd:
        for _ in range(rounds):
            alone = rate(size, lambda: scan_alone(clamd.socket, image, size))
            beside = rate(size, lambda: walk(image, size, (*STAGES, "malware-scan"), Clamd(clamd.socket)))
            samples["clamd alone"].append(alone)
            samples["all stages and clamd"].append(beside)
            samples["all stages and clamd / clamd alone"].append(beside / alone)
            samples["all stages without it"].append(rate(size, lambda: walk(image, size, STAGES, None)))
    return figures(f"a malware scan of {size // MIB:,} MiB", samples, KINDS)


def rate(size: int, work: Callable[[], None]) -> float:
    """MB (10^6 bytes) a second."""
    began = time.perf_counter()
    work()
    return size / (time.perf_counter() - began) / 1e6


def blocks(image: Path, size: int) -> Iterator[bytes]:
    with image.open("rb", buffering=0) as file:
        for _ in range(size // MIB):
            yield file.read(MIB)


def scan_alone(address: Path, image: Path, size: int) -> None:
    """The protocol and nothing else."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(address))
        line.sendall(b"zINSTREAM\0")
        for block in blocks(image, size):
            line.sendall(struct.pack("!I", len(block)))
            line.sendall(block)
        line.sendall(bytes(4))
        expect(line.recv(4096) == b"stream: OK\0")


def walk(image: Path, size: int, stages: Sequence[str], scanner: Scanner | None) -> None:
    """All stages and both digests, without a store."""
    tools = Tools(lane=Lane, waiting_lane=Lane, tick=time.monotonic, scanner=scanner)
    pipeline = Pipeline([StageCall(name) for name in stages], declared=Declared("raw", "bare"), tools=tools)
    try:
        for block in blocks(image, size):
            for _ in pipeline.feed(block):
                pass
        for _ in pipeline.finish():
            pass
        expect(pipeline.verdict().size == size)
    finally:
        pipeline.release()


def expect(clean: bool) -> None:
    if not clean:
        raise RuntimeError("the image was not found clean")
