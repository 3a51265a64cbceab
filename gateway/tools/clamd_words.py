"""What clamd says, and what that means."""

from __future__ import annotations

import re
from datetime import datetime

from gateway.model.errors import ContentRefused, Unavailable
from gateway.stages.stage import Engine
from gateway.tools.line import failing

WHAT = "malware scanner"
_VERSION = re.compile(r"(?P<name>ClamAV [!-.0-~]{1,60})(?:/(?P<database>[0-9]{1,9})/(?P<built>[ -~]{1,60}))?")
_WORD = re.compile(r"stream: (?:OK|(?P<found>[ -~]{1,200}) FOUND)")
_LIMITS = "Heuristics.Limits.Exceeded"
_TOO_LONG = "INSTREAM size limit exceeded. ERROR"
_TOO_SLOW = "COMMAND READ TIMED OUT"


def engine(said: str, *, now: float) -> Engine:
    """The answer to `VERSION`: `ClamAV 1.4.6/27472/Sun Nov 22 09:12:44 2026`, without the rest where there is no daily
    database. The time is clamd's local time, taken for ours. Raises Unavailable for anything else.
    """
    found = _VERSION.fullmatch(said)
    if found is None:
        raise failing(WHAT, "what it says of itself is not understood")
    if found["built"] is None:
        return Engine(name=found["name"])
    try:
        built = datetime.strptime(found["built"], "%a %b %d %H:%M:%S %Y").timestamp()
    except ValueError:
        raise failing(WHAT, "its database has no date that is understood") from None
    return Engine(name=found["name"], database=found["database"], database_age=max(0.0, now - built))


def early(said: str) -> str:
    """What was found, said before the end of the stream. Raises for everything else: it has not seen all of it."""
    found = verdict(said)
    if found is None:
        raise failing(WHAT, "it judged an image before it had all of it")
    return found


def verdict(said: str) -> str | None:
    """What was found, None where nothing was. Raises ContentRefused `scan-incomplete`, Unavailable."""
    if said == _TOO_LONG:
        raise incomplete("StreamMaxLength")
    if said == _TOO_SLOW:
        raise too_slow()
    word = _WORD.fullmatch(said)
    if word is None:
        raise failing(WHAT, f"it says '{''.join(c for c in said if c.isprintable())[:100]}'")
    if beyond_limits(said):
        raise incomplete(word["found"].removeprefix(_LIMITS).removeprefix(".") or "limits")
    found: str | None = word["found"]
    return found


def beyond_limits(said: str) -> bool:
    """Whether it says that it did not look at all of it."""
    return said.startswith(f"stream: {_LIMITS}") and said.endswith(" FOUND")


def incomplete(limit: str) -> ContentRefused:
    return ContentRefused(
        f"The malware scanner did not look at all of the image: it is beyond the scanner's {limit}.",
        remedy="Ask the operator to raise StreamMaxLength, MaxFileSize, MaxScanSize and MaxScanTime in clamd.conf"
        " together. Clamd scans no file of 2 GiB or more: make the image smaller, qcow2 with compression for one.",
        code="scan-incomplete",
    )


def too_slow() -> Unavailable:
    return Unavailable(
        "The image came in too slowly for the malware scanner.",
        remedy="Send it over a faster line, or ask the operator to raise ReadTimeout in clamd.conf.",
        code="stage-unavailable",
    )


def lax() -> Unavailable:
    return Unavailable(
        "The malware scanner lets pass what it did not look at.",
        remedy="The operator has to write 'AlertExceedsMax yes' into clamd.conf and start clamd again.",
        code="stage-unavailable",
    )
