"""The `checksum` stage: demands a digest by name, and holds the bytes to the digests somebody expects of them.

Option `algorithm` (one of `digests.ALGORITHMS`) is computed beside the record's own digests and reported. With
`required` an import of which nothing is expected is refused before its first byte. Expected digests speak of the bytes
as they were sent: that is what publishers print beside their downloads.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.decision import StageCall
from gateway.model.errors import BadRequest
from gateway.stages.stage import Brief, Seen, Stage, refused


class Checksum(Stage):
    options = frozenset({"algorithm", "required"})

    def __init__(self, call: StageCall, brief: Brief) -> None:
        """Raises BadRequest `checksum-missing`."""
        super().__init__(call, brief)
        options = call.as_mapping()
        if not brief.expected and demands_digest([call]):
            raise nothing_expected()
        self.algorithms = (str(options["algorithm"]),) if "algorithm" in options else ()

    def close(self, seen: Seen) -> None:
        """Raises ContentRefused `checksum-mismatch`."""
        for algorithm, wanted in self.brief.expected.items():
            compare(algorithm, wanted, seen.source_hashes[algorithm])
            self.note("expected", f"The {algorithm} of the bytes as sent is {wanted}, as expected.")
        for algorithm in self.algorithms:
            self.note("digest", f"The {algorithm} of the stored bytes is {seen.hashes[algorithm]}.")


def demands_digest(calls: Iterable[StageCall]) -> bool:
    """Whether a plan takes no bytes of which nobody says what they have to be."""
    return any(call.name == "checksum" and call.as_mapping().get("required") is True for call in calls)


def nothing_expected() -> BadRequest:
    return BadRequest(
        "The policy takes no image here without a digest that it is expected to have.",
        remedy="Set the image property import_expected_sha256 (or sha512...) to the digest of the file before you send"
        " it; or, for a web-download, import_checksum_url to the URL of the publisher's checksum file.",
        code="checksum-missing",
    )


def compare(algorithm: str, wanted: str, found: str) -> None:
    if wanted.strip().lower() != found:
        raise refused(
            "checksum-mismatch",
            f"The {algorithm} of the image is {found}, but {wanted.strip()[:128]} was expected.",
            "Send the image again; if it fails again, check that the expected digest belongs to this very file.",
        )
