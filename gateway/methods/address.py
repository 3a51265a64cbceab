"""Which addresses a fetch may contact.

The tables follow IANA's special-purpose address registries (RFC 6890 and its updates). Rule 1: an address passes only
if every IPv4 address it carries inside passes too. Rule 2: nobody can open what is in `_NEVER`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_NEVER = _networks(
    "0.0.0.0/8",  # this host (RFC 1122 3.2.1.3); a connect to it reaches loopback
    "169.254.0.0/16",  # link-local, where clouds keep instance metadata
    "224.0.0.0/4",
    "240.0.0.0/4",
    "100.100.100.200/32",  # metadata of further clouds, outside the link-local range
    "168.63.129.16/32",
    "192.0.0.192/32",
    "::/128",
    "fe80::/10",
    "ff00::/8",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
)

_NOT_PUBLIC = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3ffe::/16",
    "3fff::/20",
)

_PUBLIC_V6 = _networks("2000::/3", "64:ff9b::/96")

_NAT64 = _networks("64:ff9b::/96", "64:ff9b:1::/48")
_COMPATIBLE = ip_network("::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def plain(address: Address) -> Address:
    """The address itself, an IPv4-mapped one (`::ffff:a.b.c.d`) as the IPv4 address it stands for."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def parsed(text: str) -> Address | None:
    """The address a resolver or a socket names; None for anything else, and for an address with a zone (`%eth0`)."""
    try:
        return plain(ip_address(text)) if "%" not in text else None
    except ValueError:
        return None


def embedded(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses inside an IPv6 one: compatible, NAT64 (RFC 6052, 8215), 6to4, Teredo, ISATAP (RFC 5214)."""
    if isinstance(address, IPv4Address):
        return
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if _inside(address, (_COMPATIBLE, *_NAT64)) or (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        yield last
    if address.sixtofour is not None:
        yield address.sixtofour
    yield from address.teredo or ()


def permitted(address: Address, opened: Sequence[Network] = ()) -> bool:
    """Whether a fetch may contact `address`: public or in a range the operator opened, and so all it carries."""
    face = plain(address)
    return all(_passes(each, opened) for each in (face, *embedded(face)))


def _passes(address: Address, opened: Sequence[Network]) -> bool:
    return not _inside(address, _NEVER) and (_public(address) or _inside(address, opened))


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and not _inside(address, _PUBLIC_V6):
        return False
    return not _inside(address, _NOT_PUBLIC)


def _inside(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
