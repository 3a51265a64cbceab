"""What a database may do to anybody at any time is Unavailable; a wrong statement stays the bug it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from gateway.model.errors import Unavailable

log = logging.getLogger(__name__)

_BUG = "25P02"
"""Somebody went on after a statement that failed."""
_LOST = ("08", "28", "3D", "57P", "25P03", "25P04")
_WAITED = ("40", "55", "57014", "53300", "53400")
_FULL = "53100"
"""SQLSTATE codes, or what they begin with (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


@contextmanager
def said_as_refusals() -> Iterator[None]:
    """Raises Unavailable by name for a database that is busy, full, away or broken."""
    try:
        yield
    except NoConnection as error:
        raise _busy() from error
    except (OperationalError, InternalError) as error:
        raise _unavailable(error) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        raise _unavailable(error) from error


def _unavailable(error: DBAPIError) -> Exception:
    if hasattr(error.orig, "sqlstate"):
        return _of_server(error)
    reason = str(error.orig)
    if "locked" in reason or "busy" in reason:
        return _busy()
    return _full() if "full" in reason else _broken(reason)


def _of_server(error: DBAPIError) -> Exception:
    """A server's own words name hosts and users: they are for the log, not for callers."""
    state = getattr(error.orig, "sqlstate", None) or ""
    if state == _BUG:
        return error
    log.warning("the database: %s", " ".join(str(error.orig).split()))
    if state.startswith(_WAITED):
        return _busy()
    if state == _FULL:
        return _full()
    if not state or state.startswith(_LOST) or error.connection_invalidated:
        return lost()
    return _broken(f"SQLSTATE {state}")


def _busy() -> Unavailable:
    return Unavailable("The catalog is busy", remedy="Try again in a few seconds.", code="catalog-busy")


def _full() -> Unavailable:
    return Unavailable("The catalog's disk is full", remedy="Free space, then try again.", code="catalog-full")


def lost() -> Unavailable:
    return Unavailable(
        "The catalog's database did not answer",
        remedy="Try again in a few seconds. A change may have been made all the same: look before you repeat it.",
        code="catalog-unreachable",
    )


def _broken(reason: str) -> Unavailable:
    return Unavailable(
        f"The catalog cannot be used: {reason}", remedy="See the service's log, then try again.", code="catalog-broken"
    )
