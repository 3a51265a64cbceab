"""Stores, as gateway.yaml describes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.settings.units import Bytes, Seconds

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """One place for image bytes. `path` of a filesystem store; None is blobs/NAME in the data folder.

    An `http` store holds nothing: it is where images live whose locations callers name. Images are read from the
    store with the greatest `weight`.

    Stores that are servers: `bucket` (s3, gcs) or `container` (azure, swift), `prefix` before every key, `credentials`
    by name. `addressing` says where s3 has the bucket's name: in the path, or before the host's. `part_size` is what
    an upload sends at once: from the disk to s3 with credentials, else from memory. No image has more than 10,000
    parts. `timeout` is the longest silence of a server, `at_once` how many images may be written there at the same
    time, and how many read.
    Swift keeps an image in objects of `segment_size`, which are not held in memory; no image has more than 1,000.
    `interface` and `region` say which endpoint of Keystone's catalog is its.
    """

    name: str
    type: Literal["filesystem", "http", "s3", "gcs", "azure", "swift"] = "filesystem"
    path: Path | None = None
    default: bool = False
    description: str = ""
    weight: int = 0
    bucket: str | None = None
    container: str | None = None
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    addressing: Literal["path", "virtual"] = "path"
    credentials: str | None = None
    ca_file: Path | None = None
    part_size: Bytes = 8 * MIB
    segment_size: Bytes = 256 * MIB
    interface: Literal["public", "internal", "admin"] = "public"
    timeout: Seconds = 60.0
    at_once: int = 128
