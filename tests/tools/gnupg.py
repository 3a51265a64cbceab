"""GnuPG as a publisher uses it: keys of its own folder, signatures of every kind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

GPG = shutil.which("gpg")
needed = pytest.mark.skipif(GPG is None, reason="gpg is missing: apt install gnupg")


@dataclass(frozen=True)
class Publisher:
    home: Path

    def run(self, *options: str, text: bytes = b"", at: str | None = None) -> bytes:
        """`at` is the time GnuPG believes it is."""
        moment = ["--faked-system-time", f"{at}!"] if at else []
        command = [GPG or "gpg", "--homedir", str(self.home), "--batch", "--quiet", *moment, *options]
        return subprocess.run(command, input=text, capture_output=True, check=True).stdout

    def key(self, name: str, *, at: str | None = None, expires: str = "never") -> None:
        self.run("--passphrase", "", "--quick-gen-key", f"{name}@example.org", "ed25519", "sign", expires, at=at)

    def keyring(self, *names: str, armor: bool = False) -> bytes:
        return self.run(*(["--armor"] if armor else []), "--export", *(f"{name}@example.org" for name in names))

    def detached(
        self, text: bytes, *names: str, at: str | None = None, digest: str = "SHA256", armor: bool = False
    ) -> bytes:
        signers = [word for name in names for word in ("-u", f"{name}@example.org")]
        look = ["--armor"] if armor else []
        weak = ["--allow-weak-digest-algos", "--digest-algo", digest]
        return self.run(*signers, *look, *weak, "--detach-sign", text=text, at=at)

    def clearsigned(self, text: bytes, name: str, *, at: str | None = None) -> bytes:
        return self.run("-u", f"{name}@example.org", "--clearsign", text=text, at=at)


@contextmanager
def publisher() -> Iterator[Publisher]:
    """In a short path, because GnuPG's agent listens on a socket there."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        try:
            yield Publisher(Path(home))
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)
