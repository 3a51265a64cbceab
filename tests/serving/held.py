"""What a store holds, seen past the gateway and by nothing of its code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Held(Protocol):
    """Everything below one place of a store, whole or not, by the last part of its name."""

    def sizes(self) -> dict[str, int]:
        """Bytes by name."""

    def read(self, name: str) -> bytes:
        """Raises KeyError."""

    def replace(self, name: str, content: bytes) -> None:
        """Other bytes in the place of these, as somebody may who has access to the store. Raises KeyError."""

    def remove(self, name: str) -> None:
        """Raises KeyError."""


@dataclass(frozen=True)
class Together:
    """Of several stores, as if they were one."""

    stores: tuple[Held, ...]

    def sizes(self) -> dict[str, int]:
        return {name: size for store in self.stores for name, size in store.sizes().items()}

    def read(self, name: str) -> bytes:
        return self._of(name).read(name)

    def replace(self, name: str, content: bytes) -> None:
        self._of(name).replace(name, content)

    def remove(self, name: str) -> None:
        self._of(name).remove(name)

    def _of(self, name: str) -> Held:
        found = [store for store in self.stores if name in store.sizes()]
        if not found:
            raise KeyError(name)
        return found[0]


@dataclass(frozen=True)
class Folder:
    """Of a filesystem store."""

    path: Path

    def _files(self) -> dict[str, Path]:
        return {path.name: path for path in self.path.rglob("*") if path.is_file()}

    def sizes(self) -> dict[str, int]:
        found = {}
        for name, path in self._files().items():
            try:
                found[name] = path.stat().st_size
            except FileNotFoundError:
                continue  # removed between the listing and this look
        return found

    def read(self, name: str) -> bytes:
        try:
            return self._files()[name].read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None

    def replace(self, name: str, content: bytes) -> None:
        path = self._files()[name]
        path.chmod(0o600)
        path.write_bytes(content)

    def remove(self, name: str) -> None:
        self._files()[name].unlink()
