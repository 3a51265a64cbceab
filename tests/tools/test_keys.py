from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.errors import ContentRefused, Refusal, Unavailable
from gateway.tools.certificates import Certificates
from gateway.tools.keyrings import Keyrings
from gateway.tools.keys import SiteKeys
from tests.tools import gnupg
from tests.tools.certified import DAY, NOW, Folder, certificate, pem
from tests.tools.gnupg import Publisher

pytest.importorskip("pysequoia", reason="pysequoia is missing: pip install import-gateway[signature]")

SUMS = b"# sums\n" + b"0" * 64 + b"  image.qcow2\n- dashed\n"
LONG_AGO = "20200201T000000"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RELEASES = sorted(Path("/var/lib/apt/lists").glob("*_InRelease"))


@pytest.fixture(scope="module")
def signer() -> Iterator[Publisher]:
    with gnupg.publisher() as made:
        for name in ("pinned", "second", "stranger"):
            made.key(name)
        made.key("expired", at="20200101T000000", expires="1y")
        yield made


@pytest.fixture
def keys(tmp_path: Path, signer: Publisher) -> Keyrings:
    (tmp_path / "pinned.gpg").write_bytes(signer.keyring("pinned", "expired"))
    (tmp_path / "armored.asc").write_bytes(signer.keyring("pinned", armor=True))
    files = {"pinned": "pinned.gpg", "armored": "armored.asc", "gone": "gone.gpg", "broken": "broken.gpg"}
    (tmp_path / "broken.gpg").write_bytes(b"no keyring")
    return Keyrings({name: tmp_path / file for name, file in files.items()})


def code(keys: Keyrings, text: bytes, signature: bytes | None, name: str = "pinned") -> str:
    with pytest.raises(Refusal) as refused:
        keys.signed(name, text, signature)
    assert refused.value.remedy
    return refused.value.code


@gnupg.needed
@pytest.mark.parametrize("armor", [False, True])
@pytest.mark.parametrize("name", ["pinned", "armored"])
def test_a_detached_signature_of_a_pinned_key_covers_the_whole_file(
    keys: Keyrings, signer: Publisher, name: str, armor: bool
) -> None:
    found = keys.signed(name, SUMS, signer.detached(SUMS, "pinned", armor=armor))
    assert found.content == SUMS
    assert found.signers[0].encode() in signer.run("--fingerprint", "--with-colons", "pinned@example.org")


@gnupg.needed
@pytest.mark.parametrize("names", [("stranger", "pinned"), ("pinned", "stranger")])
def test_one_pinned_key_among_several_signers_is_enough(
    keys: Keyrings, signer: Publisher, names: tuple[str, str]
) -> None:
    assert keys.signed("pinned", SUMS, signer.detached(SUMS, *names)).content == SUMS


@gnupg.needed
def test_a_signature_by_anybody_else_or_of_anything_else_proves_nothing(keys: Keyrings, signer: Publisher) -> None:
    assert code(keys, SUMS, signer.detached(SUMS, "stranger")) == "signature-wrong"
    right = signer.detached(SUMS, "pinned")
    assert code(keys, SUMS.replace(b"0", b"1", 1), right) == "signature-wrong"
    assert code(keys, SUMS + b"\n", right) == "signature-wrong"
    for rubbish in (b"", b"x", b"<html></html>", signer.keyring("pinned"), right[:-1], b"\xff" * 300):
        assert code(keys, SUMS, rubbish) == "signature-wrong"


@gnupg.needed
@pytest.mark.parametrize("digest", ["MD5", "SHA1"])
def test_weak_signatures_do_not_count(keys: Keyrings, signer: Publisher, tmp_path: Path, digest: str) -> None:
    signer.run("--passphrase", "", "--quick-gen-key", f"{digest}@example.org", "rsa2048", "sign", "never")
    (tmp_path / "pinned.gpg").write_bytes(signer.keyring(digest))
    assert keys.signed("pinned", SUMS, signer.detached(SUMS, digest)).content == SUMS
    assert code(keys, SUMS, signer.detached(SUMS, digest, digest=digest)) == "signature-wrong"


@gnupg.needed
def test_a_key_that_has_expired_counts_no_more_whatever_its_signatures_date(
    keys: Keyrings, signer: Publisher, tmp_path: Path
) -> None:
    assert code(keys, SUMS, signer.detached(SUMS, "expired", at=LONG_AGO)) == "signer-expired"
    assert code(keys, signer.clearsigned(SUMS, "expired", at=LONG_AGO), None) == "signer-expired"
    then = Keyrings({"pinned": tmp_path / "pinned.gpg"}, clock=lambda: NOW.replace(year=2020, month=6, day=1))
    assert then.signed("pinned", SUMS, signer.detached(SUMS, "expired", at=LONG_AGO)).content == SUMS


@gnupg.needed
def test_of_a_signed_text_only_what_is_signed_is_returned(keys: Keyrings, signer: Publisher) -> None:
    signed = signer.clearsigned(SUMS, "pinned")
    assert keys.signed("pinned", signed, None).content.rstrip() == SUMS.rstrip()
    assert code(keys, signed.replace(b"image", b"imago"), None) == "signature-wrong"
    assert code(keys, signer.clearsigned(SUMS, "stranger"), None) == "signature-wrong"
    for more in (b"evil\n" + signed, signed + b"evil\n", signed + signed):
        assert code(keys, more, None) in {"sums-unreadable", "signature-missing"}
    assert code(keys, SUMS, None) == "signature-missing"


