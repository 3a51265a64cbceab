"""Text inside OpenPGP's cleartext signature framework (RFC 9580, section 7): what it says, whoever signed it."""

from __future__ import annotations

from gateway.model.errors import ContentRefused

BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
END = b"-----END PGP SIGNATURE-----"


def is_signed(text: bytes) -> bool:
    return text.startswith(BEGIN)


def content(text: bytes) -> bytes:
    """The text itself: the whole of it where there is no framework, what stands within it where there is one.

    Nothing may stand before or behind the framework: a reader would take it for signed. Raises ContentRefused
    `sums-unreadable`.
    """
    lines = [line.rstrip(b" \t\r") for line in text.split(b"\n")]
    marks = [line for line in lines if line in (BEGIN, SIGNATURE, END)]
    if not marks:
        return text
    while lines and not lines[-1]:
        lines.pop()
    if marks != [BEGIN, SIGNATURE, END] or lines[0] != BEGIN or lines[-1] != END or b"" not in lines:
        raise ContentRefused(
            "The checksum file is signed in an unusual way: there is text outside of its one signed part.",
            remedy="Name the publisher's checksum file as it was published.",
            code="sums-unreadable",
        )
    body = lines[lines.index(b"") + 1 : lines.index(SIGNATURE)]
    return b"\n".join(line.removeprefix(b"- ") for line in body) + b"\n"
