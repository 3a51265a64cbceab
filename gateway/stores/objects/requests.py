"""Requests of the Amazon S3 API that are ours: those the library does not know, and uploads in parts.

They are signed, and made again where a server failed for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from xml.etree import ElementTree

from gateway.model.errors import Unavailable
from gateway.stores.exchange import LATE, LOST, Answer, Body, Exchange
from gateway.stores.faults import said as disk_said
from gateway.stores.objects.faults import answers, broken
from gateway.stores.objects.signing import UNSIGNED, Signer
from gateway.stores.place import Place

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each new try, of which there are at most five."""

MOST_WAITS = 4
"""So many times a server may keep us waiting for as long as it can, before it is not asked again."""

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = tuple(f"<Code>{code}<".encode() for code in ("InternalError", "RequestTimeout", "SlowDown"))
"""Behind other statuses: a request that comes too slowly is a bad one (400), an upload's end starts as a 200."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """`url` is the bucket's own; `signer` signs for it. Safe to use from many threads at once."""

    place: Place
    url: str
    signer: Signer
    exchange: Exchange

    def name(self, key: str) -> str:
        """What the object of a blob is called."""
        prefix = self.place.prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key

    def ask(
        self,
        verb: str,
        query: Mapping[str, str],
        name: str = "",
        body: bytes | Body = b"",
        again: Callable[[], None] = lambda: None,
    ) -> Answer:
        """The server's answer, once it is one that stays. `again` is called before each new try, and may raise.

        Raises Unavailable where there is none, or a failure that lasts.
        """
        until = time.monotonic() + MOST_WAITS * self.place.patience
        for pause in (*PAUSES, None):
            last = pause is None or time.monotonic() > until
            try:
                answer = self._once(verb, query, name, body)
            except LOST as error:
                if last:
                    raise broken(self.place, _silence(error)) from error
            else:
                if not _is_passing(answer):
                    return answer
                if last:
                    raise self.refusal(answer)
            time.sleep(pause or 0)
            again()
        raise AssertionError("the last try returns or raises")

    def refusal(self, answer: Answer) -> Unavailable:
        """Of an answer that is no success, whatever its status says."""
        status = answer.status if answer.status >= 300 else 500
        return answers(self.place, status, answer.body.decode(errors="replace"))

    def document(self, answer: Answer) -> ElementTree.Element:
        """An answer's XML, which may come after blanks: a server that works for long sends them meanwhile."""
        try:
            return ElementTree.fromstring(answer.body.strip())
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two for encodings
            raise broken(self.place, "its answer cannot be read") from error

    def close(self) -> None:
        self.exchange.close()

    def _once(self, verb: str, query: Mapping[str, str], name: str, body: bytes | Body) -> Answer:
        digest = sha256(body).hexdigest() if isinstance(body, bytes) else UNSIGNED
        with disk_said(self.place.name):
            url, headers = self.signer.signed(verb, self.url, name, query, datetime.now(UTC), digest)
        more = MOST_WAITS * self.place.patience if body else 0
        return self.exchange.ask(verb, url, headers, body, more)


def _is_passing(answer: Answer) -> bool:
    start = answer.body.lstrip()[:1024]
    return answer.status in _PASSING or any(code in start for code in _PASSING_CODES)


def _silence(error: Exception) -> str:
    return "it does not answer in time" if isinstance(error, LATE) else "the connection broke"


def text(node: ElementTree.Element, name: str) -> str:
    """Of a child, in whatever namespace: servers differ."""
    return node.findtext(f"{{*}}{name}") or ""
