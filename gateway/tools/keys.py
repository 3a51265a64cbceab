"""The operator's keys behind one port: certificates for image signatures, keyrings for publishers' checksum files."""

from __future__ import annotations

from gateway.model.errors import ContentRefused
from gateway.stages.evidence import CERTIFICATES, Signed
from gateway.tools.certificates import Certificates
from gateway.tools.keyrings import Keyrings


class SiteKeys:
    """`gateway.stages.evidence.Keys`. Safe to use from many threads at once."""

    def __init__(self, certificates: Certificates | None, keyrings: Keyrings) -> None:
        self.names: frozenset[str] = keyrings.names | ({CERTIFICATES} if certificates else frozenset())
        self._certificates = certificates
        self._keyrings = keyrings

    def check(self) -> str:
        """What is set up. Raises Unavailable for what is named in the settings and cannot be read."""
        folder = self._certificates.check() if self._certificates else ""
        return "; ".join(part for part in (folder, self._keyrings.check()) if part)

    def certificate(self, uuid: str) -> bytes:
        if self._certificates is None:
            raise ContentRefused(f"The certificate {uuid} is not known here.", code="certificate-unknown")
        return self._certificates.get(uuid)

    def signed(self, trust: str, text: bytes, signature: bytes | None) -> Signed:
        return self._keyrings.signed(trust, text, signature)
