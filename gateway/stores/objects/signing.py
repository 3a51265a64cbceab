"""AWS Signature Version 4."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

EMPTY = sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
"""Of a body that the signature leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """`secret` reads the secret key, and may raise OSError."""

    access_key: str
    secret: Callable[[], str] = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str

    def signed(
        self, verb: str, base_url: str, name: str, query: Mapping[str, str], now: datetime, digest: str = EMPTY
    ) -> tuple[str, dict[str, str]]:
        """The URL of the object `name` below `base_url`, and the headers that go with it. Raises OSError.

        `digest` is the body's SHA-256 in hex, or UNSIGNED.
        """
        at = urlsplit(base_url)
        path = f"{at.path}/{quote(name, safe='/~')}".rstrip("/") or "/"
        words = "&".join(f"{quote(key, safe='~')}={quote(query[key], safe='~')}" for key in sorted(query))
        headers = {"host": at.netloc, "x-amz-content-sha256": digest, "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")}
        if self.session_token:
            headers["x-amz-security-token"] = self.session_token
        url = f"{at.scheme}://{at.netloc}{path}?{words}"
        return url, {**{k: v for k, v in headers.items() if k != "host"}, **self._word(verb, path, words, headers, now)}

    def _word(self, verb: str, path: str, words: str, headers: Mapping[str, str], now: datetime) -> dict[str, str]:
        names = ";".join(sorted(headers))
        told = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join((verb, path, words, told, names, headers["x-amz-content-sha256"]))
        scope = f"{now:%Y%m%d}/{self.region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha256(request.encode()).hexdigest()))
        key = f"AWS4{self.secret()}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        word = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {"authorization": word}
