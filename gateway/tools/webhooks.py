"""Operators' endpoints: requests signed as Standard Webhooks has it, and answers read with care.

The signature is `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`, with the key in the endpoint's secret
file: its text, or what stands in base64 after `whsec_` (standardwebhooks.com, "Signature scheme").
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.model.errors import Conflict, Interrupted, Refusal, Unavailable
from gateway.model.verdict import Finding
from gateway.ports.webhooks import Answer

log = logging.getLogger(__name__)

TRIES = 3
PAUSE_SECONDS = 0.3
LEAST_KEY, PREFIX = 16, "whsec_"
MOST_FINDINGS, LONGEST_TEXT = 50, 500

Post = Callable[[bytes, Mapping[str, str], float], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`timeout` in seconds is for all tries of one question together."""

    post: Post
    key: bytes = field(repr=False)
    timeout: float


class SiteWebhooks:
    """The `gateway.ports.webhooks.Webhooks` over one poster for each endpoint."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    def ask(self, name: str, *, message_id: str, now: datetime, message: Any) -> Answer:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise _failing(name, "is not set up here")
        body = json.dumps(message, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **signed(endpoint.key, message_id, now, body)}
        try:
            return answer(_posted(endpoint, body, headers))
        except Interrupted:
            raise
        except Refusal as refusal:
            log.warning("webhook %s: %s", name, refusal.message)
            raise _failing(name, "gave no answer") from None
        except ValueError as error:
            log.warning("webhook %s: %s", name, error)
            raise _failing(name, "gave an answer that cannot be read") from None


def _posted(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The first answer, of so many tries. Raises what the last one raised."""
    until = time.monotonic() + endpoint.timeout
    for tries_left in reversed(range(TRIES)):
        try:
            return endpoint.post(body, headers, until - time.monotonic())
        except Interrupted:
            raise
        except Refusal:
            if not tries_left or time.monotonic() + PAUSE_SECONDS >= until:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


def signed(key: bytes, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a request."""
    stamp = str(int(now.timestamp()))
    mac = hmac.new(key, b".".join((message_id.encode(), stamp.encode(), body)), hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{b64encode(mac.digest()).decode()}",
    }


def answer(raw: bytes) -> Answer:
    """`{"verdict", "message", "findings"}`, the first one needed. Raises ValueError for anything else."""
    try:
        said = json.loads(raw)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    word = said.get("verdict") if isinstance(said, dict) else None
    if word not in ("allow", "deny", "report"):
        raise ValueError("the answer has no verdict of allow, deny or report")
    findings = said.get("findings", [])
    if not isinstance(findings, list) or not all(isinstance(one, dict) for one in findings):
        raise ValueError("'findings' is no list of objects")
    return Answer(
        word=word, message=clean(said.get("message", "")), findings=tuple(map(_finding, findings[:MOST_FINDINGS]))
    )


def _finding(one: Mapping[str, Any]) -> Finding:
    return Finding(code=clean(one.get("code", "")) or "webhook", message=clean(one.get("message", "")), fatal=False)


def clean(text: Any) -> str:
    """One line of printable text, of bounded length. Raises ValueError for what is no text."""
    if not isinstance(text, str):
        raise ValueError("a text is expected")
    line = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_TEXT])
    return " ".join(line.split())


def read_key(name: str, path: Path) -> bytes:
    """The key in a secret file. Raises Conflict where there is none that is worth the name."""
    try:
        text = path.read_text().strip()
        key = b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else text.encode()
    except (OSError, Error, UnicodeDecodeError) as error:
        raise _bad_key(name, path, f"cannot be read: {error}") from None
    if len(key) < LEAST_KEY:
        raise _bad_key(name, path, f"has {len(key)} bytes")
    return key


def _bad_key(name: str, path: Path, what: str) -> Conflict:
    return Conflict(
        f"The secret of webhook {name}, {path}, {what}.",
        remedy=f"Put at least {LEAST_KEY} random bytes there: openssl rand -hex 32 > {path}",
        code="bad-webhook",
    )


def _failing(name: str, what: str) -> Unavailable:
    return Unavailable(
        f"The operator's webhook '{name}', which has to agree to this image, {what}.",
        remedy="Try again later; if it lasts, tell the operators of your cloud.",
        code="stage-unavailable",
    )
