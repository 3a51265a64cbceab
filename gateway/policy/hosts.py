"""Host names in one spelling, so that comparing texts compares hosts."""

from __future__ import annotations

import re
from ipaddress import ip_address

import idna

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def host_name(text: str) -> str:
    """A host in lower case, IDNA (RFC 5891, mapped by UTS 46), without a trailing dot. Raises ValueError."""
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        pass
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"'{text}' is not a host name ({error})") from error
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"'{text}' is not a host name")
    return name


def host_pattern(text: str) -> str:
    """A host name, or `*.` and a host name: every host below it. Raises ValueError."""
    if text == "*":
        raise ValueError("'*' would be every host; leave `hosts` out")
    if not text.startswith("*."):
        return host_name(text)
    return "*." + host_name(text.removeprefix("*."))
