"""A bucket: the gateway's store beside the library it stands on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.store import S3Store

from gateway.ports import BLOCK_SIZE, Store
from gateway.stores import STORES
from tests.bench.report import Figure, Kind, Samples, Skipped, figures
from tests.bench.service import Service, served
from tests.serving import servers
from tests.stores.places import in_bucket
from tests.stores.servers import rgw
from tests.stores.servers.bucket import Server, auditor, fresh

PATIENCE = 120
KINDS = {
    "library, put": Kind("MB/s", more=True),
    "store, put": Kind("MB/s", more=True),
    "store / library, put": Kind("x", more=True, target=0.80),
    "PUT file": Kind("MB/s", more=True),
    "library, get": Kind("MB/s", more=True),
    "store, get": Kind("MB/s", more=True),
    "store / library, get": Kind("x", more=True, target=0.80),
    "GET file": Kind("MB/s", more=True),
}


@dataclass(frozen=True, slots=True)
class Bench:
    service: Service
    server: Server
    store: Store
    library: S3Store
    image: Path
    size: int
    samples: Samples

    def round(self) -> None:
        name = str(uuid4())
        put = self.rate(lambda: obstore.put(self.library, "library", self.image))
        ours = self.rate(lambda: self.store.put(name, blocks(self.image)))
        self.note("library, put", put)
        self.note("store, put", ours)
        self.note("store / library, put", ours / put)
        get = self.rate(lambda: drained(obstore.get(self.library, "library").stream(BLOCK_SIZE)))
        ours = self.rate(lambda: drained(self.store.get(name)))
        self.note("library, get", get)
        self.note("store, get", ours)
        self.note("store / library, get", ours / get)
        self.store.delete(name)
        obstore.delete(self.library, "library")
        self.whole()

    def whole(self) -> None:
        """The same through the service, with its hashes and its checks."""
        image_id = self.service.new_image()
        path = f"/v2/images/{image_id}/file"
        self.note("PUT file", self.rate(lambda: self.service.client.send(path, self.image, self.size)))
        self.note("GET file", self.rate(lambda: self.service.client.receive(path, self.size)))
        self.remove([image_id])

    def remove(self, image_ids: list[str]) -> None:
        """And wait for the bytes to go, so that nobody measures their removal."""
        for image_id in image_ids:
            self.service.client.ask("DELETE", f"/v2/images/{image_id}")
        until = time.monotonic() + PATIENCE
        while left := auditor(self.server).left():
            if time.monotonic() > until:
                raise TimeoutError(f"still in the bucket: {left}")
            time.sleep(0.1)

    def rate(self, work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return self.size / (time.perf_counter() - began) / 1e6

    def note(self, name: str, value: float) -> None:
        self.samples[name].append(value)


def measure(folder: Path, image: Path, size: int, rounds: int) -> list[Figure]:
    if not rgw.is_ready():
        raise Skipped("it wants a real object store, Ceph's; `make stores` installs it")
    samples = Samples(list)
    with fresh(servers.server("rgw")) as server, served(folder, more=settings(server)) as service:
        store = STORES["s3"](in_bucket(server, prefix="store"))
        bench = Bench(service, server, store, library(server), image, size, samples)
        bench.whole()
        samples.clear()  # what is loaded on first use is loaded
        for _ in range(rounds):
            bench.round()
        store.close()
    return figures("object store", samples, KINDS)


def library(server: Server) -> S3Store:
    """As its own documentation would have it, but for the hash of the payload, which the store leaves out too."""
    return S3Store(
        server.bucket,
        prefix="library",
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        unsigned_payload=True,
        client_options={"allow_http": True, "timeout": "10m"},
    )


def settings(server: Server) -> dict[str, object]:
    there = {"bucket": server.bucket, "endpoint": server.endpoint, "region": server.region}
    return {
        "stores": [{"name": "bucket", "type": "s3", "prefix": "service", "credentials": "bucket", **there}],
        "credentials": {"bucket": {"type": "s3", "access_key": server.access_key, "secret_key": server.secret_key}},
        "imports": {"reaper_interval": "1s"},
    }


def blocks(image: Path) -> Iterator[bytes]:
    with image.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_SIZE):
            yield block


def drained(runs: Iterator[bytes]) -> None:
    for _ in runs:
        pass
