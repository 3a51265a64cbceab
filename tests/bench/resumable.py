"""An upload in pieces beside one in one piece, in the same round: its bytes are written, read and written again."""

from __future__ import annotations

import http.client
from contextlib import closing
from pathlib import Path

from tests.bench.client import MIB, PATIENCE, Client
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.service import Service, served

KINDS = {
    "PUT stage": Kind("MB/s", more=True),
    "tus": Kind("MB/s", more=True),
    "tus / PUT stage": Kind("x", more=True),
    "tus, until the last byte is acknowledged": Kind("MB/s", more=True),
    "tus written / size": Kind("x"),
}
TUS = {"Tus-Resumable": "1.0.0"}


def measure(folder: Path, image: Path, size: int, rounds: int, *, counts_writes: bool) -> list[Figure]:
    samples = Samples(list)
    with served(folder) as service:
        for round_ in range(rounds + 1):
            found = _round(service, image, size, counts_writes)
            if round_:  # the first one warms up
                for name, value in found.items():
                    samples[name].append(value)
    return figures(f"one image of {size // MIB:,} MiB in pieces", samples, KINDS)


def _round(service: Service, image: Path, size: int, counts_writes: bool) -> dict[str, float]:
    plain_id = service.new_image()
    plain = service.meter.spend(lambda: service.client.send(f"/v2/images/{plain_id}/stage", image, size))
    service.remove(plain_id)
    image_id = service.new_image()
    upload = begun(service.client, image_id, size)
    # All but one byte, then the byte: between the two lies the verdict.
    sent = service.meter.spend(lambda: append(service.client, upload, image, 0, size - 1))
    judged = service.meter.spend(lambda: append(service.client, upload, image, size - 1, size))
    service.remove(image_id)
    seconds = sent.seconds + judged.seconds
    found = {
        "PUT stage": size / plain.seconds / 1e6,
        "tus": size / seconds / 1e6,
        "tus / PUT stage": plain.seconds / seconds,
        "tus, until the last byte is acknowledged": size / sent.seconds / 1e6,
    }
    return {**found, "tus written / size": (sent.written + judged.written) / size} if counts_writes else found


def begun(client: Client, image_id: str, size: int) -> str:
    with closing(http.client.HTTPConnection(*client.address, timeout=PATIENCE)) as connection:
        connection.request("POST", f"/v2/images/{image_id}/stage", headers={**TUS, "Upload-Length": str(size)})
        answer = connection.getresponse()
        answer.read()
    if answer.status != 201:
        raise RuntimeError(f"POST stage: {answer.status}")
    return str(answer.headers["location"])


def append(client: Client, upload: str, file: Path, start: int, end: int) -> None:
    """PATCH these bytes of the file, from the kernel's own copy."""
    headers = {
        **TUS,
        "Upload-Offset": str(start),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(end - start),
    }
    with (
        closing(http.client.HTTPConnection(*client.address, timeout=PATIENCE)) as connection,
        file.open("rb") as source,
    ):
        connection.putrequest("PATCH", upload)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.sock.sendfile(source, start, end - start)
        answer = connection.getresponse()
        said = answer.read()
    if answer.status != 204:
        raise RuntimeError(f"PATCH {upload}: {answer.status} {said.decode()}")
