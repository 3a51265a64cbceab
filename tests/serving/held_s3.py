"""Of an S3 store, by botocore's client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.stores.servers.bucket import Server, auditor

NAME = "tests"


@dataclass(frozen=True)
class Bucket:
    """What stands below `prefix`; a multipart upload nobody has ended counts as an object without bytes."""

    client: Any
    bucket: str
    prefix: str

    def _objects(self) -> dict[str, Mapping[str, Any]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        return {_last(one["Key"]): one for page in pages for one in page.get("Contents", ())}

    def sizes(self) -> dict[str, int]:
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=f"{self.prefix}/").get("Uploads", ())
        begun = {f"{_last(one['Key'])}.{one['UploadId']}": 0 for one in uploads}
        return {**begun, **{name: int(one["Size"]) for name, one in self._objects().items()}}

    def read(self, name: str) -> bytes:
        with _missing(name):
            found: bytes = self.client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
            return found

    def replace(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._key(name), Body=content)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return str(self._objects()[name]["Key"])


def _last(key: str) -> str:
    return key.rpartition("/")[2]


@contextmanager
def _missing(name: str) -> Iterator[None]:
    """Removed between the listing and the reading."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise KeyError(name) from error
        raise


def held(server: Server, prefix: str) -> Bucket:
    return Bucket(auditor(server).client, server.bucket, prefix)


def credentials(server: Server) -> Mapping[str, Any]:
    return {NAME: {"type": "s3", "access_key": server.access_key, "secret_key": server.secret_key}}


def settings(server: Server, prefix: str) -> Mapping[str, Any]:
    place = {"bucket": server.bucket, "prefix": prefix, "endpoint": server.endpoint, "region": server.region}
    return {"type": "s3", **place, "credentials": NAME}
