"""Whole images in and out, each beside its yardstick in the same round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.meter import MIB, Spent
from tests.bench.reference import Reference, hashing_cpu, referred
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.service import Service, served

GLANCE_SIZE = 1024 * MIB
KINDS = {
    "PUT file": Kind("MB/s", more=True, glance="130"),
    "PUT file / raw sockets": Kind("x", more=True, target=0.80),
    "PUT file CPU / hashing twice": Kind("x"),
    "PUT file written / size": Kind("x"),
    "glance-direct": Kind("s", glance="21.9"),
    "glance-direct CPU / hashing twice": Kind("x", target=1.7),
    "glance-direct written / size": Kind("x", target=1.02, glance="2.0"),
    "web-download": Kind("s", glance="22.4"),
    "web-download CPU / hashing twice": Kind("x", target=1.7),
    "web-download written / size": Kind("x", target=1.02),
    "GET file": Kind("MB/s", more=True, glance="1,343"),
    "GET file / raw sockets": Kind("x", more=True),
    "GET file CPU": Kind("s"),
    "peak memory": Kind("MiB"),
    "raw sockets, PUT": Kind("MB/s", more=True),
    "raw sockets, PUT CPU / hashing twice": Kind("x"),
    "raw sockets, GET": Kind("MB/s", more=True),
    "hashing twice, CPU": Kind("s"),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """The service, its yardstick, and one image of `size` bytes that both are given."""

    service: Service
    reference: Reference
    image: Path
    size: int
    samples: Samples
    counts_writes: bool

    def warm_up(self) -> None:
        """One small image, so that nobody measures what is loaded on first use."""
        small = replace(self, size=min(self.size, 64 * MIB), samples=Samples(list))
        small.image_in("PUT file", 1, small.save)

    def round(self) -> None:
        self.service.meter.forget_peak()
        hashing = hashing_cpu(self.image, self.size)
        raw = self.reference.meter.spend(lambda: self.reference.client.send("/image", self.image, self.size))
        self.note("hashing twice, CPU", hashing)
        self.note("raw sockets, PUT", self.rate(raw))
        self.note("raw sockets, PUT CPU / hashing twice", raw.cpu / hashing)
        saved = self.image_in("PUT file", hashing, self.save)
        self.note("PUT file", self.rate(saved))
        self.note("PUT file / raw sockets", raw.seconds / saved.seconds)
        self.note("glance-direct", self.image_in("glance-direct", hashing, self.stage_and_import).seconds)
        self.note("web-download", self.image_in("web-download", hashing, self.download, and_out=True).seconds)
        self.note("peak memory", self.service.meter.peak() / MIB)

    def image_in(self, way: str, hashing: float, work: Callable[[str], None], *, and_out: bool = False) -> Spent:
        image_id = self.service.new_image()
        spent = self.service.meter.spend(lambda: work(image_id))
        self.note(f"{way} CPU / hashing twice", spent.cpu / hashing)
        if self.counts_writes:
            self.note(f"{way} written / size", spent.written / self.size)
        if and_out:
            self.image_out(image_id)
        self.service.remove(image_id)
        return spent

    def image_out(self, image_id: str) -> None:
        raw = self.reference.meter.spend(lambda: self.reference.client.receive("/image", self.size))
        spent = self.service.meter.spend(lambda: self.service.client.receive(f"/v2/images/{image_id}/file", self.size))
        self.note("raw sockets, GET", self.rate(raw))
        self.note("GET file", self.rate(spent))
        self.note("GET file / raw sockets", raw.seconds / spent.seconds)
        self.note("GET file CPU", spent.cpu)

    def save(self, image_id: str) -> None:
        self.service.client.send(f"/v2/images/{image_id}/file", self.image, self.size)

    def stage_and_import(self, image_id: str) -> None:
        self.service.client.send(f"/v2/images/{image_id}/stage", self.image, self.size)
        self.service.start_import(image_id, {"name": "glance-direct"})
        self.service.until_active(image_id)

    def download(self, image_id: str) -> None:
        self.service.start_import(image_id, {"name": "web-download", "uri": self.reference.url})
        self.service.until_active(image_id)

    def rate(self, spent: Spent) -> float:
        """MB (10^6 bytes) a second."""
        return self.size / spent.seconds / 1e6

    def note(self, name: str, value: float) -> None:
        self.samples[name].append(value)


def measure(folder: Path, image: Path, size: int, rounds: int, *, counts_writes: bool) -> list[Figure]:
    """Each round does everything once, so that a busy minute of the machine hits both sides of each ratio."""
    samples = Samples(list)
    with (
        referred(folder / "reference", image) as reference,
        served(folder / "service", source_port=reference.client.address[1]) as service,
    ):
        bench = Bench(service, reference, image, size, samples, counts_writes)
        bench.warm_up()
        for _ in range(rounds):
            bench.round()
    comparable = KINDS if size == GLANCE_SIZE else {name: replace(kind, glance="") for name, kind in KINDS.items()}
    return figures(f"one image of {size // MIB:,} MiB", samples, comparable)
