"""What somebody gave beside the bytes to prove them by, and who keeps the keys to check it with.

All of it comes as image properties, which every client can send at `POST /v2/images`:

    import_expected_sha256      a digest in hex; also md5, sha1, sha224, sha384, sha512
    import_checksum_url         where the publisher's checksum file is (SHA256SUMS and its like)
    import_signature_url        where the detached OpenPGP signature of that file is
    img_signature...            OpenStack's image signature, four properties: see gateway.stages.imagesignature

The `import_` ones speak of one import, and end with it: see `spent`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.model.errors import BadRequest, ContentRefused
from gateway.stages.algorithms import SIZES
from gateway.stages.sums import find

EXPECTED = {f"import_expected_{algorithm}": algorithm for algorithm in SIZES}
SUMS_URL = "import_checksum_url"
SIGNATURE_URL = "import_signature_url"
PROPERTIES = frozenset([*EXPECTED, SUMS_URL, SIGNATURE_URL])

CERTIFICATES = "certificates"
"""The name under which a policy trusts the site's certificates; every other name is that of a keyring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A publisher's checksum file. `name` is that of the image's file, `signature` a detached one, as it was read."""

    text: bytes
    name: str
    signature: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`properties` are the image's, `sums` what their URLs led to."""

    properties: Mapping[str, str] = field(default_factory=dict)
    sums: Sums | None = None

    @property
    def expected(self) -> dict[str, str]:
        """Digests of the bytes as they are sent, by hashlib name, in lower case.

        Raises BadRequest `bad-expectation`, ContentRefused for a checksum file that does not tell.
        """
        return together(given(self.properties), self._listed())

    def _listed(self) -> dict[str, str]:
        if self.sums is None:
            return {}
        line = find(self.sums.text, self.sums.name)
        return {line.algorithm: line.digest}


def given(properties: Mapping[str, str]) -> dict[str, str]:
    """The digests among an image's properties. Raises BadRequest `bad-expectation`, naming the property."""
    return {
        algorithm: _digest(name, properties[name], SIZES[algorithm])
        for name, algorithm in EXPECTED.items()
        if properties.get(name)
    }


def _digest(name: str, value: str, size: int) -> str:
    digest = value.strip().lower()
    if not re.fullmatch(f"[0-9a-f]{{{size}}}", digest):
        raise BadRequest(
            f"The image property '{name}' is no digest of that kind.",
            remedy=f"It is {size} hexadecimal digits. Set it right, or remove it.",
            code="bad-expectation",
        )
    return digest


def together(*sources: Mapping[str, str]) -> dict[str, str]:
    """All expectations as one. Raises ContentRefused `expectations-differ`: no bytes can meet two digests."""
    found: dict[str, str] = {}
    for source in sources:
        for algorithm, digest in source.items():
            if found.setdefault(algorithm, digest.strip().lower()) != digest.strip().lower():
                raise ContentRefused(
                    f"Two different {algorithm} digests are expected of the image.",
                    remedy="Compare the image's import_expected_ properties with the publisher's checksum file.",
                    code="expectations-differ",
                )
    return found


def spent(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties an image keeps once its import has succeeded.

    Compute services copy the properties of an image to the snapshots of its servers, of which no digest of it is true.
    """
    return {name: value for name, value in properties.items() if name not in PROPERTIES}


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature really covers, and the fingerprints of the keys that made it: one at least."""

    content: bytes
    signers: tuple[str, ...]


class Keys(Protocol):
    """The operator's keys. Nothing of it waits for anybody outside of the site.

    Unavailable where keys cannot be read, ContentRefused where they are there and prove nothing.
    """

    @property
    def names(self) -> frozenset[str]:
        """All that a policy can name under `trust` here."""
        ...

    def certificate(self, uuid: str) -> bytes:
        """An X.509 certificate (DER) that is valid now.

        Raises ContentRefused: `certificate-unknown`, `certificate-expired`, `certificate-untrusted`.
        """
        ...

    def signed(self, trust: str, text: bytes, signature: bytes | None) -> Signed:
        """`text` as a key of this keyring signed it: beside it, or around it where there is no `signature`.

        Raises ContentRefused: `signature-wrong`, `signer-expired`.
        """
        ...
