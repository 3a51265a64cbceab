"""What a plan wants an import to bring along: said in discovery, so that nobody is refused for what nobody told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gateway.model.decision import StageCall

DIGEST = (
    "Images are refused without a digest to expect: set the image property import_expected_sha256 before the data is"
    " sent, or import_checksum_url for a web-download."
)
CERTIFICATE = (
    "Images are refused without an image signature: set img_signature and its three companions before the data is sent."
)
PUBLISHER = (
    "Images are refused without a checksum file that {trust} has signed: set the image properties import_checksum_url"
    " and import_signature_url, and import by web-download."
)

_BRING_THEIR_OWN = frozenset({"copy-image", "glance-download", "oci-download"})
"""Methods whose source has digests on record."""


@lru_cache(maxsize=1024)
def demands(calls: tuple[StageCall, ...], method: str) -> tuple[str, ...]:
    """One sentence for each thing that has to be given beside the bytes."""
    return tuple(_demands(calls, method))


def _demands(calls: tuple[StageCall, ...], method: str) -> Iterator[str]:
    for call in calls:
        options = call.as_mapping()
        if call.name == "checksum" and options.get("required") is True and method not in _BRING_THEIR_OWN:
            yield DIGEST
        if call.name == "signature" and method != "copy-image":
            trust = str(options.get("trust"))
            yield CERTIFICATE if trust == "certificates" else PUBLISHER.format(trust=f"'{trust}'")