@gnupg.needed
def test_a_keyring_that_cannot_be_read_is_the_sites_fault(keys: Keyrings, signer: Publisher) -> None:
    signature = signer.detached(SUMS, "pinned")
    for name in ("gone", "broken"):
        assert code(keys, SUMS, signature, name) == "stage-unavailable"


@gnupg.needed
def test_no_change_of_a_signature_makes_a_better_one(keys: Keyrings, signer: Publisher) -> None:
    """2,000 mutations of a stranger's signature: each is refused, none escapes as another error."""
    draw = random.Random(5)
    seeds = [signer.detached(SUMS, "stranger", armor=armor) for armor in (False, True)]
    for _ in range(2000):
        bent = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 6)):
            bent[draw.randrange(len(bent))] = draw.randrange(256)
        with pytest.raises(ContentRefused):
            keys.signed("pinned", SUMS, bytes(bent))


@pytest.mark.skipif(not (KEYRING.exists() and RELEASES), reason="Debian's archive keyring or signed lists are missing")
def test_what_debian_has_published_is_read_as_gpgv_reads_it() -> None:
    keys = Keyrings({"debian": KEYRING})
    for path in RELEASES:
        text = path.read_bytes()
        found = keys.signed("debian", text, None)
        assert found.content.startswith(b"Origin: Debian")
        if gpgv := shutil.which("gpgv"):
            said = subprocess.run([gpgv, "--keyring", KEYRING, "-o", "-", path], capture_output=True, check=True)
            assert found.content.rstrip() == said.stdout.rstrip()
        assert code(keys, text.replace(b"Origin: Debian", b"Origin: Debiam"), None, "debian") == "signature-wrong"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def refused(keys: Certificates, uuid: str) -> str:
    with pytest.raises(Refusal) as found:
        keys.get(uuid)
    assert found.value.remedy
    return found.value.code


def test_a_certificate_counts_while_it_is_valid(folder: Folder) -> None:
    uuid = folder.add("ECC_SECP384R1", start=NOW, days=10)
    for days, outcome in ((-1, "certificate-expired"), (1, None), (9, None), (11, "certificate-expired")):
        keys = Certificates(folder.path, clock=lambda days=days: NOW + timedelta(days=days))
        assert (refused(keys, uuid) if outcome else None) == outcome
        assert outcome or keys.get(uuid)


def test_a_certificate_nobody_added_is_unknown(folder: Folder) -> None:
    keys = Certificates(folder.path)
    uuid = folder.add("ECC_SECP384R1")
    (folder.path / f"{uuid}.pem").unlink()
    assert refused(keys, uuid) == "certificate-unknown"
    assert refused(Certificates(folder.path / "gone"), uuid) == "stage-unavailable"
    (folder.path / f"{uuid}.pem").write_bytes(b"rubbish")
    assert refused(keys, uuid) == "stage-unavailable"


def test_authorities_decide_who_may_sign(folder: Folder) -> None:
    roots = folder.path / "roots.pem"
    roots.write_bytes(pem(certificate("authority", authority=True, start=NOW - DAY)))
    keys = Certificates(folder.path, roots)
    for by in ("authority", "between"):
        assert keys.get(folder.add("ECC_SECP384R1", by=by))
    assert refused(keys, folder.add("ECC_SECP384R1")) == "certificate-untrusted"
    assert refused(keys, folder.add("ECC_SECP384R1", by="RSA-PSS")) == "certificate-untrusted"
    roots.unlink()
    with pytest.raises(Unavailable):
        keys.get(folder.add("ECC_SECP384R1", by="authority"))


def test_only_what_is_set_up_is_known(tmp_path: Path) -> None:
    rings = Keyrings({"debian": tmp_path / "debian.gpg"})
    assert SiteKeys(None, rings).names == {"debian"}
    both = SiteKeys(Certificates(tmp_path), rings)
    assert both.names == {"debian", "certificates"}


@gnupg.needed
def test_an_operator_is_told_which_keys_are_read_and_which_are_not(tmp_path: Path, signer: Publisher) -> None:
    (tmp_path / "good.gpg").write_bytes(signer.keyring("pinned"))
    (tmp_path / "old.gpg").write_bytes(signer.keyring("expired"))
    files = {name: tmp_path / f"{name}.gpg" for name in ("good", "old", "gone")}
    well = SiteKeys(Certificates(tmp_path), Keyrings({"good": files["good"]}))
    assert "good" in well.check()
    for name, said in (("old", "valid any more"), ("gone", "No such file")):
        with pytest.raises(Unavailable) as problem:
            SiteKeys(None, Keyrings({"good": files["good"], name: files[name]})).check()
        assert f"{name}.gpg" in problem.value.message
        assert said in problem.value.remedy
    for certificates in (Certificates(tmp_path / "none"), Certificates(tmp_path, tmp_path / "none.pem")):
        with pytest.raises(Unavailable):
            SiteKeys(certificates, Keyrings({})).check()


def test_certificates_for_something_else_sign_nothing(folder: Folder) -> None:
    uuid = folder.add("RSA-PSS", signs=False)
    assert refused(Certificates(folder.path), uuid) == "certificate-untrusted"
