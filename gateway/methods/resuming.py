"""Going on with a file where a connection broke: which file it was, and whether an answer is the rest of that file.

RFC 9110: strong validators (8.8.1, 8.8.2.2), If-Range (13.1.5), ranges and what may answer them (14, 15.3.7).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from gateway.methods import refusals
from gateway.methods.hop import Hop
from gateway.methods.rules import FetchRules
from gateway.model.errors import SourceRefused

SETTLED = timedelta(minutes=1)
"""How long before an answer a file must have been changed last, for the second of its change to stand for its bytes."""

LONGEST_PAUSE = 60.0
"""Seconds."""

_STRONG = re.compile(r'"[\x21\x23-\x7e]{0,1000}"')
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.I | re.ASCII)
_AWAY = frozenset({408, 429, 500, 502, 503, 504})
_PASSING = frozenset({"source-unreachable", "source-broken", "source-stalled"})


@dataclass(frozen=True, slots=True)
class Edition:
    """Which file a source serves: its strong ETag, or its Last-Modified where it has no tag at all."""

    name: str
    validator: str

    def rest(self, start: int) -> dict[str, str]:
        """Header fields that ask for the bytes from `start` on, of this file only."""
        return {"Range": f"bytes={start}-", "If-Range": self.validator}


def edition(fields: Mapping[str, str]) -> Edition | None:
    """None where nothing would prove that a later answer is of the same file, or the source serves no ranges.

    A weak tag proves nothing and forbids the date too; without a tag the date counts if it is strong.
    """
    if fields.get("Accept-Ranges", "").strip().lower() == "none":
        return None
    tag = fields.get("ETag")
    if tag is not None:
        return Edition("ETag", tag) if _STRONG.fullmatch(tag) else None
    modified = fields.get("Last-Modified", "")
    return Edition("Last-Modified", modified) if _is_strong(modified, fields.get("Date", "")) else None


def _is_strong(modified: str, answered: str) -> bool:
    changed, now = _moment(modified), _moment(answered)
    return changed is not None and now is not None and now - changed >= SETTLED


def _moment(text: str) -> datetime | None:
    """A date as HTTP has them (RFC 9110 5.6.7)."""
    try:
        return parsedate_to_datetime(text) if text.isascii() and text.endswith(" GMT") else None
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Rest:
    """The bytes an answer holds: up to and without `stop`, of `total`."""

    stop: int
    total: int


def rest(hop: Hop, asked: Edition, start: int, total: int | None) -> Rest:
    """What a partial answer says it holds. `total` is the size of the file as far as it is known.

    Raises SourceRefused: `source-changed`, `source-broken`, `source-refused`, `source-failed`.
    """
    if hop.status in (HTTPStatus.OK, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        raise refusals.changed(hop.location)
    hop.check_plain(HTTPStatus.PARTIAL_CONTENT)
    found = _RANGE.fullmatch(hop.fields.get("Content-Range", "").strip())
    if found is None or found[3] == "*" or "multipart" in hop.fields.get("Content-Type", "").lower():
        raise refusals.misfit(hop.location)
    first, stop, size = int(found[1]), int(found[2]) + 1, int(found[3])
    if size != (size if total is None else total) or not _same(hop.fields, asked):
        raise refusals.changed(hop.location)
    if first != start or not start < stop <= size or hop.total not in (None, stop - start):
        raise refusals.misfit(hop.location)
    return Rest(stop, size)


def _same(fields: Mapping[str, str], asked: Edition) -> bool:
    """A tag has to be said again (RFC 9110 15.3.7); a date may be left out, but must not be another."""
    said = fields.get(asked.name)
    return said == asked.validator or (said is None and asked.name == "Last-Modified")


class Again:
    """Further requests for the file of one fetch: how many, how far apart, and until when.

    `follow` asks from the first URL on, with these header fields besides, every hop checked like the first time.
    """

    def __init__(self, rules: FetchRules, until: float, follow: Callable[[Mapping[str, str]], Hop]) -> None:
        self._rules = rules
        self._until = until
        self._follow = follow
        self._asked = 0

    def ask(self, fields: Mapping[str, str], broken: SourceRefused) -> Hop:
        """The next answer that may be a final one. Raises SourceRefused: `broken`, or what came of the last request,
        once no more may be made; what stops a fetch at any time.
        """
        while self._asked < self._rules.resumes and self._paused():
            self._asked += 1
            try:
                hop = self._follow(fields)
            except SourceRefused as refusal:
                if refusal.code not in _PASSING:
                    raise
                broken = refusal
                continue
            if hop.status not in _AWAY:
                return hop
            hop.close()
            broken = refusals.failed(hop.location, hop.status)
        raise refusals.given_up(broken, self._asked)

    def _paused(self) -> bool:
        """False where the deadline of the whole fetch leaves no time to wait, and so none to fetch."""
        seconds = min(LONGEST_PAUSE, self._rules.deadlines.pause * 2**self._asked)
        if time.monotonic() + seconds >= self._until:
            return False
        self._rules.lines.wait(seconds)
        self._rules.lines.check()
        return True
