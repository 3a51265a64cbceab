"""Does memory grow with the image? Uploads of growing sizes through one service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bench.meter import MIB
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.service import Service, served

GROWTH = "largest / smallest"


def measure(folder: Path, image: Path, sizes: Sequence[int]) -> list[Figure]:
    """Peak resident memory of the service during one upload of each size in bytes, in the order given."""
    samples = Samples(list)
    with served(folder) as service:
        peak(service, image, sizes[0])
        samples["idle"] = [service.meter.resident() / MIB]
        for size in sizes:
            samples[name(size)] = [peak(service, image, size) / MIB]
    samples[GROWTH] = [samples[name(sizes[-1])][0] / samples[name(sizes[0])][0]]
    kinds = {"idle": Kind("MiB"), **{name(size): Kind("MiB") for size in sizes}, GROWTH: Kind("x", target=1.1)}
    return figures("peak memory of an upload", samples, kinds)


def name(size: int) -> str:
    return f"PUT file, {size // MIB:,} MiB"


def peak(service: Service, image: Path, size: int) -> int:
    image_id = service.new_image()
    service.meter.forget_peak()
    service.client.send(f"/v2/images/{image_id}/file", image, size)
    found = service.meter.peak()
    service.remove(image_id)
    return found
