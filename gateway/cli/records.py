"""A site's records, opened by a command beside the running service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.model.errors import NotFound

if TYPE_CHECKING:
    from gateway.ports import Catalog
    from gateway.settings import Settings


def settings_of(config: Path | None, data: Path | None) -> Settings:
    """The site's settings, as `serve` reads them. Raises NotFound, Problems."""
    from gateway.settings import Settings, overridden, read_settings

    settings = read_settings(config) if config else Settings()
    return overridden(settings, host=None, port=None, data=data.absolute() if data else None)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Catalog]:
    """The records as they are; none are made, and none changed. Raises NotFound, Conflict, Unavailable."""
    from gateway.catalog import open_catalog

    _check_there(settings.catalog_url)
    where = settings.catalog
    async with open_catalog(
        settings.catalog_url, pool_size=where.pool_size, password_file=where.password_file, upgrade=False
    ) as catalog:
        yield catalog


def _check_there(catalog_url: str) -> None:
    from sqlalchemy import make_url

    url = make_url(catalog_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise NotFound(
            f"There are no records at {url.database}.", remedy="Name the site with --config, or its folder with --data."
        )
