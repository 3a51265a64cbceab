"""The functions that expressions may call, beside CEL's own: one implementation for every engine.

Names and meanings follow the Kubernetes CEL library (quantity, cidr, isIP) and CEL's string extension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

STRING, INT, BOOL, STRINGS, STRING_MAP = "string", "int", "bool", "list(string)", "map(string, string)"
CIDR = "cidr"
LIST = "list"
"""Stands for a list of anything in a signature."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`target` is the type before the dot (None: a plain function); all types in CEL's words."""

    target: str | None
    arguments: tuple[str, ...]
    result: str


SIGNATURES: Mapping[str, tuple[Signature, ...]] = {
    "size": (
        Signature(STRING, (), INT),
        Signature(LIST, (), INT),
        Signature(STRING_MAP, (), INT),
        Signature(None, (STRING,), INT),
        Signature(None, (LIST,), INT),
        Signature(None, (STRING_MAP,), INT),
    ),
    "contains": (Signature(STRING, (STRING,), BOOL),),
    "startsWith": (Signature(STRING, (STRING,), BOOL),),
    "endsWith": (Signature(STRING, (STRING,), BOOL),),
    "matches": (Signature(STRING, (STRING,), BOOL),),
    "lowerAscii": (Signature(STRING, (), STRING),),
    "split": (Signature(STRING, (STRING,), STRINGS),),
    "isIP": (Signature(None, (STRING,), BOOL),),
    "containsIP": (Signature(CIDR, (STRING,), BOOL),),
    "cidr": (Signature(None, (STRING,), CIDR),),
    "quantity": (Signature(None, (STRING,), INT),),
}
MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})


def lower_ascii(text: str) -> str:
    """Lower case for A to Z alone."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def is_ip(text: str) -> bool:
    return _address(text) is not None


def contains_ip(network: str, text: str) -> bool:
    """Whether `text` is an address inside `network`; a host name is in no network."""
    address = _address(text)
    return address is not None and address in parse_cidr(network)


def parse_cidr(text: str) -> IPv4Network | IPv6Network:
    """Raises ValueError, also for host bits that are set."""
    return ip_network(text)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # ::ffff:10.0.0.1 reaches 10.0.0.1: a rule about the one must hold for the other.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


IMPLEMENTATIONS: Mapping[str, Callable[..., object]] = {
    "lowerAscii": lower_ascii,
    "split": split,
    "isIP": is_ip,
    "containsIP": contains_ip,
}
"""What an engine has to be given. `quantity` and `cidr` take literals and are gone before an engine sees them."""
