"""Fixed-width numbers at fixed places. A read past the end raises struct.error, which the inspect stage refuses."""

from __future__ import annotations

import struct


def be16(head: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", head, at)[0])


def be32(head: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", head, at)[0])


def be64(head: bytes, at: int) -> int:
    return int(struct.unpack_from(">Q", head, at)[0])


def le16(head: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", head, at)[0])


def le32(head: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", head, at)[0])


def le64(head: bytes, at: int) -> int:
    return int(struct.unpack_from("<Q", head, at)[0])


def is_zero(head: bytes, at: int, length: int) -> bool:
    return head[at : at + length] == bytes(length)
