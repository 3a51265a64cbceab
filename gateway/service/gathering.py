"""Gathering what an import is to be proven by: the publisher's checksum file, and the signature beside it.

They are fetched like the image itself: by the same method, within the same rules, and only from where the policy lets
this project import from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote

from gateway.model.errors import OverLimit, SourceRefused
from gateway.ports import Source
from gateway.service.attempt import Attempt
from gateway.service.proofs import only_by_url, urls
from gateway.stages.evidence import SIGNATURE_URL, SUMS_URL, Evidence, Sums
from gateway.stages.sums import MAX_SIZE


async def gathered(attempt: Attempt) -> Evidence:
    """Fetched once a try. Raises BadRequest, SourceRefused, and what the policy says of the places."""
    if attempt.evidence is None:
        attempt.evidence = await asyncio.to_thread(_gather, attempt)
    return attempt.evidence


def _gather(attempt: Attempt) -> Evidence:
    properties = attempt.image.properties
    found = {name: _read(attempt, name, url) for name, url in urls(properties)}
    if SUMS_URL not in found:
        return Evidence(properties=properties)
    sums = Sums(text=found[SUMS_URL], signature=found.get(SIGNATURE_URL), name=_file_name(attempt.secret))
    return Evidence(properties=properties, sums=sums)


def _read(attempt: Attempt, name: str, url: str) -> bytes:
    if "uri" not in attempt.secret:
        raise only_by_url(name)
    method = attempt.site.methods[attempt.work.method]
    try:
        source = method.open({"uri": url}, max_size=MAX_SIZE, check=attempt.check_hop)
        return b"" if source is None else _whole(source)
    except OverLimit as refusal:
        raise SourceRefused(
            f"What '{name}' leads to is no checksum file or signature: it has more than {MAX_SIZE} bytes.",
            remedy="Name the publisher's file itself, or set import_expected_sha256 to the digest in it.",
            code="sums-too-large",
        ) from refusal


def _whole(source: Source) -> bytes:
    try:
        return b"".join(bytes(block) for block in source.blocks())
    finally:
        source.close()


def _file_name(secret: Mapping[str, str]) -> str:
    """The last part of the image's URL, which is its name in the checksum file, wherever that redirects to."""
    return unquote(secret["uri"].partition("?")[0].rpartition("/")[2])
