"""The shape every format reader has, and the words it refuses with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.errors import ContentRefused
from gateway.model.verdict import Finding
from gateway.stages.stage import refused

MAX_VIRTUAL_SIZE = 1 << 50
"""1 PiB: beyond what VMDK, VHDX and VDI can hold, and a disk nobody has."""

Options = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class End:
    """What is known after the last byte: the size, the last bytes, and the run a reader asked for by `wants`."""

    size: int
    tail: bytes
    wanted: bytes = b""


class Reader:
    """Reads one format. `start` sees the first MiB (or all there is), `finish` the end; both raise ContentRefused.

    `wants` is one more run of bytes (offset, length) to be kept for `finish`. `virtual_size` in bytes.
    """

    name = "raw"
    virtual_size: int | None = None
    wants: tuple[int, int] | None = None

    def __init__(self, options: Options) -> None:
        self.options = options
        self.findings: list[Finding] = []

    def start(self, head: bytes) -> None: ...

    def finish(self, end: End) -> None: ...

    def backing(self, what: str) -> ContentRefused:
        return refused("backing-file", f"The {self.name} image {what}.", self._flatten())

    def data_file(self, what: str) -> ContentRefused:
        return refused("data-file", f"The {self.name} image {what}.", self._flatten())

    def unknown(self, what: str) -> ContentRefused:
        return refused("unknown-features", f"The {self.name} image {what}.", self._rewrite())

    def bad(self, what: str) -> ContentRefused:
        return refused("bad-header", f"The {self.name} image {what}.", self._rewrite())

    def implausible(self, what: str) -> ContentRefused:
        return refused("implausible-size", f"The {self.name} image {what}.", self._rewrite())

    def truncated(self, size: int, needed: int) -> ContentRefused:
        message = f"The {self.name} image ends after {size} bytes; its header speaks of {needed}."
        return refused("truncated", message, "Compare the file's size and digest with the original and send it again.")

    def plausible(self, virtual_size: int) -> int:
        if not 0 < virtual_size <= MAX_VIRTUAL_SIZE:
            raise self.implausible(f"claims a virtual size of {virtual_size} bytes")
        return virtual_size

    def _flatten(self) -> str:
        tool = {"vhd": "vpc"}.get(self.name, self.name)
        return f"Flatten it where its files are: qemu-img convert -O {tool} in.{self.name} out.{self.name}"

    def _rewrite(self) -> str:
        return "If you trust the image, write it anew: qemu-img convert -O qcow2 IN out.qcow2; then import the result."
