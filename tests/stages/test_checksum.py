from __future__ import annotations

import gzip
import hashlib

import pytest

from gateway.model.decision import StageCall
from gateway.model.errors import BadRequest, ContentRefused
from gateway.stages.algorithms import SIZES
from gateway.stages.evidence import EXPECTED, Evidence, Sums, spent
from gateway.stages.pipeline import Declared, Pipeline
from gateway.stages.verdicts import proves, verdict_from_json, verdict_to_json
from tests.images.sound import qcow2
from tests.stages.walk import walk

DATA = qcow2()
REQUIRED = StageCall("checksum", (("required", True),))


def digest(algorithm: str, data: bytes = DATA) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def given(**properties: str) -> Evidence:
    return Evidence(properties={f"import_expected_{name}": value for name, value in properties.items()})


def listed(text: str, name: str = "image.qcow2") -> Evidence:
    return Evidence(sums=Sums(text=text.encode(), name=name))


@pytest.mark.parametrize("algorithm", SIZES)
def test_the_bytes_must_have_the_digest_their_owner_expects(algorithm: str) -> None:
    right = walk(DATA, "qcow2", evidence=given(**{algorithm: digest(algorithm).upper()}))
    assert right.verdict
    assert "as expected" in right.verdict.reports[1].findings[0].message
    wrong = walk(DATA, "qcow2", evidence=given(**{algorithm: digest(algorithm, b"")}))
    assert (wrong.code, wrong.verdict) == ("checksum-mismatch", None)


def test_a_refused_image_is_never_whole_in_its_store() -> None:
    """The last block leaves, but the iterator the store reads raises before it ends."""
    pipeline = Pipeline([], declared=Declared(), evidence=given(sha256="0" * 64))
    list(pipeline.feed(DATA))
    with pytest.raises(ContentRefused):
        list(pipeline.finish())


def test_a_publishers_checksum_file_is_held_to() -> None:
    assert walk(DATA, "qcow2", evidence=listed(f"{digest('sha512')} *image.qcow2")).verdict
    other = f"{digest('sha512')} *other.qcow2\n{digest('sha512', b'')} *image.qcow2"
    assert walk(DATA, "qcow2", evidence=listed(other)).code == "checksum-mismatch"


def test_expectations_are_of_the_bytes_as_sent_and_the_verdict_remembers_them() -> None:
    packed = gzip.compress(DATA)
    stages = ("decompress", "inspect")
    verdict = walk(packed, "qcow2", stages=stages, evidence=given(sha256=digest("sha256", packed))).verdict
    assert verdict
    assert verdict.source_hashes["sha256"] == digest("sha256", packed)
    assert walk(packed, "qcow2", stages=stages, evidence=given(sha256=digest("sha256"))).code == "checksum-mismatch"


def test_what_a_verdict_proves_survives_being_kept() -> None:
    packed = gzip.compress(DATA)
    for stages, data in (("inspect",), DATA), (("decompress", "inspect"), packed):
        found = walk(data, "qcow2", stages=stages, evidence=given(sha256=digest("sha256", data))).verdict
        assert found
        kept = verdict_from_json(verdict_to_json(found))
        assert proves(kept, {"sha256": digest("sha256", data)})
        assert proves(kept, {})
        assert not proves(kept, {"sha256": digest("sha256", b"")})
        assert proves(kept, {"md5": digest("md5")}) is (data is DATA), "what is stored is not what was sent"
        assert not proves(kept, {"sha256": digest("sha256", data), "sha1": digest("sha1", data)})


def test_a_demand_without_any_expectation_is_refused_before_the_first_byte() -> None:
    with pytest.raises(BadRequest) as refused:
        Pipeline([REQUIRED], declared=Declared())
    assert refused.value.code == "checksum-missing"
    assert "import_expected_sha256" in refused.value.remedy
    assert walk(DATA, "qcow2", stages=[REQUIRED], evidence=given(sha256=digest("sha256"))).verdict
    assert walk(DATA, "qcow2", stages=[REQUIRED], evidence=listed(f"{digest('sha1')}  image.qcow2")).verdict
    assert walk(DATA, "qcow2", stages=[REQUIRED], expected={"sha256": digest("sha256")}).verdict


def test_expectations_that_contradict_each_other_are_refused_before_the_first_byte() -> None:
    both = Evidence(
        properties={"import_expected_sha256": digest("sha256")},
        sums=Sums(text=f"{digest('sha256', b'')}  a".encode(), name="a"),
    )
    with pytest.raises(ContentRefused) as refused:
        Pipeline([], declared=Declared(), evidence=both)
    assert refused.value.code == "expectations-differ"


@pytest.mark.parametrize("value", ["zz", "0" * 63, "0" * 65, "sha256:" + "0" * 64, "0" * 128])
def test_what_is_no_digest_is_refused_by_the_name_of_its_property(value: str) -> None:
    with pytest.raises(BadRequest, match="import_expected_sha256") as refused:
        Pipeline([], declared=Declared(), evidence=given(sha256=value))
    assert refused.value.code == "bad-expectation"


def test_expectations_end_with_their_import() -> None:
    used = dict.fromkeys([*EXPECTED, "import_checksum_url", "import_signature_url"], "x")
    assert spent({**used, "os_distro": "debian", "img_signature": "x"}) == {"os_distro": "debian", "img_signature": "x"}
