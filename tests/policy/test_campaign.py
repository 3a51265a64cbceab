"""The short form of `python -m tests.policy.campaign`: some cases, and some bugs that have to be caught."""

from __future__ import annotations

import importlib

import pytest

from tests.policy.campaign.__main__ import hunt
from tests.policy.campaign.mutants import MUTANTS
from tests.policy.campaign.running import try_cases

QUICK = ("max-for-min", "errors-ignored-in-deny", "until-a-moment-late", "redirects-not-judged")


def test_discovery_and_decision_never_disagree() -> None:
    tally = try_cases(range(200))
    assert tally.wrong == []
    assert min(tally.actions["allow"], tally.actions["deny"]) > 40
    assert tally.skipped < 10


def test_planted_bugs_are_caught() -> None:
    assert [one.name for one in hunt(QUICK, patience=400) if not one.caught] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_fits_the_code(mutant: object) -> None:
    assert isinstance(mutant, type(MUTANTS[0]))
    file = importlib.import_module(mutant.module).__file__
    assert file is not None
    with open(file) as source:
        assert source.read().count(mutant.written) == 1
