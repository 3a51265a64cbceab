"""Sending a file so that it goes on after a broken connection or a restart of the service, by tus 1.0.0."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import new
from typing import BinaryIO

from gateway.cli.client import ImagesClient
from gateway.cli.remembered import Memory
from gateway.cli.sources import HashedBlocks, LocalFile
from gateway.cli.speech import remark
from gateway.model.errors import BrokenUpload, Refusal, Unavailable
from gateway.policy.wording import said_size
from gateway.ports import BLOCK_SIZE

PROTOCOL = "tus-1.0.0"

_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_PATIENCE = 120.0
"""Seconds without one more byte at the service, after which it is given up for now."""

_PASSING = frozenset(
    {"upload-busy", "upload-taken-over", "mismatching-upload-offset", "client-gone", "upload-stalled", "broken-upload"}
)
"""Refusals that say no more than that a connection broke."""


class ResumedBlocks(HashedBlocks):
    """A file's bytes from `start` on. However often and from wherever they are sent, they are hashed once."""

    def __init__(self, source: LocalFile, algorithm: str, sent: Callable[[int], None]) -> None:
        super().__init__(source, algorithm, sent)
        self.start = 0
        self._hash = new(algorithm)
        self._hashed = 0

    def __iter__(self) -> Iterator[bytes]:
        at = self.start
        with self.source.path.open("rb", buffering=0) as file:
            self._hash_to(file, at)
            file.seek(at)
            while at < self.source.size and (block := file.read(min(BLOCK_SIZE, self.source.size - at))):
                self._hash_block(at, block)
                yield block
                at += len(block)
                self._sent(at)
        if at < self.source.size:
            raise BrokenUpload(f"{self.source.path} became shorter while it was sent.", remedy="Send it again.")
        self.digest = self._hash.hexdigest()

    def _hash_to(self, file: BinaryIO, end: int) -> None:
        """What an earlier command has sent."""
        while self._hashed < end and (block := file.read(min(BLOCK_SIZE, end - self._hashed))):
            self._hash_block(self._hashed, block)

    def _hash_block(self, at: int, block: bytes) -> None:
        if at + len(block) > self._hashed:
            self._hash.update(block[self._hashed - at :])
            self._hashed = at + len(block)


class Sender:
    """Sends `blocks` to an upload, remembered in `memory` from its beginning until all of it is staged."""

    def __init__(self, client: ImagesClient, memory: Memory, blocks: ResumedBlocks) -> None:
        self._client = client
        self._memory = memory
        self._blocks = blocks
        self._reached = 0
        self._since = time.monotonic()
        self._pauses = 0

    def send(self, image_id: str) -> None:
        """Raises the Refusal the image was refused with; Unavailable where the service stays away too long."""
        upload = self._upload(image_id)
        while True:
            try:
                self._blocks.start = self._offset(upload)
                self._client.append(upload, self._blocks, self._blocks.start, self._blocks.source.size)
                return
            except Refusal as refusal:
                if not isinstance(refusal, Unavailable) and refusal.code not in _PASSING:
                    raise
                self._pause(refusal)

    def _upload(self, image_id: str) -> str:
        found = self._memory.found
        if found is not None and found.image == image_id:
            return found.upload
        upload = self._client.begin_upload(image_id, self._blocks.source.size)
        self._memory.keep(image_id, upload)
        return upload

    def _offset(self, upload: str) -> int:
        offset = self._client.upload_offset(upload)
        if offset > self._reached:
            self._reached, self._since, self._pauses = offset, time.monotonic(), 0
        return offset

    def _pause(self, refusal: Refusal) -> None:
        if time.monotonic() - self._since > _PATIENCE:
            raise Unavailable(refusal.message, remedy="The same command goes on with it.", code=refusal.code)
        pause = _PAUSES[min(self._pauses, len(_PAUSES) - 1)]
        self._pauses += 1
        remark(f"Broken off: {refusal.message.rstrip('.')}. Going on in {pause:g} s.", style="yellow")
        time.sleep(pause)


def gone_on_with(client: ImagesClient, memory: Memory) -> str | None:
    """The image whose upload an earlier command has begun, if it can be gone on with. What cannot is deleted."""
    begun = memory.found
    if begun is None:
        return None
    try:
        if memory.fits(begun):
            there = client.upload_offset(begun.upload)
            remark(f"Going on with image {begun.image}: {said_size(there)} of it are there already.")
            return begun.image
        remark(f"An earlier upload of {memory.source.path} was of other content, or as another image: beginning anew.")
        client.delete(begun.image)
    except Unavailable:
        raise
    except Refusal:
        pass  # expired, refused or deleted
    memory.found = None
    memory.forget()
    return None
