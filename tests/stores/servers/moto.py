"""moto's S3 on loopback: fast to start, in this process, and gone with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

from tests.stores.servers.bucket import Server, auditor


@contextmanager
def server() -> Iterator[Server]:
    """A new server with one empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        made = Server(f"http://{host}:{port}", "us-east-1", "moto-access", "moto-secret", "images")
        auditor(made).client.create_bucket(Bucket=made.bucket)
        yield made
    finally:
        running.stop()
