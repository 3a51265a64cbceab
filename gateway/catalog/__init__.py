"""The records: images, blobs, imports, decisions, in one SQL database. `open_catalog` is the way in."""

from __future__ import annotations

from gateway.catalog.engine import SqlCatalog, open_catalog

__all__ = ["SqlCatalog", "open_catalog"]
