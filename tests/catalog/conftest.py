from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog import postgres


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=postgres.needed)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Fresh records in each database there is: what `open_catalog` takes."""
    return postgres.fresh() if request.param == "postgresql" else tmp_path / "records.sqlite"
