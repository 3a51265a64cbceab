"""The kill campaign in short: `make faults` plays 50 kills."""

from __future__ import annotations

from pathlib import Path

from tests.faults.campaign import campaign


def test_five_kills_break_nothing(tmp_path: Path) -> None:
    outcome = campaign(5, seed=11, say=print, folder=tmp_path)
    assert outcome.violations == []
    assert sum(outcome.kills.values()) == 5
    assert outcome.active > 0
