from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.decision import StageCall
from gateway.model.errors import BadRequest, ContentRefused, Unavailable
from gateway.stages.evidence import Evidence, Sums
from gateway.stages.pipeline import Declared, Pipeline, Tools
from gateway.tools.certificates import Certificates
from gateway.tools.keyrings import Keyrings
from gateway.tools.keys import SiteKeys
from tests.images.sound import qcow2
from tests.stages.walk import Outcome, chunked, walk
from tests.tools import gnupg
from tests.tools.certified import NOW, Folder, properties
from tests.tools.gnupg import Publisher

DATA = qcow2()
KINDS = ("RSA-PSS", "DSA", "ECC_SECP384R1", "ECC_SECP521R1")
NAME = "image.qcow2"


def call(trust: str, **options: str) -> StageCall:
    return StageCall("signature", tuple(sorted({"trust": trust, **options}.items())))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def signer() -> Iterator[Publisher]:
    with gnupg.publisher() as made:
        made.key("release")
        yield made


@pytest.fixture
def tools(folder: Folder, tmp_path: Path, request: pytest.FixtureRequest) -> Tools:
    if gnupg.GPG:
        signer: Publisher = request.getfixturevalue("signer")
        (tmp_path / "release.gpg").write_bytes(signer.keyring("release"))
    keyrings = Keyrings({"release": tmp_path / "release.gpg", "lost": tmp_path / "lost.gpg"})
    return Tools(keys=SiteKeys(Certificates(folder.path), keyrings))


def by_certificate(tools: Tools, given: dict[str, str], data: bytes = DATA) -> Outcome:
    return walk(data, "qcow2", stages=[call("certificates")], evidence=Evidence(properties=given), tools=tools)


def by_publisher(tools: Tools, sums: Sums, data: bytes = DATA, trust: str = "release", **options: str) -> Outcome:
    return walk(data, "qcow2", stages=[call(trust, **options)], evidence=Evidence(sums=sums), tools=tools)


def listing(algorithm: str = "sha256", data: bytes = DATA, name: str = NAME) -> bytes:
    return f"{hashlib.new(algorithm, data).hexdigest()}  {name}\n".encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["SHA-224", "SHA-256", "SHA-384", "SHA-512"])
def test_an_image_signature_holds_for_these_bytes_alone(folder: Folder, tools: Tools, kind: str, method: str) -> None:
    given = properties(kind, method, DATA, folder.add(kind))
    found = by_certificate(tools, given)
    assert found.verdict
    assert method in found.verdict.reports[-1].findings[0].message
    assert by_certificate(tools, given, DATA[:-1] + b"x").code == "signature-wrong"
    bent = given["img_signature"].replace(given["img_signature"][8], "A" if given["img_signature"][8] != "A" else "B")
    assert by_certificate(tools, {**given, "img_signature": bent}).code == "signature-wrong"


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_another_method_and_another_type_are_refused(folder: Folder, tools: Tools, kind: str) -> None:
    uuid = folder.add(kind)
    given = properties(kind, "SHA-256", DATA, uuid)
    for other in (one for one in KINDS if one != kind):
        stranger = {**given, "img_signature_certificate_uuid": folder.add(other)}
        assert by_certificate(tools, stranger).code == "signature-unsupported"
        assert by_certificate(tools, {**given, "img_signature_key_type": other}).code == "signature-unsupported"
    assert by_certificate(tools, {**given, "img_signature_hash_method": "SHA-512"}).code == "signature-wrong"


def test_a_certificate_that_is_no_more_or_never_was_proves_nothing(folder: Folder, tools: Tools) -> None:
    old = folder.add("RSA-PSS", start=NOW - timedelta(days=9), days=8)
    assert by_certificate(tools, properties("RSA-PSS", "SHA-256", DATA, old)).code == "certificate-expired"
    nobody = "6c0b5d3c-6f5e-4d0e-9c39-8d5b5a2f5a11"
    assert by_certificate(tools, properties("RSA-PSS", "SHA-256", DATA, nobody)).code == "certificate-unknown"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("img_signature", None, "signature-missing"),
        ("img_signature_certificate_uuid", None, "signature-missing"),
        ("img_signature_key_type", "", "signature-missing"),
        ("img_signature", "no base64!", "signature-unsupported"),
        ("img_signature_hash_method", "SHA-1", "signature-unsupported"),
        ("img_signature_hash_method", "MD5", "signature-unsupported"),
        ("img_signature_key_type", "ECC_SECT571K1", "signature-unsupported"),
        ("img_signature_certificate_uuid", "../../etc/ssl/cert", "signature-unsupported"),
    ],
)
def test_what_is_missing_or_unknown_is_named_before_the_first_byte(
    folder: Folder, tools: Tools, name: str, value: str | None, code: str
) -> None:
    given = properties("RSA-PSS", "SHA-256", DATA, folder.add("RSA-PSS"))
    given = {**given, name: value} if value is not None else {k: v for k, v in given.items() if k != name}
    with pytest.raises(BadRequest, match=name) as refused:
        Pipeline([call("certificates")], declared=Declared(), evidence=Evidence(properties=given), tools=tools)
    assert refused.value.code == code
    assert refused.value.remedy


