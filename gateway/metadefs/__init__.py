"""Metadata definitions: the catalog of keys that clients offer for images, volumes and flavors.

The folder stands alone: its tables, records, rules, wire and routes are here, and only `gateway.app` knows it. It is
switched off by a setting and removed by deleting it. It comes with no definitions; the names of the resource types
that clouds share are there from the start. ("Metadata Definitions Service" in the Images API reference.)
"""

from __future__ import annotations

from gateway.metadefs.routes import routes
from gateway.metadefs.shapes import SHAPES
from gateway.metadefs.shelf import create_tables

__all__ = ["SHAPES", "create_tables", "routes"]
