"""The `signature` stage: the bytes are what somebody the operator trusts has signed.

`trust: certificates` asks for OpenStack's image signature, made with the key of one of the site's certificates. Any
other name is that of a keyring: it asks for a publisher's checksum file that a key of it has signed, with the very
digest of the bytes as they were sent. A proof that is missing or wrong is refused whatever `on_error` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from gateway.model.decision import StageCall
from gateway.model.errors import BadRequest, ContentRefused, Unavailable
from gateway.stages import imagesignature
from gateway.stages.algorithms import PROTECTING
from gateway.stages.evidence import CERTIFICATES, SUMS_URL, Evidence, Keys, Sums
from gateway.stages.imagesignature import ImageSignature
from gateway.stages.stage import Block, Brief, Seen, Stage, refused
from gateway.stages.sums import Line, find


class Proof(Protocol):
    """What speaks for the bytes: `open` it before them, and `hold` them to it once all went by."""

    algorithms: tuple[str, ...]

    def open(self) -> str:
        """Who signed, as people say it. Raises ContentRefused, Unavailable."""
        ...

    def hold(self, seen: Seen) -> None:
        """Raises ContentRefused."""
        ...


class Signature(Stage):
    """Options: `trust`, the name of whoever must have signed; `on_error`, `reject` (default) or `accept`, for keys that
    cannot be read.
    """

    options = frozenset({"trust", "on_error"})

    def __init__(self, call: StageCall, brief: Brief) -> None:
        """Raises BadRequest `signature-missing`, or for a signature of an unknown kind."""
        super().__init__(call, brief)
        options = call.as_mapping()
        trust, keys = str(options.get("trust", CERTIFICATES)), brief.tools.keys
        self._accepts = options.get("on_error") == "accept"
        if keys is None or trust not in keys.names:
            raise not_set_up(trust)
        self._proof = proof(trust, keys, brief.evidence)
        self._open: bool | None = None
        self.algorithms = self._proof.algorithms

    def feed(self, block: Block) -> Iterator[Block]:
        self._begin()
        yield block

    def close(self, seen: Seen) -> None:
        self._begin()
        if self._open:
            self._proof.hold(seen)

    def _begin(self) -> None:
        if self._open is not None:
            return
        try:
            signer = self._proof.open()
        except Unavailable as refusal:
            if not self._accepts:
                raise
            self._open = False
            self.note(refusal.code, f"Accepted although: {refusal.message}")
        else:
            self._open = True
            self.note("signed", f"Signed by {signer}.")


def proof(trust: str, keys: Keys, evidence: Evidence) -> Proof:
    """Raises BadRequest where nothing was given that could prove it."""
    if trust == CERTIFICATES:
        return ByCertificate(imagesignature.read(evidence.properties), keys)
    if evidence.sums is None:
        raise no_sums(trust)
    return ByPublisher(trust, evidence.sums, keys)


class ByCertificate:
    def __init__(self, given: ImageSignature, keys: Keys) -> None:
        self._given = given
        self._keys = keys
        self._certificate = b""
        self.algorithms: tuple[str, ...] = (given.algorithm,)

    def open(self) -> str:
        self._certificate = self._keys.certificate(self._given.certificate)
        return f"the key of certificate {self._given.certificate} ({self._given.key_type}, {self._given.method})"

    def hold(self, seen: Seen) -> None:
        self._given.check(self._certificate, seen.hashes[self._given.algorithm])


class ByPublisher:
    """A checksum file is itself expected of the bytes, so its digest is among those of the bytes as sent."""

    algorithms: tuple[str, ...] = ()

    def __init__(self, trust: str, sums: Sums, keys: Keys) -> None:
        self._trust = trust
        self._sums = sums
        self._keys = keys
        self._line: Line | None = None

    def open(self) -> str:
        signed = self._keys.signed(self._trust, self._sums.text, self._sums.signature)
        self._line = find(signed.content, self._sums.name)
        if self._line.algorithm not in PROTECTING:
            raise weak(self._line)
        return f"{', '.join(signed.signers)} of keyring {self._trust}: {self._line.algorithm} of {self._line.name}"

    def hold(self, seen: Seen) -> None:
        if self._line is None or seen.source_hashes.get(self._line.algorithm) != self._line.digest:
            raise refused(
                "checksum-mismatch",
                f"The image is not the file {self._sums.name} that a key of keyring {self._trust} has signed for.",
                "Import it again; if it happens again, the file was changed after it was signed.",
            )


def check_given(call: StageCall, properties: Mapping[str, str]) -> None:
    """Whether an image's properties name a proof at all. Raises BadRequest: `signature-missing` and its like."""
    trust = str(call.as_mapping().get("trust", CERTIFICATES))
    if trust == CERTIFICATES:
        imagesignature.read(properties)
    elif not properties.get(SUMS_URL):
        raise no_sums(trust)


def no_sums(trust: str) -> BadRequest:
    return BadRequest(
        f"The policy asks for an image whose publisher's checksum file is signed by a key of '{trust}', and none is"
        " named.",
        remedy="Import it by web-download, with the image properties import_checksum_url and, where the signature is a"
        " file of its own, import_signature_url.",
        code="signature-missing",
    )


def weak(line: Line) -> ContentRefused:
    return refused(
        "weak-digest",
        f"The publisher has signed a {line.algorithm} of {line.name}, which proves nothing any more.",
        f"Name a checksum file with one of {', '.join(sorted(PROTECTING))}.",
    )


def not_set_up(trust: str) -> Unavailable:
    return Unavailable(
        f"The keys that the policy trusts as '{trust}' are not set up here.",
        remedy="The operator has to name them in the settings, under stages.signature.",
        code="stage-unavailable",
    )