def test_a_short_key_is_refused(folder: Folder, tools: Tools) -> None:
    given = properties("short", "SHA-256", DATA, folder.add("short"))
    assert by_certificate(tools, {**given, "img_signature_key_type": "RSA-PSS"}).code == "weak-key"


def test_a_signed_image_is_checked_although_nobody_asks(folder: Folder, tools: Tools) -> None:
    """Whoever signs an image relies on it; half a signature is none."""
    given = properties("RSA-PSS", "SHA-256", DATA, folder.add("RSA-PSS"))
    for evidence, data, code in (
        (given, DATA, None),
        (given, DATA + b"x", "signature-wrong"),
        ({**given, "img_signature_key_type": ""}, DATA + b"x", None),
    ):
        assert walk(data, "qcow2", evidence=Evidence(properties=evidence), tools=tools).code == code
    assert walk(DATA + b"x", "qcow2", evidence=Evidence(properties=given)).code is None, "no keys at this site"


@gnupg.needed
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_publishers_signed_checksum_file_proves_its_image(tools: Tools, signer: Publisher, algorithm: str) -> None:
    text = listing(algorithm) + listing(algorithm, b"", "other.img")
    for sums in (
        Sums(text=text, name=NAME, signature=signer.detached(text, "release")),
        Sums(text=signer.clearsigned(text, "release"), name=NAME),
    ):
        found = by_publisher(tools, sums)
        assert found.verdict
        assert "keyring release" in found.verdict.reports[-1].findings[0].message
        assert by_publisher(tools, sums, DATA + b"x").code == "checksum-mismatch"


@gnupg.needed
def test_a_signed_file_that_lists_something_else_proves_nothing(tools: Tools, signer: Publisher) -> None:
    other = listing(name="other.qcow2")
    signature = signer.detached(other, "release")
    with pytest.raises(ContentRefused) as refused:
        by_publisher(tools, Sums(text=other, name=NAME, signature=signature))
    assert refused.value.code == "sums-no-line"
    assert by_publisher(tools, Sums(text=listing(), name=NAME, signature=signature)).code == "signature-wrong"


@gnupg.needed
@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224"])
def test_a_signed_digest_that_is_weak_proves_nothing(tools: Tools, signer: Publisher, algorithm: str) -> None:
    text = listing(algorithm)
    sums = Sums(text=text, name=NAME, signature=signer.detached(text, "release"))
    assert by_publisher(tools, sums).code == "weak-digest"


@gnupg.needed
def test_a_demand_nobody_can_meet_is_refused_by_name(tools: Tools) -> None:
    assert by_publisher(tools, Sums(text=listing(), name=NAME)).code == "signature-missing"
    with pytest.raises(BadRequest, match="'release'") as refused:
        Pipeline([call("release")], declared=Declared(), tools=tools)
    assert refused.value.code == "signature-missing"
    assert "import_checksum_url" in refused.value.remedy
    for unknown in (tools, Tools()):
        with pytest.raises(Unavailable, match="'nobody'"):
            Pipeline([call("nobody")], declared=Declared(), tools=unknown)


@gnupg.needed
def test_keys_that_cannot_be_read_are_forgiven_where_the_policy_says_so(tools: Tools, signer: Publisher) -> None:
    sums = Sums(text=listing(), name=NAME, signature=signer.detached(listing(), "release"))
    assert by_publisher(tools, sums, trust="lost").code == "stage-unavailable"
    taken = by_publisher(tools, sums, trust="lost", on_error="accept").verdict
    assert taken
    assert taken.reports[-1].findings[0].code == "stage-unavailable"
    assert by_publisher(tools, sums, DATA + b"x", "lost", on_error="accept").code == "checksum-mismatch"
    wrong = Sums(text=listing(), name=NAME, signature=b"rubbish")
    assert by_publisher(tools, wrong, on_error="accept").code == "signature-wrong"


@gnupg.needed
def test_a_wrong_signature_is_refused_at_the_first_block(tools: Tools) -> None:
    sums = Sums(text=listing(), name=NAME, signature=b"rubbish")
    pipeline = Pipeline([call("release")], declared=Declared(), evidence=Evidence(sums=sums), tools=tools)
    with pytest.raises(ContentRefused):
        list(pipeline.feed(next(chunked(DATA * 9, [1 << 20]))))
