"""What the generator has to be told: the media types of image patches are JSON, those of upload parts are bytes."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/openstack-images-v2.0-json-patch", "application/openstack-images-v2.1-json-patch")
def as_json(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode()


schemathesis.serializer.alias(
    ["application/partial-upload", "application/offset+octet-stream"], "application/octet-stream"
)
