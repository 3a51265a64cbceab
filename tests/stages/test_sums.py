from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import ContentRefused
from gateway.stages.algorithms import SIZES
from gateway.stages.cleartext import content
from gateway.stages.sums import find, lines

NAME = "debian-12-genericcloud-amd64.qcow2"
DIGESTS = {algorithm: hashlib.new(algorithm, b"image").hexdigest() for algorithm in SIZES}
SHA256 = DIGESTS["sha256"]
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(lambda name: name != "./")
"""File names without blanks; those may not begin a comment."""


def refusal(text: bytes, name: str = NAME) -> str:
    with pytest.raises(ContentRefused) as refused:
        find(text, name)
    assert refused.value.remedy
    return refused.value.code


@pytest.mark.parametrize("algorithm", SIZES)
@pytest.mark.parametrize(
    "notation", ["{digest}  {name}", "{digest} *{name}", "{kind} ({name}) = {digest}", "{digest}  ./{name}"]
)
def test_both_notations_of_every_algorithm_are_read(algorithm: str, notation: str) -> None:
    digest = DIGESTS[algorithm].upper()
    text = notation.format(digest=digest, name=NAME, kind=algorithm.upper())
    found = find(f"# {NAME}: 5 bytes\n\n{DIGESTS['sha512']}  other.img\n{text}\r\n".encode(), NAME)
    assert (found.algorithm, found.digest) == (algorithm, DIGESTS[algorithm])


@pytest.mark.parametrize("other", [f"x{NAME}", f"{NAME}.old", f"old/{NAME}", NAME.upper(), f"{NAME} "])
def test_only_the_line_of_this_very_file_counts(other: str) -> None:
    assert refusal(f"{SHA256}  {other}\n".encode()) == "sums-no-line"


@pytest.mark.parametrize("again", [f"{SHA256}  {NAME}", f"SHA256 ({NAME}) = {SHA256}", f"{DIGESTS['md5']} *./{NAME}"])
def test_two_lines_for_one_file_are_refused_even_if_they_agree(again: str) -> None:
    assert refusal(f"{SHA256}  {NAME}\n{again}\n".encode()) == "sums-two-lines"


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        f"{SHA256}\t{NAME}".encode(),
        f"{SHA256[:-1]}  {NAME}".encode(),
        f"{SHA256}".encode(),
        f"SHA512 ({NAME}) = {SHA256}".encode(),
        f"SHA256({NAME})= {SHA256}".encode(),
        f"\\{SHA256}  a\\nb".encode(),
        f"{SHA256}  a\0b".encode(),
        b"\xff\xfe",
    ],
)
def test_what_is_not_understood_is_refused_rather_than_skipped(line: bytes) -> None:
    assert refusal(line + f"\n{SHA256}  {NAME}\n".encode()) == "sums-unreadable"


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(names, st.sampled_from(list(DIGESTS)), min_size=1, max_size=10), st.booleans())
def test_every_file_that_is_listed_is_found(listed: dict[str, str], bsd: bool) -> None:
    form = "{kind} ({name}) = {digest}" if bsd else "{digest}  {name}"
    text = "\n".join(form.format(name=n, kind=a.upper(), digest=DIGESTS[a]) for n, a in listed.items())
    clean = {name.removeprefix("./") for name in listed}
    if len(clean) == len(listed):
        for name, algorithm in listed.items():
            assert find(text.encode(), name.removeprefix("./")).algorithm == algorithm


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_no_bytes_confuse_the_reader(text: bytes) -> None:
    with suppress(ContentRefused):
        list(lines(content(text)))


SIGNED = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# - dashes
{SHA256}  {NAME}
- -----not a mark-----
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQ==
-----END PGP SIGNATURE-----
""".encode()


def test_signed_text_is_read_without_its_frame() -> None:
    assert content(SIGNED) == f"# - dashes\n{SHA256}  {NAME}\n-----not a mark-----\n".encode()
    assert find(SIGNED.replace(b"- -----not a mark-----\n", b""), NAME).digest == SHA256


@pytest.mark.parametrize(
    "text",
    [
        f"{'0' * 64}  {NAME}\n".encode() + SIGNED,
        SIGNED + f"{'0' * 64}  {NAME}\n".encode(),
        SIGNED + SIGNED,
        SIGNED.replace(b"-----END PGP SIGNATURE-----", b""),
        SIGNED.replace(b"\n\n", b"\n"),
    ],
)
def test_lines_outside_of_the_signed_part_are_not_taken_for_signed(text: bytes) -> None:
    assert refusal(text) == "sums-unreadable"
