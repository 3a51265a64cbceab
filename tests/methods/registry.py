"""Debian's docker-registry on loopback, open to anybody or only to who brings a token of a server of ours."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from gateway.methods.artifact import MANIFESTS
from tests.interop.running import free_ports, served
from tests.methods.artifacts import digest

PROGRAM = shutil.which("docker-registry")
needed = pytest.mark.skipif(PROGRAM is None, reason="needs docker-registry: apt-get install docker-registry")
ISSUER, SERVICE = "tests", "registry"


@dataclass(frozen=True)
class Registry:
    url: str
    headers: Mapping[str, str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def push(self, name: str, tag: str, manifest: bytes, *blobs: bytes) -> None:
        """As the distribution specification has it: blobs first, each in one piece."""
        with httpx.Client(base_url=self.url, headers=self.headers, trust_env=False) as http:
            for blob in blobs:
                place = httpx.URL(http.post(f"/v2/{name}/blobs/uploads/").raise_for_status().headers["Location"])
                http.put(place.copy_add_param("digest", digest(blob)), content=blob).raise_for_status()
            kind = {"Content-Type": json.loads(manifest).get("mediaType", MANIFESTS[0])}
            http.put(f"/v2/{name}/manifests/{tag}", content=manifest, headers=kind).raise_for_status()


class Issuer:
    """Signs tokens as a registry wants them (JSON Web Token, with its certificate in `x5c`)."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        self._certificate = x509.CertificateBuilder(
            name, name, self._key.public_key(), 1, now - timedelta(1), now + timedelta(1)
        ).sign(self._key, hashes.SHA256())
        self.bundle = folder / "issuer.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def token(self, name: str, *actions: str) -> str:
        chain = [base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()]
        now = int(time.time())
        claims: dict[str, Any] = {"iss": ISSUER, "aud": SERVICE, "sub": "", "jti": "1"}
        claims |= {"iat": now, "nbf": now - 60, "exp": now + 600}
        claims["access"] = [{"type": "repository", "name": name, "actions": actions}]
        parts = [{"typ": "JWT", "alg": "RS256", "x5c": chain}, claims]
        said = b".".join(_base64(json.dumps(part).encode()) for part in parts)
        signature = self._key.sign(said, padding.PKCS1v15(), hashes.SHA256())
        return (said + b"." + _base64(signature)).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@contextmanager
def registry(home: Path, auth: Mapping[str, Any] | None = None, **headers: str) -> Iterator[Registry]:
    """Started, and gone at the end. `auth` is that part of its configuration, `headers` what `push` sends."""
    (port,) = free_ports(1)
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(home / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        **({"auth": auth} if auth else {}),
    }
    (home / "registry.yml").write_text(json.dumps(settings))
    made = Registry(f"http://127.0.0.1:{port}", headers)
    command = [str(PROGRAM), "serve", str(home / "registry.yml")]
    with served(command, f"{made.url}/v2/", home / "registry.log", {}):
        yield made
