"""What `docker save` writes: a tar of layers (tars themselves, packed or not) and a manifest that names them."""

from __future__ import annotations

import json

from gateway.stages.images.disk import kind_of
from gateway.stages.images.tar import Member, Tar
from gateway.stages.stage import refused

MANIFEST = "manifest.json"
MAX_MANIFEST = 4 << 20
HEAD = 36 << 10
"""Beyond the last signature that could make a layer something else."""

LAYERS = frozenset({"raw", "tar", "gzip", "zstd"})
"""`raw` has no signature at all: JSON, and the empty layer of two zero records."""


class Docker(Tar):
    rich = True

    def __init__(self) -> None:
        super().__init__("docker")
        self._head = bytearray()
        self._manifest: bytes | None = None
        self._files: set[str] = set()

    def opened(self, member: Member) -> None:
        self._head.clear()
        self._wanted = MAX_MANIFEST if member.name == MANIFEST else HEAD
        if member.name == MANIFEST and member.size > MAX_MANIFEST:
            raise self.bad(f"has a manifest of {member.size} bytes")

    def taken(self, run: memoryview) -> None:
        self._head += run[: self._wanted - len(self._head)]

    def closed(self, member: Member) -> None:
        head = bytes(self._head)
        self._files.add(member.name)
        if (kind := kind_of(head)) not in LAYERS:
            raise self.bad(f"has a member '{member.name[:64]}' that is '{kind}' where a layer should be")
        if member.name == MANIFEST:
            self._manifest = head

    def complete(self) -> None:
        if self._manifest is None:
            raise refused(
                "format-mismatch",
                "The container is declared 'docker', but there is no manifest in the archive.",
                "Send what 'docker save' writes, or declare the container_format the bytes have.",
            )
        images = self._images(self._manifest)
        named = [name for image in images for name in (image.get("Config"), *image["Layers"])]
        for name in named:
            if name not in self._files:
                raise self.elsewhere(f"speaks of '{str(name)[:64]}', which is not in it")
        self.note("layers", f"{len(images)} images with {len(set(named)) - len(images)} layers in the docker archive.")

    def _images(self, manifest: bytes) -> list[dict[str, list[str]]]:
        try:
            found = json.loads(manifest)
            if found and all(isinstance(image["Layers"], list) for image in found):
                return list(found)
        except (ValueError, TypeError, KeyError, RecursionError):
            pass  # said below, as for a manifest that is something else
        raise self.bad("has a manifest nobody can read")
