"""Requests as one user: with a token that is renewed, and again where a server failed for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import httpcore

from gateway.model.errors import Unavailable
from gateway.ports import Block
from gateway.stores.exchange import LOST, Answer, Exchange, Headers
from gateway.stores.place import Place
from gateway.stores.swift import refusals
from gateway.stores.swift.login import NoSession, Session, log_in

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each new try, of which there are at most five."""

MOST_WAITS = 3
"""So many times a server may keep us waiting for as long as it can, before it is not asked again."""

Reply = TypeVar("Reply", Answer, Answer | httpcore.Response)


class _Passing(Exception):
    """A failure that may be over in a moment; the message says which."""


class Account:
    """Safe to use from many threads at once. Paths start after the account's URL.

    Every call raises Unavailable where the account is away or its login fails; any other status is the caller's.
    """

    def __init__(self, place: Place, exchange: Exchange, pauses: tuple[float, ...] = PAUSES) -> None:
        self._store = place.name
        self._exchange = exchange
        self._place = place
        self._pauses = pauses
        self._lock = threading.Lock()
        self._session: Session | None = None

    def reach(self, path: str) -> Answer:
        """HEAD, once."""

        def once(session: Session) -> Answer:
            return self._exchange.ask("HEAD", session.url + path, _shown(session, None))

        return self._tried(once, ())

    def ask(
        self, verb: str, path: str, headers: Headers | None = None, body: bytes = b"", more_seconds: float = 0
    ) -> Answer:
        """One request and its whole answer. It has to be one that can be repeated."""

        def once(session: Session) -> Answer:
            return self._exchange.ask(verb, session.url + path, _shown(session, headers), body, more_seconds)

        return self._tried(once, self._pauses)

    def open(self, path: str, headers: Headers) -> Answer | httpcore.Response:
        """GET. A body comes as an open response, everything else as an answer."""

        def once(session: Session) -> Answer | httpcore.Response:
            response = self._exchange.open(session.url + path, _shown(session, headers))
            if response.status in (200, 206):
                return response
            response.close()
            return Answer(response.status, {})

        return self._tried(once, self._pauses)

    def send(self, path: str, blocks: Iterable[Block]) -> Answer:
        """PUT a stream. It is sent once: bytes that were taken from it are gone."""
        session = self._current()
        try:
            return self._exchange.send(session.url + path, _shown(session, None), blocks)
        except LOST as error:
            raise refusals.broken(self._store, _said(error)) from error

    def close(self) -> None:
        self._exchange.close()

    def _tried(self, once: Callable[[Session], Reply], pauses: tuple[float, ...]) -> Reply:
        until = time.monotonic() + MOST_WAITS * self._place.patience
        for pause in (*pauses, None):
            try:
                return self._authorised(once)
            except (*LOST, _Passing) as error:
                if pause is None or time.monotonic() > until:
                    raise refusals.broken(self._store, _said(error)) from error
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _authorised(self, once: Callable[[Session], Reply]) -> Reply:
        """A 401 is about the token: it has run out, or was revoked. A new one is tried once."""
        session = self._fresh(None)
        reply = once(session)
        if reply.status == 401:
            reply = once(self._fresh(session))
        if refusals.is_passing(reply.status):
            raise _Passing(f"it answered with {reply.status}")
        return reply

    def _current(self) -> Session:
        try:
            return self._fresh(None)
        except (*LOST, _Passing) as error:
            raise refusals.broken(self._store, _said(error)) from error

    def _fresh(self, stale: Session | None) -> Session:
        """A session that is neither `stale` nor past its end. Many may ask for it, one logs in."""
        with self._lock:
            known = self._session
            if known is None or known is stale or time.monotonic() >= known.until:
                known = self._session = self._logged_in()
            return known

    def _logged_in(self) -> Session:
        try:
            return log_in(self._exchange, self._place)
        except NoSession as error:
            if error.transient:
                raise _Passing(str(error)) from None
            raise self._shut_out(str(error)) from None
        except OSError as error:
            raise self._shut_out(f"the secret of its user cannot be read: {error.strerror or error}") from None

    def _shut_out(self, what: str) -> Unavailable:
        return refusals.misplaced(self._store, what, "Check its credentials, region and interface in the settings.")


def _shown(session: Session, headers: Headers | None) -> Headers:
    return {**(headers or {}), "X-Auth-Token": session.token}


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
