"""The headers of resumable uploads: tus 1.0.0 (https://tus.io/protocols/resumable-upload) and the IETF's draft
(draft-ietf-httpbis-resumable-upload, interop version 8), which share names and differ in little.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from datetime import datetime
from email.utils import format_datetime

from starlette.requests import Request

from gateway.api.bodies import media_type
from gateway.api.contract import OCTETS
from gateway.model.errors import BadRequest, UnknownVersion, WrongMediaType
from gateway.model.upload import Upload

TUS = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,termination"
PARTIAL = "application/partial-upload"
OFFSET_OCTETS = "application/offset+octet-stream"
INTEROP = "8"
LONGEST_METADATA = 4096

_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")
_FLAGS = {"?0": False, "?1": True}


def is_tus(request: Request) -> bool:
    """Whether the request speaks tus. Raises UnknownVersion for another version than 1.0.0."""
    version = request.headers.get("tus-resumable")
    if version not in (None, TUS):
        raise UnknownVersion("This version of tus is not spoken here.", remedy=f"Send Tus-Resumable: {TUS}.")
    return version is not None


def number(request: Request, name: str) -> int | None:
    """Raises BadRequest for what is no number of bytes."""
    said = request.headers.get(name)
    if said is None:
        return None
    if not _NUMBER.fullmatch(said):
        raise BadRequest(f"{name} is not a number of bytes.", remedy="Send decimal digits.", code="bad-upload-header")
    return int(said)


def completes(request: Request) -> bool | None:
    """Upload-Complete: None where it is not sent. Raises BadRequest for what is no boolean (RFC 9651, 3.3.6)."""
    said = request.headers.get("upload-complete")
    if said is not None and said not in _FLAGS:
        raise BadRequest("Upload-Complete is neither ?0 nor ?1.", remedy="Send one of them.", code="bad-upload-header")
    return None if said is None else _FLAGS[said]


def body_size(request: Request) -> int | None:
    """What the body has in bytes, None where it comes in chunks."""
    if "transfer-encoding" in request.headers:
        return None
    return int(request.headers.get("content-length", "0"))


def expect_part(request: Request, *, begins: bool = False) -> None:
    """A body says what it is: a part of an upload or, with the request that begins one, its first bytes."""
    if body_size(request) == 0:
        return
    wanted = OFFSET_OCTETS if is_tus(request) else (OCTETS if begins else PARTIAL)
    if media_type(request.headers.get("content-type")) != wanted:
        raise WrongMediaType(f"The Content-Type must be {wanted}.", remedy=f"Send Content-Type: {wanted}.")


def metadata(request: Request) -> str:
    """Upload-Metadata as it came: checked, told again, and else of no effect. Raises BadRequest.

    An image's name and properties are its record's.
    """
    said = request.headers.get("upload-metadata", "")
    if len(said) > LONGEST_METADATA or not all(_is_pair(pair) for pair in said.split(",") if said):
        raise BadRequest(
            f"Upload-Metadata is not a list of keys and Base64 values, in at most {LONGEST_METADATA} bytes.",
            remedy="Leave it out, or send: key value, key value.",
            code="bad-upload-header",
        )
    return said


def _is_pair(pair: str) -> bool:
    key, _, value = pair.strip().partition(" ")
    try:
        b64decode(value, validate=True)
    except binascii.Error:
        return False
    return bool(_KEY.fullmatch(key))


def limits(most: int | None, upload: Upload | None = None, now: datetime | None = None) -> dict[str, str]:
    """Upload-Limit: how large an upload may be, and how many seconds this one has."""
    found = {"max-size": most}
    if upload is not None and now is not None:
        found["max-age"] = max(0, int((upload.expires_at - now).total_seconds()))
    said = ", ".join(f"{name}={value}" for name, value in found.items() if value is not None)
    return {"Upload-Limit": said} if said else {}


def state_headers(upload: Upload, now: datetime) -> dict[str, str]:
    """What every answer about an upload says, in both protocols' words."""
    found = {
        "Tus-Resumable": TUS,
        "Upload-Offset": str(upload.offset),
        "Upload-Complete": "?1" if upload.is_whole else "?0",
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
        **limits(None, upload, now),
    }
    if upload.length is None:
        return {**found, "Upload-Defer-Length": "1"}
    return {**found, "Upload-Length": str(upload.length)}
