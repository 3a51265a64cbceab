"""What stores are opened with in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.ports import Source
from gateway.stores import Place


def nowhere(url: str) -> Source:
    raise AssertionError(f"nothing fetches {url} here")


def place(folder: Path, fetch: Callable[[str], Source] = nowhere) -> Place:
    """A store called `local`; a sealed key is its URL reversed."""
    return Place(name="local", folder=folder, unseal=lambda key: key[::-1], fetch=fetch)
