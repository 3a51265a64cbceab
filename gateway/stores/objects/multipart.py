"""An object in parts by requests of our own: a part is read from its file while it travels, and takes no memory.

Amazon S3 API: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from threading import BoundedSemaphore
from xml.etree import ElementTree

from gateway.model.errors import Refusal
from gateway.stores.faults import said as disk_said
from gateway.stores.objects.faults import broken
from gateway.stores.objects.parts import MOST_AT_ONCE, PLACE_WAITS, Part
from gateway.stores.objects.requests import Bucket, text
from gateway.stores.objects.unfinished import Unfinished

MOST_TRAVELLING = 16
"""To one store, of all uploads together."""


class SignedUploads:
    """`gateway.stores.objects.writing.Uploads`."""

    def __init__(self, bucket: Bucket, unfinished: Unfinished, remove: Callable[[str], None]) -> None:
        """`remove` takes the object of a key away."""
        self._bucket = bucket
        self._unfinished = unfinished
        self._remove = remove
        self._places = BoundedSemaphore(MOST_TRAVELLING)
        self._threads = ThreadPoolExecutor(max_workers=MOST_TRAVELLING, thread_name_prefix="parts")

    def send(self, key: str, parts: Iterator[Part], last_look: Callable[[], None]) -> None:
        upload = self._begun(key)
        try:
            self._travel(upload, parts)
            last_look()
            upload.complete()
        except BaseException:  # goes on to the caller; the server would keep the parts, and bill for them
            with suppress(Refusal):
                upload.abort()
            if upload.may_be_complete:
                with suppress(Refusal):
                    self._remove(key)
            raise
        finally:
            if upload.may_be_twice:
                with suppress(Refusal):
                    self._unfinished.abort(key)

    def close(self) -> None:
        self._threads.shutdown(wait=False)
        self._bucket.close()

    def _begun(self, key: str) -> Upload:
        try:
            return Upload(self._bucket, self._bucket.name(key))
        except Refusal:
            with suppress(Refusal):  # answers may have been lost, and not what they answered to
                self._unfinished.abort(key)
            raise

    def _travel(self, upload: Upload, parts: Iterator[Part]) -> None:
        going: deque[Future[None]] = deque()
        try:
            for number, part in enumerate(parts, 1):
                going.append(self._sent(upload, number, part))
                while len(going) > MOST_AT_ONCE:
                    going.popleft().result()
            while going:
                going.popleft().result()
        finally:
            upload.is_over = True
            wait(going)

    def _sent(self, upload: Upload, number: int, part: Part) -> Future[None]:
        """On its way, once there is a place among those of all uploads. Raises Unavailable."""
        place = self._bucket.place
        if not self._places.acquire(timeout=PLACE_WAITS * place.patience):
            part.close()
            raise broken(place, "it does not take what it is sent")
        try:
            going = self._threads.submit(upload.send, number, part)
        except RuntimeError as error:  # they have been shut down
            self._places.release()
            part.close()
            raise broken(place, "the gateway is stopping") from error
        going.add_done_callback(lambda _: self._places.release())
        return going


class Upload:
    """One that has begun, by its first request. All calls raise Unavailable."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._tags: dict[int, str] = {}
        self.is_over = False
        """Whether no part is worth sending any more."""
        self.may_be_complete = False
        """Whether the server was told to complete it and has not said no."""
        self.may_be_twice = False
        """Whether a try whose answer was lost may have begun another one."""
        self._query = {"uploadId": self._begin()}

    def send(self, number: int, part: Part) -> None:
        """The part is closed in any case."""
        query = {**self._query, "partNumber": str(number)}
        with disk_said(self._bucket.place.name), closing(part):
            self.check_going()
            answer = self._bucket.ask("PUT", query, self._name, Going(self, part), self.check_going)
        if answer.status >= 300:
            raise self._bucket.refusal(answer)
        if not (tag := answer.headers.get("etag")):
            raise broken(self._bucket.place, "it does not say what it has taken")
        self._tags[number] = tag

    def complete(self) -> None:
        """Of what has been sent. Whether the object is there then, callers look."""
        tries = 1

        def again() -> None:
            nonlocal tries
            tries += 1

        self.may_be_complete = True
        answer = self._bucket.ask("POST", self._query, self._name, self._listed(), again)
        if answer.status == 404 and tries > 1:
            return  # most likely done by a try whose answer was lost
        said = self._bucket.document(answer).tag.rpartition("}")[2] if answer.status < 300 else "Error"
        if said != "CompleteMultipartUploadResult":
            self.may_be_complete = said != "Error"
            raise self._bucket.refusal(answer)

    def abort(self) -> None:
        self._bucket.ask("DELETE", self._query, self._name)

    def _begin(self) -> str:
        answer = self._bucket.ask("POST", {"uploads": ""}, self._name, again=self._doubt)
        if answer.status >= 300:
            raise self._bucket.refusal(answer)
        if not (upload := text(self._bucket.document(answer), "UploadId")):
            raise broken(self._bucket.place, "it does not say which upload it has begun")
        return upload

    def _doubt(self) -> None:
        self.may_be_twice = True

    def check_going(self) -> None:
        if self.is_over:
            raise broken(self._bucket.place, "the upload has ended")

    def _listed(self) -> bytes:
        root = ElementTree.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for number in sorted(self._tags):
            part = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = self._tags[number]
        return ElementTree.tostring(root)


class Going:
    """A part on its way (`gateway.stores.exchange.Body`), which goes no further once its upload is over."""

    def __init__(self, upload: Upload, part: Part) -> None:
        self._upload = upload
        self._part = part

    def __len__(self) -> int:
        return len(self._part)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._part:
            self._upload.check_going()
            yield piece
