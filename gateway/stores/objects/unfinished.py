"""Multipart uploads that nobody will complete: what a crash leaves on a server, and what it keeps and bills for ever.

Amazon S3 API: ListMultipartUploads, AbortMultipartUpload.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree

from gateway.stores.exchange import Answer
from gateway.stores.objects.requests import Bucket, text

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


class NoneKept:
    """Of servers that forget them by themselves, or whose operators have told them to."""

    def keys(self) -> Iterator[str]:
        return iter(())

    def abort(self, key: str) -> None:
        """There is nothing to be found."""


@dataclass(frozen=True, slots=True)
class S3Unfinished:
    bucket: Bucket

    def keys(self) -> Iterator[str]:
        start = self.bucket.name("")
        for key, _ in self._listed(start):
            yield key.removeprefix(start)

    def abort(self, key: str) -> None:
        name = self.bucket.name(key)
        for found, upload in list(self._listed(name)):
            if found == name:
                self._ask("DELETE", {"uploadId": upload}, name)

    def _listed(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys and ids of uploads. An answer says by itself where the next one begins."""
        more: Mapping[str, str] | None = {}
        while more is not None:
            answer = self._ask("GET", {"uploads": "", "prefix": prefix, "max-uploads": PAGE, **more})
            page, more = _read(self.bucket.document(answer)) if answer.status < 300 else ([], None)
            yield from page

    def _ask(self, verb: str, query: Mapping[str, str], name: str = "") -> Answer:
        answer = self.bucket.ask(verb, query, name)
        if answer.status < 300 or answer.status in NOT_SPOKEN or (verb == "DELETE" and answer.status == 404):
            return answer
        raise self.bucket.refusal(answer)


def _read(root: ElementTree.Element) -> tuple[list[tuple[str, str]], Mapping[str, str] | None]:
    """One page, and the query of the next one."""
    found = [(text(one, "Key"), text(one, "UploadId")) for one in root.iterfind("{*}Upload")]
    if text(root, "IsTruncated") != "true":
        return found, None
    return found, {
        "key-marker": text(root, "NextKeyMarker"),
        "upload-id-marker": text(root, "NextUploadIdMarker"),
    }
