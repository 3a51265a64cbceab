"""The parts the demo plays with: a local https source, the service itself, and a user's own look at it."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PASSWORD = "demo"


@dataclass(frozen=True)
class Origin:
    """A web server with one image; `ca_file` is the certificate that vouches for it."""

    url: str
    port: int
    ca_file: Path


@contextmanager
def source(folder: Path, image: Path) -> Iterator[Origin]:
    """Serve `image` by https on loopback: the public-cloud policies grant no plain http."""
    folder.mkdir()
    image.rename(folder / image.name)
    pem = self_signed(folder.parent / "source.pem")
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = int(server.server_address[1])
    try:
        yield Origin(f"https://localhost:{port}/{image.name}", port, pem)
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the base class's
        pass


def self_signed(path: Path) -> Path:
    """A key and a certificate for localhost, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@dataclass(frozen=True)
class Served:
    """The running service, as its users see it."""

    url: str
    decision_log: Path

    def get(self, user: str, path: str) -> httpx.Response:
        return httpx.get(self.url + path, auth=(user, PASSWORD), timeout=60).raise_for_status()

    def try_import(self, user: str, url: str) -> httpx.Response:
        """Create a record and ask for the import without looking at discovery first."""
        auth = (user, PASSWORD)
        record = {"name": "not-asked", "disk_format": "qcow2", "container_format": "bare"}
        image = httpx.post(f"{self.url}/v2/images", json=record, auth=auth).raise_for_status().json()
        wanted = {"method": {"name": "web-download", "uri": url}}
        answer = httpx.post(f"{self.url}/v2/images/{image['id']}/import", json=wanted, auth=auth)
        httpx.delete(f"{self.url}/v2/images/{image['id']}", auth=auth).raise_for_status()
        return answer

    def sha512_of_download(self, user: str, image_id: str) -> str:
        digest = hashlib.sha512()
        with httpx.stream("GET", f"{self.url}/v2/images/{image_id}/file", auth=(user, PASSWORD)) as answer:
            for chunk in answer.raise_for_status().iter_raw():
                digest.update(chunk)
        return digest.hexdigest()

    @staticmethod
    def sha512_of_file(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha512").hexdigest()


@contextmanager
def served(folder: Path, origin: Origin) -> Iterator[Served]:
    """`import-gateway serve --demo`, told that the local source may be fetched from."""
    settings = folder / "gateway.yaml"
    fetch = {
        "allowed_networks": ["127.0.0.0/8", "::1/128"],
        "ports": [443, origin.port],
        "ca_file": str(origin.ca_file),
    }
    settings.write_text(json.dumps({"fetch": fetch, "log": {"level": "warning"}}))
    command = [str(Path(sys.executable).with_name("import-gateway")), "serve", "--demo", "--port", "0"]
    with subprocess.Popen(
        [*command, "--config", str(settings), "--data", str(folder / "data")], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Served(_announced(process), folder / "data" / "decisions.jsonl")
        finally:
            process.terminate()
            process.wait(timeout=60)


def _announced(process: subprocess.Popen[str]) -> str:
    """The URL of the line the service prints once it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"https?://\S+", line):
            return found[0]
    raise SystemExit("the service did not start; see its messages above")
