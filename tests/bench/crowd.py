"""What one gateway takes of memory while many upload at once.

It is installed as operators install it, without what tests need, and its database is there already: only the first
gateway that ever starts on one brings the tools in that make it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench import object_store
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.service import Service, served
from tests.catalog import postgres
from tests.serving import servers
from tests.stores.servers import rgw
from tests.stores.servers.bucket import fresh

MB = 1_000_000
MOST = 64 << 20
COUNTS = (1, 4, 16)
TARGET = 150
ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / ".venv-runtime"


def measure(folder: Path, image: Path, size: int, rounds: int) -> list[Figure]:
    """Each sends as fast as it can, so that the server is what everybody waits for."""
    python, samples = installed(), Samples(list)
    crowds(samples, folder / "folder", "folder, SQLite", {}, (image, min(size, MOST), rounds), python)
    if rgw.is_ready() and postgres.MISSING is None:
        with fresh(servers.server("rgw")) as server:
            more = {**object_store.settings(server), "catalog": {"url": postgres.fresh()}}
            crowds(samples, folder / "bucket", "bucket, PostgreSQL", more, (image, min(size, MOST), rounds), python)
    kinds = {name: Kind("MB", target=TARGET if f"{COUNTS[-1]} uploads" in name else None) for name in samples}
    return figures("memory of a crowd", samples, kinds)


def crowds(
    samples: Samples, folder: Path, name: str, more: Mapping[str, Any], plan: tuple[Path, int, int], python: str
) -> None:
    image, size, rounds = plan
    with served(folder, more=more, python=python):
        pass  # makes the database
    for _ in range(rounds):
        with served(folder, more=more, python=python) as service:
            upload(service, 1, image, size)  # what is loaded on first use is loaded
            samples[f"{name}, idle"].append(service.meter.resident() / MB)
            for count in COUNTS:
                service.meter.forget_peak()
                upload(service, count, image, size)
                samples[f"{name}, {count} uploads"].append(service.meter.peak() / MB)


def upload(service: Service, count: int, image: Path, size: int) -> None:
    image_ids = [service.new_image() for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda one: service.client.send(f"/v2/images/{one}/file", image, size), image_ids))
    for image_id in image_ids:
        service.client.ask("DELETE", f"/v2/images/{image_id}")


def installed() -> str:
    """The Python of an environment that has the gateway and no more."""
    command = [sys.executable, str(ROOT / ".ci" / "venv.py"), str(RUNTIME), f"{ROOT}[postgresql]"]
    subprocess.run(command, check=True, capture_output=True)
    return str(RUNTIME / "bin" / "python")
