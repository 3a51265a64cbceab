"""A small Keystone on loopback: the answers of its Identity API v3 to the calls a service makes to check tokens."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

USER, PASSWORD = "gateway", "pässword"
DEFAULT = {"id": "default", "name": "Default"}


@dataclass
class Clock:
    """Time for the cloud and the gateway alike."""

    time: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    seconds: float = 0.0

    @classmethod
    def of_today(cls) -> Clock:
        """For a gateway with a clock of its own. It stands still, which an hour's token outlives."""
        return cls(datetime.now(UTC))

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> datetime:
        return self.time + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Seen:
    verb: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass
class Cloud:
    """What this Keystone holds, and what it was asked. `broken` answers instead, where it returns True."""

    certificate: Path
    url: str = ""
    clock: Clock = field(default_factory=Clock)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, list[str]] = field(default_factory=lambda: {"p1": ["tier:gold"]})
    lifetime: float = 3600.0
    password: str = PASSWORD
    own_roles: tuple[str, ...] = ("service",)
    forbidden: str = "nothing"
    seen: list[Seen] = field(default_factory=list)
    broken: Callable[[Answering], bool] = lambda answering: False

    def issue(
        self, name: str, *, roles: tuple[str, ...] = ("member", "reader"), lives: float = 3600.0, **more: Any
    ) -> str:
        """A token of alice's for project p1; `more` are further keys of its body, None takes one away."""
        body = {
            "methods": ["password"],
            "user": {"domain": DEFAULT, "id": "u1", "name": "alice", "password_expires_at": None},
            "audit_ids": ["lWPrjd2ERkGNgom2KOeUxg"],
            "expires_at": self._end(lives),
            "issued_at": self._end(0),
            "project": {"domain": {"id": "d1", "name": "Corp"}, "id": "p1", "name": "alpha"},
            "is_domain": False,
            "roles": [{"id": f"id-of-{role}", "name": role} for role in roles],
        }
        self.tokens[name] = {key: value for key, value in {**body, **more}.items() if value is not None}
        return name

    def restricted(self, name: str, *rules: tuple[str, str, str]) -> str:
        """A token of an application credential that opens (service, method, path) alone."""
        said = [
            {"id": f"rule{at}", **dict(zip(("service", "method", "path"), rule, strict=True))}
            for at, rule in enumerate(rules)
        ]
        credential = {"id": "c1", "name": "robot", "restricted": True, "access_rules": said}
        return self.issue(name, methods=["application_credential"], application_credential=credential)

    def asked(self, verb: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.verb, seen.path) == (verb, f"/v3{path}")]

    def is_over(self, name: str) -> bool:
        return datetime.fromisoformat(self.tokens[name]["expires_at"]) <= self.clock.now()

    def _end(self, lives: float) -> str:
        return (self.clock.now() + timedelta(seconds=lives)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Answering(BaseHTTPRequestHandler):
    cloud: Cloud
    padding = b""
    spoiled = 0

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        split = urlsplit(self.path)
        query = parse_qs(split.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.cloud.seen.append(Seen(self.command, split.path, query, headers))
        if self.cloud.broken(self):
            return
        if (self.command, split.path) == ("POST", "/v3/auth/tokens"):
            self.log_in()
        elif self.headers["X-Auth-Token"] not in self.cloud.tokens or self.cloud.is_over(self.headers["X-Auth-Token"]):
            self.refuse(401, "The request you have made requires authentication.")
        elif split.path.startswith(self.cloud.forbidden):
            self.refuse(403, "You are not authorized to perform the requested action.")
        elif split.path == "/v3/auth/tokens":
            self.validate(query)
        else:
            self.project(unquote(split.path.removeprefix("/v3/projects/")))

    def log_in(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = {"name": USER, "domain": {"name": "Default"}, "password": self.cloud.password}
        if asked["auth"]["identity"] != {"methods": ["password"], "password": {"user": user}}:
            self.refuse(401, "The request you have made requires authentication.")
            return
        name = f"own-{len(self.cloud.asked('POST', '/auth/tokens'))}"
        self.cloud.issue(name, roles=self.cloud.own_roles, lives=self.cloud.lifetime)
        self.send(201, {"token": self.cloud.tokens[name]}, {"X-Subject-Token": name})

    def validate(self, query: dict[str, list[str]]) -> None:
        name = self.headers["X-Subject-Token"]
        token = self.cloud.tokens.get(name)
        if token is None or (self.cloud.is_over(name) and query.get("allow_expired") != ["1"]):
            self.refuse(404, "Failed to validate token")
            return
        if (
            "access_rules" in token.get("application_credential", ())
            and "OpenStack-Identity-Access-Rules" not in self.headers
        ):
            self.refuse(404, "Failed to validate token")
            return
        self.send(200, {"token": token})

    def project(self, project_id: str) -> None:
        if project_id not in self.cloud.projects:
            self.refuse(404, f"Could not find project: {project_id}.")
            return
        tags = self.cloud.projects[project_id]
        project = {
            "id": project_id,
            "name": "alpha",
            "domain_id": "d1",
            "enabled": True,
            "is_domain": False,
            "tags": tags,
        }
        self.send(200, {"project": project})

    def refuse(self, status: int, message: str) -> None:
        self.send(status, {"error": {"code": status, "message": message, "title": "Refused"}})

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() + self.padding
        self.send_response(self.spoiled or status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: pytest shows what matters."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, cloud: Cloud, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), type("Answering", (Answering,), {"cloud": cloud}))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away while it is answered is what some tests want."""


@contextmanager
def keystone(certificate: Path) -> Iterator[Cloud]:
    cloud = Cloud(certificate)
    server = _Server(cloud, certificate)
    cloud.url = f"https://127.0.0.1:{server.server_port}/v3"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def certify(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that trusts itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keystone")]), datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shape = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "keystone.pem"
    path.write_bytes(key.private_bytes(*shape) + built.public_bytes(Encoding.PEM))
    return path
