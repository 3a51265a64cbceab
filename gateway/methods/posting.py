"""Asking the operator's own endpoints: the guarded fetch with a body, to one trusted place, without redirects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from gateway.methods.location import parse
from gateway.methods.outbound import Outbound
from gateway.methods.rules import Deadlines, FetchRules

Post = Callable[[bytes, Mapping[str, str], float], bytes]
"""Sends a body with headers, and gives the whole answer within so many seconds. Raises SourceRefused, OverLimit."""

LONGEST = 64 << 10


def poster(rules: FetchRules, url: str, ca_file: Path | None = None) -> Post:
    """Raises BadRequest for a URL that cannot be read. The endpoint is trusted whatever its address."""
    location = parse(url)
    trusted = replace(
        rules,
        trusted=((location.host, location.port),),
        ca_file=ca_file or rules.ca_file,
        max_redirects=0,
        sources={},
    )

    def post(body: bytes, headers: Mapping[str, str], seconds: float) -> bytes:
        outbound = Outbound(replace(trusted, deadlines=_within(seconds)))
        return outbound.ask(location, body, headers=headers, max_size=LONGEST)

    return post


def _within(seconds: float) -> Deadlines:
    """Finding and reaching it gets a third, so that it can be tried again."""
    return Deadlines(dns=seconds / 6, connect=seconds / 6, head=seconds, idle=seconds, total=seconds, minimum_rate=0)
