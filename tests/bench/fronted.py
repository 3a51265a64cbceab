"""What the gateway in front of a Glance adds to it: every call beside the same one of that Glance, in one round."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.client import Client, Once, request
from tests.bench.report import Figure, Kind, Samples, Skipped, figures
from tests.bench.requests import ask, load
from tests.bench.service import RECORD
from tests.bench.tokens import programs, token
from tests.interop.front import fronted
from tests.interop.installed import SetupFailed
from tests.interop.running import NotServing

IMAGES = 200
DOWNLOADS = 3
SMALL = 1 << 16
SHOW, SHOW_QUEUED, LIST = "show", "show, queued", "list"


def _kinds(name: str) -> dict[str, Kind]:
    return {
        f"{name}, Glance alone": Kind("ms"),
        name: Kind("ms"),
        f"{name} / Glance alone": Kind("x", target=1.3),
        f"{name}: rate, Glance alone": Kind("a second", more=True),
        f"{name}: rate": Kind("a second", more=True),
        f"{name}: rate, Glance alone / in front": Kind("x", target=1.3),
    }


KINDS = {
    **_kinds(SHOW),
    **_kinds(SHOW_QUEUED),
    **_kinds(LIST),
    "GET file, Glance alone": Kind("MB/s", more=True),
    "GET file": Kind("MB/s", more=True),
    "GET file / Glance alone": Kind("x", more=True, target=0.80),
    "PUT file, Glance alone": Kind("MB/s", more=True),
    "PUT file": Kind("MB/s", more=True),
}


@dataclass(frozen=True, slots=True)
class Bench:
    alone: Client
    front: Client
    samples: Samples

    def asked(self, name: str, path: str, seconds: float) -> None:
        """One after the other, and eight at once; a connection each."""
        headers = {**self.alone.headers, "Connection": "close"}
        call = request("GET", path, headers=headers)
        pair = [_typical(client, call, seconds) * 1000 for client in (self.alone, self.front)]
        self.both(name, *pair)
        self.note(f"{name} / Glance alone", pair[1] / pair[0])
        rates = [len(load(client.address, call, seconds, Once)) / seconds for client in (self.alone, self.front)]
        self.both(f"{name}: rate", *rates)
        self.note(f"{name}: rate, Glance alone / in front", rates[0] / rates[1])

    def out(self, image_id: str, size: int) -> None:
        path = f"/v2/images/{image_id}/file"
        for _ in range(DOWNLOADS):
            pair = [_rate(size, lambda one=one: one.receive(path, size)) for one in (self.alone, self.front)]  # type: ignore[misc]
            self.both("GET file", *pair)
            self.note("GET file / Glance alone", pair[1] / pair[0])

    def saved(self, client: Client, image: Path, size: int) -> tuple[str, float]:
        """A new image with its data, and how fast it went in, in MB (10^6 bytes) a second."""
        made = str(client.ask("POST", "/v2/images", RECORD)["id"])
        return made, _rate(size, lambda: client.send(f"/v2/images/{made}/file", image, size))

    def both(self, name: str, alone: float, front: float) -> None:
        self.note(f"{name}, Glance alone", alone)
        self.note(name, front)

    def note(self, name: str, value: float) -> None:
        self.samples[name].append(value)


def measure(folder: Path, venv: Path, image: Path, size: int, seconds: float, rounds: int) -> list[Figure]:
    """Glance in two processes. Raises Skipped where it is not installed, or does not start."""
    folder.mkdir()
    if not (venv / "bin" / "glance-manage").exists():
        raise Skipped(f"{venv} has no Glance; `make interop` installs one")
    samples = Samples(list)
    try:
        with ExitStack() as stack:
            found = programs(venv, folder / "install.log", install=False).absolute()
            site = fronted(stack, folder / "site", found, processes=2)
            headers = {"X-Auth-Token": token(site.auth_url)}
            bench = Bench(_client(site.alone, headers), _client(site.front, headers), samples)
            for _ in range(rounds):
                _round(bench, image, size, seconds)
    except (SetupFailed, NotServing) as error:
        raise Skipped(str(error)) from error
    return figures(f"in front of Glance, {IMAGES:,} images and more", samples, KINDS)


def _round(bench: Bench, image: Path, size: int, seconds: float) -> None:
    ids = [str(bench.alone.ask("POST", "/v2/images", RECORD)["id"]) for _ in range(IMAGES)]
    filled, _ = bench.saved(bench.front, image, min(size, SMALL))
    bench.asked(SHOW, f"/v2/images/{filled}", seconds)
    bench.asked(SHOW_QUEUED, f"/v2/images/{ids[0]}", seconds)
    bench.asked(LIST, "/v2/images?limit=20", seconds)
    (mine, alone), (other, front) = bench.saved(bench.alone, image, size), bench.saved(bench.front, image, size)
    bench.both("PUT file", alone, front)
    bench.out(mine, size)
    for image_id in (filled, mine, other, *ids):
        bench.alone.ask("DELETE", f"/v2/images/{image_id}")


def _typical(client: Client, call: bytes, seconds: float) -> float:
    """The median wait of one client, in seconds."""
    until = time.perf_counter() + seconds / 2
    waits = sorted(ask(client.address, call, lambda: time.perf_counter() < until, line=Once))
    return waits[len(waits) // 2]


def _rate(size: int, work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return size / (time.perf_counter() - began) / 1e6


def _client(url: str, headers: dict[str, str]) -> Client:
    parts = urlsplit(url)
    return Client((str(parts.hostname), parts.port or 80), headers)
