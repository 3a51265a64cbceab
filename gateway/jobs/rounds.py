"""Work that is done round by round, for as long as the process lives."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.model.errors import Unavailable


@contextmanager
def one_round(log: logging.Logger, failed: str) -> Iterator[None]:
    """Whatever goes wrong in it is logged as `failed`: the next round has to come."""
    try:
        yield
    except Unavailable as away:
        log.warning("%s: %s", failed, away.message)
    except Exception:  # a fault of our own ends this round, and none that follows
        log.exception(failed)
