"""Multipart uploads that nobody will complete: what a crash leaves on a server, and what it keeps and bills for ever.

The library does not know how to ask for them, so these few requests are ours (Amazon S3 API: ListMultipartUploads,
AbortMultipartUpload).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from xml.etree import ElementTree

from gateway.stores.faults import said as disk_said
from gateway.stores.objects.faults import answers, broken
from gateway.stores.objects.signing import Signer
from gateway.stores.place import Place
from gateway.stores.swift.account import LOST
from gateway.stores.swift.exchange import Answer, Exchange

TRIES = 6
PAGE = "1000"
NOT_SPOKEN = frozenset({405, 501})
"""Servers that do not know the request have other ways, or none."""


class Unfinished(Protocol):
    """All calls raise Unavailable."""

    def keys(self) -> Iterator[str]:
        """The keys that unfinished uploads were meant for, one for each upload."""
        ...

    def abort(self, key: str) -> None:
        """All of this key."""
        ...

    def close(self) -> None: ...


class NoneKept:
    """Of servers that forget them by themselves, or whose operators have told them to."""

    def keys(self) -> Iterator[str]:
        return iter(())

    def abort(self, key: str) -> None:
        """There is nothing to be found."""

    def close(self) -> None:
        """Nor anything open."""


@dataclass(frozen=True, slots=True)
class S3Uploads:
    """`bucket_url` is the bucket's own; `signer` signs for it."""

    place: Place
    bucket_url: str
    signer: Signer
    exchange: Exchange

    def keys(self) -> Iterator[str]:
        start = self._name("")
        for key, _ in self._listed(start):
            yield key.removeprefix(start)

    def abort(self, key: str) -> None:
        name = self._name(key)
        for found, upload in list(self._listed(name)):
            if found == name:
                self._ask("DELETE", {"uploadId": upload}, name)

    def close(self) -> None:
        self.exchange.close()

    def _name(self, key: str) -> str:
        prefix = self.place.prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key

    def _listed(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys and ids of uploads. An answer says by itself where the next one begins."""
        more: Mapping[str, str] | None = {}
        while more is not None:
            answer = self._ask("GET", {"uploads": "", "prefix": prefix, "max-uploads": PAGE, **more})
            page, more = _read(self.place, answer.body) if answer.status < 300 else ([], None)
            yield from page

    def _ask(self, verb: str, query: Mapping[str, str], name: str = "") -> Answer:
        for left in reversed(range(TRIES)):
            try:
                answer = self._once(verb, query, name)
            except LOST as error:
                if not left:
                    raise broken(self.place, "the connection broke") from error
                continue
            if answer.status < 500 or not left:
                break
        if answer.status < 300 or answer.status in NOT_SPOKEN or (verb == "DELETE" and answer.status == 404):
            return answer
        raise answers(self.place, answer.status, answer.body.decode(errors="replace"))

    def _once(self, verb: str, query: Mapping[str, str], name: str) -> Answer:
        with disk_said(self.place.name):
            url, headers = self.signer.signed(verb, self.bucket_url, name, query, datetime.now(UTC))
        return self.exchange.ask(verb, url, headers)


def _read(place: Place, body: bytes) -> tuple[list[tuple[str, str]], Mapping[str, str] | None]:
    """One page, and the query of the next one."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise broken(place, "its list of uploads cannot be read") from error
    found = [(_text(one, "Key"), _text(one, "UploadId")) for one in root.iterfind("{*}Upload")]
    if _text(root, "IsTruncated") != "true":
        return found, None
    return found, {
        "key-marker": _text(root, "NextKeyMarker"),
        "upload-id-marker": _text(root, "NextUploadIdMarker"),
    }


def _text(node: ElementTree.Element, name: str) -> str:
    return node.findtext(f"{{*}}{name}") or ""
