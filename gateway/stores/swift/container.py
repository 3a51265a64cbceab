"""One container: its objects by name. A status that is nobody's answer is refused here, by name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, urlencode

import httpcore

from gateway.ports import Block
from gateway.stores.exchange import Answer, Headers
from gateway.stores.swift import refusals
from gateway.stores.swift.account import Account

PAGE = 1000
SLOW_SEGMENTS = 10
"""So many segments a second the server is given time to look at."""


class Container:
    """All calls raise Unavailable. An object that is not there is None; a container that is not there never is."""

    def __init__(self, store: str, account: Account, name: str) -> None:
        self.name = name
        self._store = store
        self._account = account
        self._path = "/" + quote(name, safe="")

    def check(self) -> None:
        """It is there, and our token opens it."""
        self._expect(self._account.ask("HEAD", self._path), 200, 204)

    def reach(self) -> None:
        """The same, without a second try."""
        self._expect(self._account.reach(self._path), 200, 204)

    def look(self, name: str) -> Answer | None:
        """An object's headers."""
        return self._found(self._account.ask("HEAD", self._at(name)), 200, 204)

    def open(self, name: str, wanted: str | None) -> Answer | httpcore.Response | None:
        """An object's bytes, or those of a range; as an answer where the range is beyond its end."""
        reply = self._account.open(self._at(name), {"Range": wanted} if wanted else {})
        if isinstance(reply, httpcore.Response):
            return reply
        if reply.status == 409:
            raise refusals.incomplete(self._store)
        return self._found(reply, 416)

    def write(self, name: str, body: bytes, headers: Headers, query: str = "", parts: int = 0) -> bool:
        """A small object whole, or a manifest of `parts` segments; False where the name is taken."""
        headers = {**headers, "If-None-Match": "*"}
        answer = self._account.ask("PUT", self._at(name, query), headers, body, parts / SLOW_SEGMENTS)
        return self._expect(answer, 201, 412).status == 201

    def stream(self, name: str, blocks: Iterable[Block]) -> str:
        """A new object of unknown length; its MD5 as the server has it.

        Nothing is taken from the blocks before the container has answered: a token that has run out, a connection
        that has ended and a container that is gone show themselves while all of them can still be sent.
        """
        self.check()
        return self._expect(self._account.send(self._at(name), blocks), 201).headers.get("etag", "").strip('"')

    def remove(self, name: str) -> None:
        """Done again, it changes nothing."""
        self._expect(self._account.ask("DELETE", self._at(name)), 204, 404)

    def remove_large(self, name: str, parts: int) -> None:
        """A manifest and the segments it names, those too that no listing shows yet."""
        headers = {"Accept": "application/json"}
        path = self._at(name, "multipart-manifest=delete")
        self._expect(self._account.ask("DELETE", path, headers, b"", parts / SLOW_SEGMENTS), 200, 204, 404)

    def names(self, prefix: str, delimiter: str = "") -> Iterator[str]:
        """The names that start with `prefix`, in order; with a delimiter, what they have up to it, and each once."""
        marker = ""
        while page := self._page(prefix, delimiter, marker):
            yield from page
            # What follows a folder is what sorts after everything in it.
            last = page[-1]
            marker = last[:-1] + chr(ord(delimiter) + 1) if delimiter and last.endswith(delimiter) else last

    def _page(self, prefix: str, delimiter: str, marker: str) -> Sequence[str]:
        asked = {"format": "json", "limit": PAGE, "prefix": prefix, "delimiter": delimiter, "marker": marker}
        query = urlencode({key: value for key, value in asked.items() if value != ""})
        answer = self._expect(self._account.ask("GET", f"{self._path}?{query}"), 200, 204)
        try:
            listed = json.loads(answer.body) if answer.status == 200 else []
            return [str(entry["name"] if "name" in entry else entry["subdir"]) for entry in listed]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise refusals.broken(self._store, "its listing has another shape") from None

    def _at(self, name: str, query: str = "") -> str:
        return f"{self._path}/{quote(name)}" + ("?" + query if query else "")

    def _found(self, answer: Answer, *good: int) -> Answer | None:
        if answer.status == 404:
            self.check()
            return None
        return self._expect(answer, *good)

    def _expect(self, answer: Answer, *good: int) -> Answer:
        if answer.status not in good:
            raise refusals.refused(self._store, self.name, answer.status)
        return answer
