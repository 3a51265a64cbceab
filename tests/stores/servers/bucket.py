"""A server that speaks S3, as its clients know it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config


@dataclass(frozen=True, slots=True)
class Server:
    """What a client needs. The bucket is there already, and empty."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    bucket: str


@dataclass(frozen=True, slots=True)
class Auditor:
    """Looks at a bucket through a client that shares no code with the store."""

    client: Any
    bucket: str

    def objects(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", ()))

    def uploads(self) -> list[str]:
        """The keys of multipart uploads that nobody has completed or aborted."""
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())]

    def left(self) -> list[str]:
        return self.objects() + self.uploads()

    def begin(self, key: str, content: bytes = b"x") -> None:
        """What a crash leaves: an upload with a part, that nobody will complete."""
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        self.client.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=1, Body=content)

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def clear(self) -> None:
        for key in self.objects():
            self.client.delete_object(Bucket=self.bucket, Key=key)
        for found in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=found["Key"], UploadId=found["UploadId"])


def auditor(of: Server) -> Auditor:
    return Auditor(_client(of.endpoint, of.region, of.access_key, of.secret_key), of.bucket)


@cache
def _client(endpoint: str, region: str, access_key: str, secret_key: str) -> Any:
    """Once a server: making one takes longer than most of the tests."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


@contextmanager
def fresh(of: Server) -> Iterator[Server]:
    """The same server with a new bucket."""
    made = replace(of, bucket=f"images-{uuid4()}")
    witness = auditor(made)
    witness.client.create_bucket(Bucket=made.bucket)
    yield made
    witness.clear()
    witness.client.delete_bucket(Bucket=made.bucket)
