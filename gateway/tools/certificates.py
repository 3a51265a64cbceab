"""The certificates that image signatures are checked with: one PEM file each, in a folder of the operator's.

A file is called by the UUID that images name in `img_signature_certificate_uuid`. Certificates of authorities between
it and a root may follow in it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from gateway.model.errors import ContentRefused, Unavailable

MAX_SIZE = 1 << 20


def now() -> datetime:
    return datetime.now(UTC)


class Certificates:
    """Read anew each time: a certificate is added or withdrawn by its file."""

    def __init__(self, folder: Path, authorities: Path | None = None, clock: Callable[[], datetime] = now) -> None:
        """With `authorities` (PEM) a certificate has to be issued by one of them, by itself or through others."""
        self._folder = folder
        self._authorities = authorities
        self._now = clock

    def check(self) -> str:
        """Raises Unavailable."""
        if not self._folder.is_dir():
            raise unreadable(self._folder, "it is no folder")
        if self._authorities is not None:
            _loaded(self._authorities)
        return "certificates"

    def get(self, uuid: str) -> bytes:
        """DER. `uuid` is in its canonical form. Raises ContentRefused, Unavailable: see `evidence.Keys.certificate`."""
        leaf, *between = self._read(uuid)
        self._check_valid(uuid, leaf)
        _check_signs(uuid, leaf)
        if self._authorities is not None:
            self._check_issued(uuid, leaf, between, _loaded(self._authorities))
        return leaf.public_bytes(Encoding.DER)

    def _read(self, uuid: str) -> list[Certificate]:
        path = self._folder / f"{uuid}.pem"
        if not self._folder.is_dir():
            raise unreadable(self._folder, "it is no folder")
        if not path.is_file():
            raise _refused("certificate-unknown", uuid, "is not known here", "Ask the operator to add it.")
        return _loaded(path)

    def _check_valid(self, uuid: str, leaf: Certificate) -> None:
        if not leaf.not_valid_before_utc <= self._now() <= leaf.not_valid_after_utc:
            times = f"is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d} only"
            raise _refused("certificate-expired", uuid, times, "Sign the image with a key whose certificate is valid.")

    def _check_issued(self, uuid: str, leaf: Certificate, between: list[Certificate], roots: list[Certificate]) -> None:
        """A path to one of the roots (RFC 5280, section 6), whatever the leaf's own extensions are."""
        any_leaf, authority = ExtensionPolicy.permit_all(), ExtensionPolicy.webpki_defaults_ca()
        policy = PolicyBuilder().store(Store(roots)).time(self._now())
        verifier = policy.extension_policies(ca_policy=authority, ee_policy=any_leaf).build_client_verifier()
        try:
            verifier.verify(leaf, between)
        except VerificationError:
            raise _refused(
                "certificate-untrusted",
                uuid,
                "was not issued by an authority that is trusted here",
                "Sign the image with a key whose certificate was; the operator names the authorities.",
            ) from None


def _check_signs(uuid: str, leaf: Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.digital_signature:
        raise _refused("certificate-untrusted", uuid, "is not meant for signatures", "Sign with another key.")


def _loaded(path: Path) -> list[Certificate]:
    """The certificates of a PEM file, one at least."""
    try:
        with path.open("rb") as file:
            return x509.load_pem_x509_certificates(file.read(MAX_SIZE))
    except (OSError, ValueError) as error:
        raise unreadable(path, str(error)) from error


def _refused(code: str, uuid: str, why: str, remedy: str) -> ContentRefused:
    return ContentRefused(f"The certificate {uuid} {why}.", remedy=remedy, code=code)


def unreadable(path: Path, why: str) -> Unavailable:
    """The operator's own file: its name, but nothing else about it, is told to callers."""
    return Unavailable(
        f"The site's key file {path.name} cannot be read.",
        remedy=f"The operator has to repair it: {why[:200]}.",
        code="stage-unavailable",
    )
