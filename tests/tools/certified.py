"""Keys and certificates as somebody who signs images has them, made anew for each run."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.stages.imagesignature import METHODS

Key = rsa.RSAPrivateKey | dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@cache
def key(kind: str) -> Key:
    makers: dict[str, Callable[[], Key]] = {
        "RSA-PSS": lambda: rsa.generate_private_key(65537, 2048),
        "short": lambda: rsa.generate_private_key(65537, 1024),
        "DSA": lambda: dsa.generate_private_key(2048),
        "ECC_SECP384R1": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ECC_SECP521R1": lambda: ec.generate_private_key(ec.SECP521R1()),
        "authority": lambda: ec.generate_private_key(ec.SECP384R1()),
        "between": lambda: ec.generate_private_key(ec.SECP384R1()),
    }
    return makers[kind]()


def sign(kind: str, method: str, data: bytes) -> bytes:
    digest, signer = METHODS[method], key(kind)
    if isinstance(signer, rsa.RSAPrivateKey):
        return signer.sign(data, padding.PSS(padding.MGF1(digest), padding.PSS.MAX_LENGTH), digest)
    if isinstance(signer, dsa.DSAPrivateKey):
        return signer.sign(data, digest)
    return signer.sign(data, ec.ECDSA(digest))


@dataclass(frozen=True)
class Folder:
    """A folder of certificates."""

    path: Path

    def add(
        self, kind: str, *, by: str | None = None, start: datetime = NOW - DAY, days: int = 30, signs: bool = True
    ) -> str:
        """The UUID of a new certificate for that key, issued by itself or by another."""
        name = str(uuid4())
        made = certificate(kind, by=by, start=start, days=days, signs=signs)
        between = [certificate("between", by="authority", authority=True)] if by == "between" else []
        (self.path / f"{name}.pem").write_bytes(pem(made, *between))
        return name


def certificate(
    kind: str,
    *,
    by: str | None = None,
    authority: bool = False,
    start: datetime = NOW - DAY,
    days: int = 30,
    signs: bool = True,
) -> x509.Certificate:
    issuer = key(by or kind)
    built = (
        x509.CertificateBuilder()
        .subject_name(named(kind))
        .issuer_name(named(by or kind))
        .public_key(key(kind).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key(kind).public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .add_extension(usage(authority, signs), critical=True)
    )
    return built.sign(issuer, hashes.SHA384())


def usage(authority: bool, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs and not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def named(kind: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{kind} of the tests")])


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def properties(kind: str, method: str, data: bytes, uuid: str) -> dict[str, str]:
    """The image properties of a signed image."""
    return {
        "img_signature": base64.b64encode(sign(kind, method, data)).decode(),
        "img_signature_hash_method": method,
        "img_signature_key_type": kind,
        "img_signature_certificate_uuid": uuid,
    }
