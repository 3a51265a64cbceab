"""Google's and Azure's stores, up to the request: without an account of theirs nobody answers it here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.model.errors import Unavailable
from gateway.stores import STORES, Login, Place
from tests.stores.conformance import key
from tests.stores.places import place

KEY = key()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that answers all alike, and what it was asked."""
    asked: list[str] = []

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def at(endpoint: str, login: Login | None) -> Place:
    return replace(
        place(Path()), name="remote", bucket="images", prefix="cloud", endpoint=endpoint, login=login, patience=2.0
    )


def azure(secret: str = "a2V5") -> Login:
    return Login(name="azure", kind="basic", user="account", secret=lambda: secret)


EMPTY = b'<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>'


def test_azure_is_asked_for_the_container_with_the_accounts_key() -> None:
    with answering(200, EMPTY) as (endpoint, asked):
        store = STORES["azure"](at(endpoint, azure()))
        assert list(store.keys()) == []
    assert asked[0].startswith("GET /images?")
    assert "prefix=cloud%2F" in asked[0]
    assert "SharedKey account:" in asked[0]
    assert store.url(KEY) == f"azure://images/cloud/{KEY}"
    assert store.kind == "azure"


@pytest.mark.parametrize(("status", "code", "said"), [
    (404, b"ContainerNotFound", "has no bucket 'images'"),
    (403, b"AuthenticationFailed", "refuses credentials 'azure'"),
])  # fmt: skip
def test_azures_no_is_told_at_the_opening(status: int, code: bytes, said: str) -> None:
    body = b"<Error><Code>" + code + b"</Code><Message>no</Message></Error>"
    with answering(status, body) as (endpoint, _), pytest.raises(Unavailable, match=said):
        STORES["azure"](at(endpoint, azure()))


def test_a_key_that_is_none_is_told_without_showing_it() -> None:
    with pytest.raises(Unavailable) as refused:
        STORES["azure"](at("http://127.0.0.1:9", azure("no base64!")))
    assert "no base64" not in refused.value.message + refused.value.remedy


def account(folder: Path, endpoint: str) -> Login:
    file = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(file), "2048"], check=True, capture_output=True)
    made = {
        "type": "service_account", "private_key": file.read_text(), "private_key_id": "1",
        "client_email": "gateway@example.com", "token_uri": f"{endpoint}/token", "gcs_base_url": endpoint,
        "disable_oauth": True,
    }  # fmt: skip
    return Login(name="google", kind="google", secret=lambda: json.dumps(made))


def test_google_is_asked_for_the_bucket(tmp_path: Path) -> None:
    body = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
    with answering(200, body) as (endpoint, asked):
        store = STORES["gcs"](at(endpoint, account(tmp_path, endpoint)))
        assert list(store.keys()) == []
    assert asked[0].startswith("GET /images?")
    assert store.url(KEY) == f"gs://images/cloud/{KEY}"
    assert store.kind == "gcs"


def test_googles_no_is_told_at_the_opening(tmp_path: Path) -> None:
    body = b"<Error><Code>NoSuchBucket</Code></Error>"
    with answering(404, body) as (endpoint, _), pytest.raises(Unavailable, match="has no bucket 'images'"):
        STORES["gcs"](at(endpoint, account(tmp_path, endpoint)))
