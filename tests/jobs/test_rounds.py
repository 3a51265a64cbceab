"""What goes wrong in one round is told, and ends no other; only a stop goes through."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.jobs.rounds import one_round
from gateway.model.errors import Unavailable

log = logging.getLogger("rounds")


@pytest.mark.parametrize(("fault", "level", "traced"), [
    (Unavailable("The database is away."), "WARNING", False),
    (LookupError("a fault of our own"), "ERROR", True),
])  # fmt: skip
def test_a_fault_ends_its_round_alone(
    caplog: pytest.LogCaptureFixture, fault: Exception, level: str, traced: bool
) -> None:
    done = []
    for number in range(3):
        with one_round(log, "nothing is swept"):
            if number == 1:
                raise fault
            done.append(number)
    assert done == [0, 2]
    (told,) = caplog.records
    assert (told.levelname, told.getMessage()[:16], bool(told.exc_info)) == (level, "nothing is swept", traced)


def test_a_stop_goes_through() -> None:
    with pytest.raises(asyncio.CancelledError), one_round(log, "nothing is swept"):
        raise asyncio.CancelledError
