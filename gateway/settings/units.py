"""How quantities are written in the settings: the types say it, and `building` reads them."""

from __future__ import annotations

from typing import Annotated

Seconds = Annotated[float, "seconds"]
"""Written with a unit: `500ms`, `30s`, `5m`, `24h`, `7d`."""

Bytes = Annotated[int, "bytes"]
"""Written with a unit: `512B`, `32KiB`, `20GiB`."""
