"""Which addresses are public, whatever they are dressed as."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.methods.address import permitted

CLOSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "169.254.170.2", "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1", "2001:2::1", "2001:10::1", "2002:7f00:1::", "2002:a00:1::", "2002:808:808::",
    "2606:4700::200:5efe:10.0.0.1", "2606:4700::5efe:127.0.0.1", "3ffe::1", "3fff::1", "4000::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::5efe:10.0.0.1", "fec0::1", "ff02::1",
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "172.15.255.255",
    "172.32.0.1", "192.169.0.1", "198.20.0.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "2606:4700::5efe:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("text", CLOSED)
def test_is_closed(text: str) -> None:
    assert not permitted(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_is_public(text: str) -> None:
    assert permitted(ip_address(text))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("fd12::1", "fd12::/16"),
        ("64:ff9b::10.1.2.3", "10.0.0.0/8"),
    ],
)
def test_an_opened_network_is_open(text: str, network: str) -> None:
    assert permitted(ip_address(text), [ip_network(network)])


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0", "169.254.169.254", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "::", "fe80::1",
     "fd00:ec2::254", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"],
)  # fmt: skip
def test_nobody_opens_metadata_link_local_or_multicast(text: str) -> None:
    assert not permitted(ip_address(text), [ip_network("0.0.0.0/0"), ip_network("::/0")])


@pytest.mark.parametrize("text", ["2002:7f00:1::", "2606:4700::5efe:10.0.0.1", "::10.0.0.1"])
def test_opening_the_outer_network_does_not_open_what_is_inside(text: str) -> None:
    assert not permitted(ip_address(text), [ip_network("::/0")])


@settings(deadline=None)
@given(st.ip_addresses())
def test_nothing_public_is_special_to_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    if permitted(address) and address not in ip_network("64:ff9b::/96"):
        face = getattr(address, "ipv4_mapped", None) or address
        special = ("is_private", "is_reserved", "is_multicast", "is_link_local", "is_loopback", "is_unspecified")
        assert [name for name in special if getattr(face, name)] == []


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_dressing_an_address_as_ipv6_never_opens_it(inner: IPv4Address) -> None:
    number = int(inner)
    dressed = [
        (0xFFFF << 32) | number,
        (0x64FF9B << 96) | number,
        (0x2002 << 112) | (number << 80),
        (0x20010000 << 96) | (number ^ 0xFFFF_FFFF),
        (0x26064700 << 96) | (0x5EFE << 32) | number,
        (0x26064700 << 96) | (0x2005EFE << 32) | number,
        number,
    ]
    if not permitted(inner):
        assert not any(permitted(IPv6Address(each)) for each in dressed)
