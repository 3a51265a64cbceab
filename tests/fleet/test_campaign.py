"""The campaign of many gateways in short, on a bucket of moto's: `make faults` plays two minutes of it."""

from __future__ import annotations

from pathlib import Path

from tests.catalog import postgres
from tests.fleet.campaign import Size, campaign

pytestmark = postgres.needed

SHORT = Size(projects=3, imports=30, seconds=8, lease=3, gap=3, spread=None)
"""On a busy machine so few imports end as quickly as they are asked for; `tests/jobs/test_falls.py` judges turns."""


def test_gateways_that_fall_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    outcome = campaign(SHORT, seed=5, say=print, folder=tmp_path)
    assert outcome.violations == []
    assert sum(outcome.ended.values()) == SHORT.imports
    assert outcome.blows["killed"] >= 1
    assert outcome.takeovers
