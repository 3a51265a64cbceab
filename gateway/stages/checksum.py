"""The `checksum` stage: demands a digest by name, and holds the bytes to the digests somebody expects of them.

Option `algorithm` (one of `digests.ALGORITHMS`) is computed beside the record's own digests and reported. Expected
digests speak of the bytes as they were sent: that is what publishers print beside their downloads.
"""

from __future__ import annotations

from gateway.stages.stage import Seen, Stage, refused


class Checksum(Stage):
    options = frozenset({"algorithm"})

    @property
    def algorithm(self) -> str | None:
        value = self.call.as_mapping().get("algorithm")
        return None if value is None else str(value)

    def close(self, seen: Seen) -> None:
        """Raises ContentRefused `checksum-mismatch`."""
        for algorithm, wanted in self.brief.expected.items():
            compare(algorithm, wanted, seen.source_hashes[algorithm])
        if self.algorithm:
            self.note("digest", f"The {self.algorithm} of the stored bytes is {seen.hashes[self.algorithm]}.")


def compare(algorithm: str, wanted: str, found: str) -> None:
    if wanted.strip().lower() != found:
        raise refused(
            "checksum-mismatch",
            f"The {algorithm} of the image is {found}, but {wanted.strip()[:128]} was expected.",
            "Send the image again; if it fails again, check that the expected digest belongs to this very file.",
        )
