"""What looking at the bytes costs beside hashing them: the same pipeline with and without the inspect stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from gateway.model.decision import StageCall
from gateway.service.lanes import Lane
from gateway.stages.pipeline import Declared, Pipeline, Tools
from tests.bench.meter import MIB
from tests.bench.report import Figure, Kind, Samples, figures
from tests.images.sound import qcow2

KINDS = {
    "hashing": Kind("MB/s", more=True),
    "hashing and inspecting": Kind("MB/s", more=True),
    "time inspecting adds": Kind("%", target=5),
    "CPU inspecting adds": Kind("%", target=5),
}
TURNS = 5
"""Each way is run so often in a round, in turns, and the best counts: what disturbs a run is not the run's."""


def measure(image: Path, size: int, rounds: int) -> list[Figure]:
    samples = Samples(list)
    for _ in range(rounds):
        measure_round(image, size, samples)
    return figures(f"stages, over {size // MIB:,} MiB of qcow2", samples, KINDS)


def measure_round(image: Path, size: int, samples: Samples) -> None:
    bare: list[tuple[float, float]] = []
    looked: list[tuple[float, float]] = []
    for _ in range(TURNS):
        bare.append(spent(image, size, []))
        looked.append(spent(image, size, [StageCall("inspect")]))
    (seconds, cpu), (more_seconds, more_cpu) = (tuple(map(min, zip(*runs, strict=True))) for runs in (bare, looked))
    samples["hashing"].append(size / seconds / 1e6)
    samples["hashing and inspecting"].append(size / more_seconds / 1e6)
    samples["time inspecting adds"].append(100 * (more_seconds / seconds - 1))
    samples["CPU inspecting adds"].append(100 * (more_cpu / cpu - 1))


def spent(image: Path, size: int, calls: list[StageCall]) -> tuple[float, float]:
    """Wall and CPU seconds of one stream through the pipeline, its digests included."""
    pipeline = Pipeline(calls, declared=Declared("qcow2", "bare"), tools=Tools(lane=Lane))
    began, began_cpu = time.perf_counter(), time.process_time()
    for block in blocks(image, size):
        for _ in pipeline.feed(block):
            pass
    for _ in pipeline.finish():
        pass
    assert pipeline.verdict().size
    return time.perf_counter() - began, time.process_time() - began_cpu


def blocks(image: Path, size: int) -> Iterator[bytes]:
    """A sound qcow2, then the image's bytes as its clusters, in whole blocks."""
    head = qcow2().ljust(MIB, b"\0")
    yield head
    with image.open("rb") as file:
        for _ in range(size // MIB - 1):
            yield file.read(MIB)
