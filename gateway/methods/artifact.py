"""Manifests of the OCI image specification and of Docker's (schema 2), read with distrust: which one layer is meant."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.model.errors import SourceRefused

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
MAX_MANIFEST = 4 << 20
"""What registries have to be able to take (OCI distribution specification, "Pushing Manifests")."""

TITLE = "org.opencontainers.image.title"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Content by its digest (`sha256:...`) and size in bytes (OCI image specification, "Content Descriptors")."""

    digest: str
    size: int

    @property
    def algorithm(self) -> str:
        return self.digest.partition(":")[0]

    @property
    def hexadecimal(self) -> str:
        return self.digest.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller says of the layer; empty texts say nothing. `platform` is `os/architecture`, or with a variant."""

    title: str = ""
    media_type: str = ""
    platform: str = ""


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def check_digest(content: bytes, digest: str, what: str) -> None:
    """Raises SourceRefused (`digest-mismatch`)."""
    algorithm, _, expected = digest.partition(":")
    if hashlib.new(algorithm, content).hexdigest() != expected:
        raise SourceRefused(
            f"The manifest of {what} is not the one with digest {digest}.",
            remedy="Import again; if it happens again, the registry has to be repaired.",
            code="digest-mismatch",
        )


def read_manifest(content: bytes, what: str) -> Mapping[str, Any]:
    """The JSON object, of a kind that is known here. Raises SourceRefused (`bad-manifest`)."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise _bad(what, "is no JSON") from None
    kinds = (*INDEXES, *MANIFESTS)
    if not isinstance(found, dict) or found.get("schemaVersion") != 2 or found.get("mediaType", kinds[0]) not in kinds:
        raise _bad(what, "is of a kind that is not known here")
    return found


def is_index(manifest: Mapping[str, Any]) -> bool:
    """By its media type, which OCI lets out, else by what it holds."""
    return manifest["mediaType"] in INDEXES if "mediaType" in manifest else "manifests" in manifest


def chosen_manifest(index: Mapping[str, Any], wanted: Wanted, what: str) -> Descriptor:
    """The one manifest of the wanted platform; the only one there is needs none. Raises SourceRefused."""
    listed = [one for one in _objects(index, "manifests", what) if one.get("mediaType", MANIFESTS[0]) in MANIFESTS]
    fitting = [one for one in listed if not wanted.platform or _platform(one) == wanted.platform]
    if len(fitting) != 1:
        raise _undecided(what, "manifest", len(fitting), [_platform(one) for one in listed], "platform")
    return _descriptor(fitting[0], what)


def chosen_layer(manifest: Mapping[str, Any], wanted: Wanted, what: str) -> Descriptor:
    """The only layer, or the only one of the wanted title and media type. Raises SourceRefused."""
    layers = _objects(manifest, "layers", what)
    fitting = [one for one in layers if _fits(one, wanted)]
    if len(fitting) != 1:
        key = "media_type" if wanted.title else "title"
        names = [_title(one) if key == "title" else str(one.get("mediaType")) for one in layers]
        raise _undecided(what, "layer", len(fitting), names, key)
    return _descriptor(fitting[0], what)


def _fits(layer: Mapping[str, Any], wanted: Wanted) -> bool:
    return wanted.title in ("", _title(layer)) and wanted.media_type in ("", layer.get("mediaType"))


def _title(layer: Mapping[str, Any]) -> str:
    notes = layer.get("annotations")
    return str(notes.get(TITLE, "")) if isinstance(notes, dict) else ""


def _platform(manifest: Mapping[str, Any]) -> str:
    found = manifest.get("platform")
    if not isinstance(found, dict):
        return ""
    parts = (found.get("os"), found.get("architecture"), found.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _objects(manifest: Mapping[str, Any], key: str, what: str) -> list[Mapping[str, Any]]:
    found = manifest.get(key)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _bad(what, f"has no list of {key}")
    return found


def _descriptor(found: Mapping[str, Any], what: str) -> Descriptor:
    digest, size = found.get("digest"), found.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise _bad(what, "has a digest that is not known here")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise _bad(what, "has a size that is none")
    return Descriptor(digest, size)


def _bad(what: str, why: str) -> SourceRefused:
    remedy = "Push the artifact again, with an OCI manifest."
    return SourceRefused(f"The manifest of {what} {why}.", remedy=remedy, code="bad-manifest")


def _undecided(what: str, part: str, count: int, names: Sequence[str], key: str) -> SourceRefused:
    known = sorted({_sayable(name) for name in names if name})[:_MOST_NAMED]
    return SourceRefused(
        f"{what} has {count or 'no'} {part}{'s' if count > 1 else ''} that could be meant.",
        remedy=f"Say which one with '{key}'{': ' if known else '.'}{', '.join(known)}",
        code=f"which-{part}",
    )


def _sayable(name: str) -> str:
    return "".join(letter for letter in name[:64] if letter.isprintable() and letter.isascii())
