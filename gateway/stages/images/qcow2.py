"""qcow2, by the field offsets of QEMU's docs/interop/qcow2.txt.

Refused: backing files, external data files, unknown incompatible features, and tables that cannot belong to the disk
the header claims.
"""

from __future__ import annotations

from gateway.stages.images.fields import be32, be64
from gateway.stages.images.reader import End, Reader

DATA_FILE = 1 << 2
CORRUPT = 1 << 1
EXTENDED_L2 = 1 << 4
KNOWN_FEATURES = 0b11111
MAX_TABLE = 32 << 20
MAX_REFCOUNT_TABLE = 8 << 20
MAX_SNAPSHOTS = 65536
END_OF_EXTENSIONS = 0
DATA_FILE_NAME = 0x44415441


class Qcow2(Reader):
    """Options: `extended_l2` (default false) and `snapshots` (default true) allow what some clouds do not."""

    name = "qcow2"

    def start(self, head: bytes) -> None:
        if len(head) < 104:
            raise self.truncated(len(head), 104)
        self._check_version(head)
        self._check_parents(head)
        self._check_features(head)
        self._check_extensions(head)
        self._check_tables(head)

    def _check_version(self, head: bytes) -> None:
        version, self.cluster_bits, crypt = be32(head, 4), be32(head, 20), be32(head, 32)
        self.version = version
        if version not in (2, 3):
            raise self.unknown(f"has version {version}")
        if not 9 <= self.cluster_bits <= 21:
            raise self.bad(f"claims clusters of 2^{self.cluster_bits} bytes")
        if crypt > 2:
            raise self.unknown(f"is encrypted by method {crypt}")

    def _check_parents(self, head: bytes) -> None:
        if be64(head, 8):
            raise self.backing("has a backing file, so part of its content is elsewhere")
        if be32(head, 16):
            raise self.backing("has a backing file name of a length, though at no place")

    def _check_features(self, head: bytes) -> None:
        features = be64(head, 72) if self.version == 3 else 0
        if features & DATA_FILE:
            raise self.data_file("keeps its content in an external data file")
        if features & CORRUPT:
            raise self.bad("is marked corrupt; 'qemu-img check -r all' may repair it")
        if features & EXTENDED_L2 and not self.options.get("extended_l2", False):
            raise self.unknown("uses extended L2 entries, which the policy does not allow")
        if features & ~KNOWN_FEATURES:
            raise self.unknown(f"needs features nobody here knows ({features:#x})")

    def _check_extensions(self, head: bytes) -> None:
        at = be32(head, 100) if self.version == 3 else 72
        last = min(len(head), 1 << self.cluster_bits)
        if self.version == 3 and not 104 <= at <= last:
            raise self.bad(f"claims a header of {at} bytes")
        while at + 8 <= last and (kind := be32(head, at)) != END_OF_EXTENSIONS:
            if kind == DATA_FILE_NAME:
                raise self.data_file("names a data file in its header extensions")
            at += 8 + (be32(head, at + 4) + 7) // 8 * 8
            if at > last:
                raise self.bad("has a header extension that is longer than the header's cluster")

    def _check_tables(self, head: bytes) -> None:
        size, l1_entries, l1_at = be64(head, 24), be32(head, 36), be64(head, 40)
        refcount_at, refcount_size = be64(head, 48), be32(head, 56) << self.cluster_bits
        self.virtual_size = self.plausible(size)
        if size % 512:  # some readers cut the last sector off, others fill it
            raise self.implausible(f"claims {size} bytes, which are no whole sectors")
        if l1_entries * 8 > MAX_TABLE or refcount_size > MAX_REFCOUNT_TABLE or not refcount_size:
            raise self.implausible("claims tables no such disk has")
        if l1_entries * self._bytes_of_an_l1_entry(head) < size:
            raise self.implausible(f"claims {size} bytes, more than its tables can address")
        self.needed = max(l1_at + l1_entries * 8, refcount_at + refcount_size, self._check_snapshots(head))
        if any(at % (1 << self.cluster_bits) or not at for at in (l1_at, refcount_at)):
            raise self.bad("has tables that are not on a cluster's edge")

    def _bytes_of_an_l1_entry(self, head: bytes) -> int:
        wide = self.version == 3 and be64(head, 72) & EXTENDED_L2
        return int((1 << self.cluster_bits) // (16 if wide else 8) << self.cluster_bits)

    def _check_snapshots(self, head: bytes) -> int:
        """The end of the shortest possible snapshot table."""
        count, at = be32(head, 60), be64(head, 64)
        if count > MAX_SNAPSHOTS:
            raise self.implausible(f"claims {count} snapshots")
        if count and not self.options.get("snapshots", True):
            raise self.unknown("holds internal snapshots, which the policy does not allow")
        return at + count * 40 if count else 0

    def finish(self, end: End) -> None:
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)
