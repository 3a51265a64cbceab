"""An operator's endpoint on loopback: it checks each request's signature by itself, and answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

KEY = b"0123456789abcdef0123456789abcdef"
ALLOW = b'{"verdict": "allow"}'

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Endpoint:
    """`asked` are the messages that came, `ids` of all requests. `say` answers the next ones."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    say: Callable[[dict[str, Any]], Reply] = lambda message: (200, {}, ALLOW)

    def says(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.say = lambda message: (status, {name.replace("_", "-"): text for name, text in headers.items()}, body)

    def hangs(self) -> None:
        """Until it is released."""

        def silent(message: dict[str, Any]) -> Reply:
            self.released.wait(600)
            return 200, {}, ALLOW

        self.released.clear()
        self.say = silent


def is_signed(headers: Any, body: bytes) -> bool:
    stamp = headers["webhook-timestamp"]
    text = f"{headers['webhook-id']}.{stamp}.".encode() + body
    mac = base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
    return headers["webhook-signature"] == f"v1,{mac}" and abs(time.time() - int(stamp)) < 60


@contextmanager
def endpoint(certificate: Path | None = None) -> Iterator[Endpoint]:
    one = Endpoint()

    class Asked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not is_signed(self.headers, body):
                self._answer(401, {}, b"")
                return
            one.paths.append(self.path)
            one.ids.append(self.headers["webhook-id"])
            one.asked.append(json.loads(body))
            self._answer(*one.say(one.asked[-1]))

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, text in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that went away are the point of some tests."""

    with Server(("127.0.0.1", 0), Asked) as server:
        if certificate is not None:
            secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secured.load_cert_chain(certificate)
            server.socket = secured.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        scheme = "https" if certificate else "http"
        one.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        try:
            yield one
        finally:
            one.released.set()
            server.shutdown()
            thread.join()


def certified(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, in one PEM file; it is its own authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "endpoint.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + built.public_bytes(Encoding.PEM))
    return path
