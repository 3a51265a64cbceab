"""Many gateways: how much comes in by web-download with one, two and four of them on one PostgreSQL and one bucket.

From fast sources the machine is what limits, which the database, the object store and the sources share with them;
from slow ones it is the number of imports that run at once, as it is in a cloud.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.meter import MIB, Meter
from tests.bench.reference import referred
from tests.bench.report import Figure, Kind, Samples, Skipped, figures
from tests.catalog import postgres
from tests.cli.service import eventually
from tests.faults.sources import sources
from tests.fleet.fleet import Fleet, fleet
from tests.serving import held_s3, servers
from tests.stores.servers import rgw

COUNTS = (1, 2, 4)
SIZE = 32 * MIB
SLOTS = 4
SLOW_SIZE = 4 * MIB
SLOW_SECONDS = 4
PATIENCE = 300


def kinds() -> dict[str, Kind]:
    speed, cost = Kind("MB/s", more=True), Kind("s")
    return {
        **{f"fast sources, {count} gateways": speed for count in COUNTS},
        **{f"CPU of {count} gateways for a GB": cost for count in COUNTS},
        **{f"slow sources, {count} gateways": speed for count in COUNTS},
        "slow sources, 4 / 1 gateways": Kind("x", more=True, target=3.0),
    }


@dataclass(frozen=True, slots=True)
class Bench:
    fleet: Fleet

    def rate(self, uris: list[str], size: int) -> float:
        """MB a second, from the first import to the end of the last. Everybody asks one gateway."""
        with self.fleet.members[0].user() as user:
            images = [user.create() for _ in uris]
            began = time.perf_counter()
            for image, uri in zip(images, uris, strict=True):
                user.start(image, "web-download", uri=uri).raise_for_status()
            eventually(self._all_ended, PATIENCE)
            seconds = time.perf_counter() - began
            for image in images:
                user.reaches(image, "active", 1)
                user.http.delete(f"/v2/images/{image}").raise_for_status()
        return len(uris) * size / seconds / 1e6

    def _all_ended(self) -> bool:
        return not self.fleet.count("SELECT 1 FROM imports WHERE status IN ('pending', 'processing')")

    def cpu(self) -> float:
        return sum(Meter(member.pid).cpu() for member in self.fleet.members)


def measure(folder: Path, image: Path, rounds: int) -> list[Figure]:
    if postgres.MISSING is not None:
        raise Skipped(postgres.MISSING)
    if not rgw.is_ready():
        raise Skipped("it wants a real object store, Ceph's; `make stores` installs it")
    samples = Samples(list)
    small = folder / "image"
    folder.mkdir(parents=True)
    small.write_bytes(image.read_bytes()[:SIZE])
    with referred(folder / "reference", small) as reference, sources() as slow:
        for count in COUNTS:
            with started(folder / str(count), count, [reference.client.address[1], slow.port]) as running:
                bench = Bench(running)
                bench.rate([reference.url] * count, SIZE)  # what is loaded on first use is loaded
                for _ in range(rounds):
                    cpu = bench.cpu()
                    samples[f"fast sources, {count} gateways"].append(bench.rate([reference.url] * SLOTS * 4, SIZE))
                    spent = (bench.cpu() - cpu) / (SLOTS * 4 * SIZE / 1e9)
                    samples[f"CPU of {count} gateways for a GB"].append(spent)
                    paced = [slow.paced(n, SLOW_SIZE, SLOW_SECONDS * 1000) for n in range(SLOTS * count * 2)]
                    samples[f"slow sources, {count} gateways"].append(bench.rate(paced, SLOW_SIZE))
    one, four = (samples[f"slow sources, {count} gateways"] for count in (COUNTS[0], COUNTS[-1]))
    samples["slow sources, 4 / 1 gateways"] = [many / few for few, many in zip(one, four, strict=True)]
    return figures("many gateways", samples, kinds())


@contextmanager
def started(home: Path, count: int, ports: list[int]) -> Iterator[Fleet]:
    home.mkdir()
    server = servers.server("rgw")
    place = held_s3.settings(server, f"scale/{count}")
    more = {
        "stores": [{"name": "bucket", "default": True, **place}],
        "credentials": held_s3.credentials(server),
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": ports},
        "log": {"level": "warning"},
    }
    held = held_s3.held(server, f"scale/{count}")
    with fleet(home, count, 0, more=more, held=held, concurrency=SLOTS, lease="15s", progress_interval="1s") as running:
        yield running
