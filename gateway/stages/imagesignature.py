"""OpenStack's image signature: four properties of the image, over the bytes as they are stored.

Compute services check the same properties again when a server boots from the image ("Image Signature Verification" in
the Glance user guide), so what is taken here is what they take: RSA-PSS with the longest salt, DSA, and two curves.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from gateway.model.errors import BadRequest
from gateway.stages.stage import refused

SIGNATURE = "img_signature"
HASH_METHOD = "img_signature_hash_method"
KEY_TYPE = "img_signature_key_type"
CERTIFICATE = "img_signature_certificate_uuid"
PROPERTIES = (SIGNATURE, HASH_METHOD, KEY_TYPE, CERTIFICATE)

METHODS: Mapping[str, hashes.HashAlgorithm] = {
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}

LEAST_BITS = 2048
"""Of an RSA or DSA key."""


@dataclass(frozen=True, slots=True)
class ImageSignature:
    """The four properties, read and checked. `certificate` is a UUID in its canonical form."""

    signature: bytes
    method: str
    key_type: str
    certificate: str

    @property
    def algorithm(self) -> str:
        """The hashlib name of the digest that was signed."""
        return METHODS[self.method].name

    def check(self, certificate: bytes, digest: str) -> None:
        """Hold the hex `digest` of the stored bytes to the key of a certificate (DER).

        Raises ContentRefused (`signature-wrong`, `weak-key`), BadRequest for a key of another type.
        """
        from cryptography import x509  # few sites check signatures, and it is large

        key = x509.load_der_x509_certificate(certificate).public_key()
        if not KEY_TYPES[self.key_type](self, key, bytes.fromhex(digest)):
            raise unsupported(KEY_TYPE, self.key_type, "the key type of its certificate")


def is_signed(properties: Mapping[str, str]) -> bool:
    return all(properties.get(name) for name in PROPERTIES)


def read(properties: Mapping[str, str]) -> ImageSignature:
    """Raises BadRequest: `signature-missing` or `signature-unsupported`, naming the property."""
    for name in PROPERTIES:
        if not properties.get(name):
            raise missing(name)
    method, key_type = properties[HASH_METHOD], properties[KEY_TYPE]
    if method not in METHODS:
        raise unsupported(HASH_METHOD, method, f"one of {', '.join(METHODS)}")
    if key_type not in KEY_TYPES:
        raise unsupported(KEY_TYPE, key_type, f"one of {', '.join(KEY_TYPES)}")
    return ImageSignature(_decoded(properties[SIGNATURE]), method, key_type, _uuid(properties[CERTIFICATE]))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise unsupported(SIGNATURE, f"{text[:16]}...", "the signature in base64") from None


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise unsupported(CERTIFICATE, text[:64], "the UUID of a certificate") from None


def _pss(given: ImageSignature, key: object, digest: bytes) -> bool:
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    _check_bits(key.key_size)
    method = METHODS[given.method]
    pss = padding.PSS(mgf=padding.MGF1(method), salt_length=padding.PSS.MAX_LENGTH)
    return _holds(lambda: key.verify(given.signature, digest, pss, Prehashed(method)))


def _dsa(given: ImageSignature, key: object, digest: bytes) -> bool:
    if not isinstance(key, dsa.DSAPublicKey):
        return False
    _check_bits(key.key_size)
    return _holds(lambda: key.verify(given.signature, digest, Prehashed(METHODS[given.method])))


def _ecc(given: ImageSignature, key: object, digest: bytes) -> bool:
    if not isinstance(key, ec.EllipticCurvePublicKey) or given.key_type != f"ECC_{key.curve.name.upper()}":
        return False
    return _holds(lambda: key.verify(given.signature, digest, ec.ECDSA(Prehashed(METHODS[given.method]))))


KEY_TYPES: Mapping[str, Callable[[ImageSignature, object, bytes], bool]] = {
    "RSA-PSS": _pss,
    "DSA": _dsa,
    "ECC_SECP384R1": _ecc,
    "ECC_SECP521R1": _ecc,
}
"""Each tells whether a key is of its type, and raises where a signature by it does not hold.

The binary curves (ECC_SECT...) have no implementation here any more, and are refused by name.
"""


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        raise refused(
            "signature-wrong",
            "The image is not what its signature was made for, or the signature is not by the key of its certificate.",
            "Sign the very bytes that are stored (unpacked, where the gateway unpacks them), and send them again.",
        ) from None
    return True


def _check_bits(bits: int) -> None:
    if bits < LEAST_BITS:
        raise refused(
            "weak-key",
            f"The key of the image's signature has {bits} bits; {LEAST_BITS} are the least that count.",
            "Sign the image with a longer key.",
        )


def missing(name: str) -> BadRequest:
    return BadRequest(
        f"The policy asks for a signed image, and this one has no property '{name}'.",
        remedy=f"Set {', '.join(PROPERTIES)} on the image before its data is sent.",
        code="signature-missing",
    )


def unsupported(name: str, value: str, wanted: str) -> BadRequest:
    return BadRequest(
        f"The image property '{name}' is '{value[:64]}', which cannot be checked here.",
        remedy=f"It has to be {wanted}.",
        code="signature-unsupported",
    )
