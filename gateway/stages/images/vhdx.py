"""VHDX, by [MS-VHDX]: two headers, two region tables, and a metadata region that holds what matters.

The metadata region lies anywhere, so it is asked for by `wants` and judged at the end. A log that waits to be replayed
could still rewrite all of it, so an image must have been closed cleanly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from gateway.stages.images.fields import is_zero, le16, le32, le64
from gateway.stages.images.reader import End, Reader

HEADERS = (64 << 10, 128 << 10)
TABLES = (192 << 10, 256 << 10)
TABLE = 64 << 10
METADATA = 1 << 20
MAX_SIZE = 64 << 40
HAS_PARENT = 1 << 1

BAT_REGION = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA_REGION = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
KNOWN_ITEMS = frozenset(
    {
        FILE_PARAMETERS,
        VIRTUAL_SIZE,
        UUID("beca12ab-b2e6-4523-93ef-c309e000c746"),  # page 83 data
        UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f"),  # logical sector size
        UUID("cda348c7-445d-4471-9cc9-e9885251c556"),  # physical sector size
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the region table or the metadata table: what, where, how long."""

    kind: UUID
    at: int
    length: int


class Vhdx(Reader):
    name = "vhdx"

    def start(self, head: bytes) -> None:
        if len(head) < TABLES[1] + TABLE:
            raise self.truncated(len(head), TABLES[1] + TABLE)
        self._check_logs(head)
        self._check_regions(head)

    def _check_logs(self, head: bytes) -> None:
        headers = [at for at in HEADERS if head.startswith(b"head", at)]
        if not headers:
            raise self.bad("has no header")
        for at in headers:
            if not is_zero(head, at + 48, 16):
                raise self.bad("has a log that waits to be replayed: it was not closed cleanly")

    def _check_regions(self, head: bytes) -> None:
        first, second = (head[at : at + TABLE] for at in TABLES)
        if not first.startswith(b"regi") or (second.startswith(b"regi") and second != first):
            raise self.bad("has region tables that are unsound or contradict each other")
        regions = self._distinct([self._region(first, 16 + 32 * at) for at in range(self._count(le32(first, 8)))])
        if set(regions) != {BAT_REGION, METADATA_REGION}:
            raise self.unknown("has regions nobody here knows, or lacks one")
        metadata = regions[METADATA_REGION]
        if metadata.at < METADATA or not TABLE < metadata.length <= METADATA:
            raise self.implausible(f"claims {metadata.length} bytes of metadata at {metadata.at}")
        self.wants = (metadata.at, metadata.length)
        self.needed = max(region.at + region.length for region in regions.values())

    def _region(self, table: bytes, at: int) -> Entry:
        return Entry(guid(table, at), le64(table, at + 16), le32(table, at + 24))

    def _count(self, count: int) -> int:
        if count > 2047:
            raise self.implausible(f"claims a table of {count} entries")
        return count

    def _distinct(self, entries: list[Entry]) -> dict[UUID, Entry]:
        found = {entry.kind: entry for entry in entries}
        if len(found) != len(entries):
            raise self.bad("says the same thing twice in one table")
        return found

    def finish(self, end: End) -> None:
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)
        self._check_metadata(end.wanted)

    def _check_metadata(self, region: bytes) -> None:
        if not region.startswith(b"metadata"):
            raise self.bad("has no metadata where its region table says")
        items = self._distinct(list(self._items(region)))
        if PARENT_LOCATOR in items:
            raise self.backing("names a parent disk")
        if not {FILE_PARAMETERS, VIRTUAL_SIZE} <= set(items) <= KNOWN_ITEMS:
            raise self.unknown("has metadata nobody here knows, or lacks some")
        if le32(region, items[FILE_PARAMETERS].at + 4) & HAS_PARENT:
            raise self.backing("is a differencing disk, so part of its content is elsewhere")
        self._check_sizes(le64(region, items[VIRTUAL_SIZE].at), le32(region, items[FILE_PARAMETERS].at))

    def _items(self, region: bytes) -> Iterator[Entry]:
        for number in range(self._count(le16(region, 10))):
            at = 32 + 32 * number
            item = Entry(guid(region, at), le32(region, at + 16), le32(region, at + 20))
            if item.at < TABLE or item.at + item.length > len(region):
                raise self.bad("has metadata outside its region")
            yield item

    def _check_sizes(self, size: int, block: int) -> None:
        self.virtual_size = self.plausible(size)
        if size > MAX_SIZE or size % 512:
            raise self.implausible(f"claims {size} bytes")
        if not 1 << 20 <= block <= 256 << 20 or block & (block - 1):
            raise self.bad(f"claims blocks of {block} bytes")


def guid(run: bytes, at: int) -> UUID:
    return UUID(bytes_le=bytes(run[at : at + 16]))
