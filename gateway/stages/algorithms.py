"""The digests anybody may ask for. md5 and sha1 identify, they do not protect."""

from __future__ import annotations

from collections.abc import Mapping

SIZES: Mapping[str, int] = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""Hexadecimal digits of each algorithm's digest, by its hashlib name."""

PROTECTING = frozenset({"sha256", "sha384", "sha512"})
"""Those a signature may rest on."""
