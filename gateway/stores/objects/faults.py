"""What obstore says, in our words. It gives the statuses and codes of servers in its messages' text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from gateway.model.errors import Conflict, Refusal, Unavailable
from gateway.stores.faults import absent
from gateway.stores.place import Place

_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z]+)</Code>")
_FULL = frozenset({"QuotaExceeded", "InsufficientCapacity", "EntityTooLarge", "AccountProblem"})
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"})
_PASSING = frozenset({404, 408, 409, 412, 416, 429})
OUTSIDE = 416
_TOO_FAR = "Wanted range starting at"
_CHECK = "Check the store, then try again."


class Misplaced(Unavailable):
    """The server has said that this is no place for blobs: waiting will not help."""

    code = "store-broken"


def status(error: BaseException) -> int | None:
    """The HTTP status behind an error; None where there was no answer."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def is_outside(error: BaseException) -> bool:
    """Whether the object ends before what was asked for: the server says so, or the library, which was sent it all."""
    return status(error) == OUTSIDE or _TOO_FAR in str(error)


@contextmanager
def said(place: Place, key: str = "") -> Iterator[None]:
    """obstore's errors as NotFound, Conflict or Unavailable."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise refusal(place, error, key) from error


def refusal(place: Place, error: Exception, key: str = "") -> Refusal:
    if isinstance(error, AlreadyExistsError):
        return Conflict(f"Store {place.name} holds this blob already", code="blob-exists")
    if isinstance(error, PreconditionError):
        return Unavailable(
            f"A blob in store {place.name} is not the one it was",
            remedy="Somebody writes to the bucket: verify the image.",
            code="blob-changed",
        )
    text, number = str(error), status(error)
    if isinstance(error, FileNotFoundError) and key and _code(text) not in _NO_BUCKET:
        return absent(key)
    return broken(place, _silence(text)) if number is None else answers(place, number, text)


def answers(place: Place, number: int, text: str) -> Unavailable:
    """By the HTTP status and the words of an answer."""
    code = _code(text)
    if code in _NO_BUCKET:
        return no_bucket(place)
    if code in _FULL or number == 507:
        return Unavailable(f"Store {place.name} is full", remedy="Free space in it, then try again.", code="store-full")
    if number in (401, 403):
        return shut(place)
    reason = f"it answers {number}{f' ({code})' if code else ''}"
    return (
        broken(place, reason)
        if number >= 500 or number in _PASSING
        else Misplaced(f"Store {place.name} failed: {reason}", remedy=_CHECK)
    )


def no_bucket(place: Place) -> Unavailable:
    return Misplaced(
        f"Store {place.name} has no bucket '{place.bucket}'.",
        remedy="Make the bucket, or correct `bucket`, `endpoint` and `region` in the settings.",
    )


def shut(place: Place) -> Unavailable:
    shown = f"credentials '{place.login.name}'" if place.login else "the gateway, which shows no credentials,"
    return Misplaced(
        f"Store {place.name} refuses {shown} for bucket '{place.bucket}'.",
        remedy="Check the keys, and that they may read, write, list and delete there.",
    )


def broken(place: Place, reason: str) -> Unavailable:
    return Unavailable(f"Store {place.name} failed: {reason}", remedy=_CHECK, code="store-broken")


def _code(text: str) -> str:
    return found[1] if (found := _CODE.search(text)) else ""


def _silence(text: str) -> str:
    """Without the URL, which says more than callers need to know."""
    late = "timed out" in text.lower() or "TimedOut" in text
    return "it does not answer in time" if late else "the connection broke"
