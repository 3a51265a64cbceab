"""Small requests: how many a second, and how long one waits, alone and beside uploads."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from tests.bench.client import Address, KeptAlive, Once, request
from tests.bench.meter import MIB
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.service import RECORD, Service, served

CONNECTIONS = 8
Line = type[KeptAlive] | type[Once]
UPLOADS = 4
UPLOAD_SIZE = 256 * MIB
PAUSE = 0.005
REQUESTS = {
    "discovery": request("GET", "/v2/info/import"),
    "create": request("POST", "/v2/images", json.dumps(RECORD).encode()),
    "healthcheck": request("GET", "/healthcheck"),
}
KINDS = {
    "discovery": Kind("a second", more=True, glance="714"),
    "discovery p50": Kind("ms"),
    "discovery p99": Kind("ms"),
    "create": Kind("a second", more=True, glance="31"),
    "create p50": Kind("ms"),
    "create p99": Kind("ms"),
    "healthcheck": Kind("a second", more=True),
    "healthcheck p50": Kind("ms"),
    "healthcheck p99": Kind("ms"),
}
BESIDE = {
    "healthcheck p50": Kind("ms"),
    "healthcheck p99": Kind("ms", target=50),
    "healthcheck longest": Kind("ms"),
    "uploads together": Kind("MB/s", more=True),
}


def measure(folder: Path, seconds: float, rounds: int) -> list[Figure]:
    """Requests over 8 kept connections, `seconds` for each kind in each round; a first round is not counted."""
    samples = Samples(list)
    with served(folder) as service:
        for name, asked in REQUESTS.items():
            load(service.client.address, asked, seconds / 5)
            for _ in range(rounds):
                measured(service.client.address, name, asked, seconds, samples)
    return figures(f"requests over {CONNECTIONS} connections", samples, KINDS)


def measure_beside_uploads(folder: Path, image: Path, rounds: int) -> list[Figure]:
    samples = Samples(list)
    with served(folder) as service:
        for _ in range(rounds):
            began = time.perf_counter()
            waits = waits_during(service, lambda image_id: upload(service, image, image_id))
            samples["uploads together"].append(UPLOADS * UPLOAD_SIZE / (time.perf_counter() - began) / 1e6)
            note_waits(samples, "healthcheck", waits)
            samples["healthcheck longest"].append(max(waits) * 1000)
    return figures(f"beside {UPLOADS} uploads of {UPLOAD_SIZE // MIB} MiB", samples, BESIDE)


def measured(
    address: Address, name: str, asked: bytes, seconds: float, samples: Samples, line: Line = KeptAlive
) -> None:
    """One run with all connections: how many a second, and how long one waits."""
    waits = load(address, asked, seconds, line)
    samples[name].append(len(waits) / seconds)
    note_waits(samples, name, waits)


def load(address: Address, asked: bytes, seconds: float, line: Line = KeptAlive) -> list[float]:
    """What each request waited, in seconds, with all connections as busy as can be."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        until = time.perf_counter() + seconds
        runs = [
            threads.submit(ask, address, asked, lambda: time.perf_counter() < until, line=line)
            for _ in range(CONNECTIONS)
        ]
        return [wait for run in runs for wait in run.result()]


def ask(
    address: Address, asked: bytes, go_on: Callable[[], bool], pause: float = 0, line: Line = KeptAlive
) -> list[float]:
    """Ask one after the other over one connection; `pause` seconds in between."""
    waits = []
    connection = line(address)
    while go_on():
        began = time.perf_counter()
        connection.ask(asked)
        waits.append(time.perf_counter() - began)
        if pause:
            time.sleep(pause)
    connection.close()
    return waits


def waits_during(service: Service, work: Callable[[str], None]) -> list[float]:
    """What health checks waited while `work` ran for several images at once."""
    images = [service.new_image() for _ in range(UPLOADS)]
    over = Event()
    with ThreadPoolExecutor(UPLOADS + 1) as threads:
        probe = threads.submit(ask, service.client.address, REQUESTS["healthcheck"], lambda: not over.is_set(), PAUSE)
        try:
            for done in [threads.submit(work, image_id) for image_id in images]:
                done.result()
        finally:
            over.set()
    for image_id in images:
        service.client.ask("DELETE", f"/v2/images/{image_id}")
    return probe.result()


def upload(service: Service, image: Path, image_id: str) -> None:
    service.client.send(f"/v2/images/{image_id}/file", image, UPLOAD_SIZE)


def note_waits(samples: Samples, name: str, waits: Sequence[float]) -> None:
    shares = statistics.quantiles(waits, n=100)
    samples[f"{name} p50"].append(shares[49] * 1000)
    samples[f"{name} p99"].append(shares[98] * 1000)
