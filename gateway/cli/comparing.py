"""Did the service keep the bytes of the file? Its hash against the one computed while sending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.cli.formats import is_compressed
from gateway.cli.sources import HashedBlocks, digest_of
from gateway.cli.watching import Sight
from gateway.model.errors import Refusal

_HEAD = 512


@dataclass(frozen=True, slots=True)
class Comparison:
    """`identical` is None where the service named no hash, or said that it changed the bytes (`changed_by`)."""

    algorithm: str
    local: str
    identical: bool | None
    changed_by: str = ""

    def sentence(self) -> str:
        if self.identical:
            return f"{self.algorithm} {self.local[:16]}... is the same here and there."
        if self.changed_by:
            return f"The stage '{self.changed_by}' changed the bytes, so their {self.algorithm} is not the file's."
        return "The service names no hash to compare with."

    def to_json(self) -> dict[str, Any]:
        return {"file": {"hash_algo": self.algorithm, "hash_value": self.local}, "identical": self.identical}


def compare(blocks: HashedBlocks, sight: Sight) -> Comparison:
    """Raises Refusal where the bytes differ and nothing explains it."""
    algorithm, value = sight.image.get("os_hash_algo"), sight.image.get("os_hash_value")
    if not algorithm or not value:
        return Comparison(blocks.algorithm, blocks.digest, None)
    local = blocks.digest if algorithm == blocks.algorithm else digest_of(blocks.source, str(algorithm))
    if local == value:
        return Comparison(str(algorithm), local, True)
    changed_by = _transform(blocks, sight)
    if changed_by is None:
        raise Refusal(
            f"The service holds other bytes than {blocks.source.path}: its {algorithm} differs.",
            remedy="Something between here and there is broken; import the file again.",
            code="hash-mismatch",
        )
    return Comparison(str(algorithm), local, None, changed_by)


def _transform(blocks: HashedBlocks, sight: Sight) -> str | None:
    """The stage that has a reason to have changed this file's bytes."""
    passed = {stage.get("name") for stage in sight.stages if stage.get("verdict") == "passed"}
    if "convert" in passed:
        return "convert"
    with blocks.source.path.open("rb") as file:
        return "decompress" if "decompress" in passed and is_compressed(file.read(_HEAD)) else None
