"""Envelopes: what is signed is verified by others too, and no changed byte goes through."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import BadRequest, ContentRefused, Refusal, Unavailable
from gateway.model.receipt import envelope
from gateway.tools.envelopes import keyid_of, pem_of, read_keys, verified
from gateway.tools.receiptkeys import ReceiptKeys, open_receipt_keys, signing_key
from tests.receipts.independent import opened, openssl_agrees

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key()
FOREIGN = generate_private_key(SECP256R1())
SAID = json.dumps({"image": "ü\n", "size": 7}, sort_keys=True)


def signed(said: str = SAID, key: Ed25519PrivateKey = KEY) -> dict[str, Any]:
    signature = ReceiptKeys(key).sign(said)
    assert signature is not None
    return envelope(said, signature)


def refused(text: str, *keys: Ed25519PrivateKey) -> str:
    with pytest.raises(ContentRefused) as caught:
        verified(text, [key.public_key() for key in keys or (KEY,)])
    assert caught.value.message
    assert caught.value.remedy
    return caught.value.code


def test_what_is_signed_comes_back() -> None:
    assert verified(json.dumps(signed()), [PUBLIC]) == (keyid_of(PUBLIC), SAID.encode())
    assert verified(json.dumps(signed(), indent=4), [OTHER.public_key(), PUBLIC])[1] == SAID.encode()


def test_the_same_statement_gets_the_same_envelope() -> None:
    assert signed() == signed()


@given(st.text(max_size=50))
@settings(deadline=None, max_examples=50)
def test_others_read_what_the_gateway_signs(text: str) -> None:
    said = json.dumps(text)
    assert opened(signed(said), pem_of(PUBLIC)) == text
    with pytest.raises(InvalidSignature):
        opened(signed(said, OTHER), pem_of(PUBLIC))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed: apt install openssl")
def test_openssl_takes_the_signature(tmp_path: Path) -> None:
    assert openssl_agrees(tmp_path, signed(), pem_of(PUBLIC))
    assert not openssl_agrees(tmp_path, signed(key=OTHER), pem_of(PUBLIC))


def test_no_changed_character_goes_through() -> None:
    """Each one, in the payload, its type, the key's id, the signature and the names and marks around them."""
    text = json.dumps(signed(), separators=(",", ":"))
    for place, char in enumerate(text):
        for other in {chr(ord(char) ^ 1), "A", "0"} - {char}:
            refused(text[:place] + other + text[place + 1 :])


def test_no_cut_goes_through() -> None:
    text = json.dumps(signed())
    for place in range(len(text)):
        refused(text[:place])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"payload": signed("{}")["payload"]}, "receipt-changed"),
        ({"payloadType": "application/json"}, "receipt-unreadable"),
        ({"signatures": signed("{}")["signatures"]}, "receipt-changed"),
        ({"signatures": []}, "receipt-key-unknown"),
        ({"signatures": signed(key=OTHER)["signatures"]}, "receipt-key-unknown"),
        ({"signatures": signed()["signatures"] * 2}, "receipt-unreadable"),
        ({"signatures": [{**signed(key=OTHER)["signatures"][0], "keyid": keyid_of(PUBLIC)}]}, "receipt-changed"),
        ({"signatures": [{**signed()["signatures"][0], "sig": ""}]}, "receipt-changed"),
        ({"signatures": {"keyid": 1}}, "receipt-unreadable"),
        ({"payload": 7}, "receipt-unreadable"),
    ],
)
def test_what_is_wrong_has_a_name(change: dict[str, Any], code: str) -> None:
    assert refused(json.dumps({**signed(), **change})) == code


def test_another_key_proves_nothing() -> None:
    assert refused(json.dumps(signed()), OTHER) == "receipt-key-unknown"


def test_a_second_signature_by_somebody_else_does_not_matter() -> None:
    both = {**signed(), "signatures": signed(key=OTHER)["signatures"] + signed()["signatures"]}
    assert verified(json.dumps(both), [PUBLIC])[0] == keyid_of(PUBLIC)


@given(st.one_of(st.text(), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)))
@settings(deadline=None)
def test_nothing_else_is_a_receipt(text: str) -> None:
    assert refused(text) == "receipt-unreadable"


def test_deep_nesting_is_refused_like_anything_else() -> None:
    assert refused("[" * 200_000) == "receipt-unreadable"


def test_a_file_may_hold_many_keys() -> None:
    text = pem_of(PUBLIC) + "between\n" + pem_of(OTHER.public_key())
    assert [keyid_of(key) for key in read_keys(text)] == [keyid_of(PUBLIC), keyid_of(OTHER.public_key())]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        FOREIGN.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_keys(text)
    assert caught.value.code == "bad-receipt-key"


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "receipt.key"
    first = open_receipt_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_receipt_keys(path).sign(SAID) == first.sign(SAID)
    assert [file.name for file in tmp_path.iterdir()] == ["receipt.key"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        FOREIGN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        pem_of(PUBLIC).encode(),
    ],
)
def test_a_key_that_cannot_be_used_signs_nothing_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "receipt.key"
    path.write_bytes(content)
    before = path.read_bytes()
    keys = open_receipt_keys(path)
    assert (keys.sign(SAID), keys.public) == (None, "")
    assert path.read_bytes() == before
    with pytest.raises(Unavailable):
        signing_key(path)


def test_a_folder_that_is_away_stops_nothing(tmp_path: Path) -> None:
    assert open_receipt_keys(tmp_path / "gone" / "receipt.key").sign(SAID) is None


def test_retired_keys_are_told_after_the_one_that_signs(tmp_path: Path) -> None:
    (tmp_path / "old.pem").write_text(pem_of(PUBLIC))
    keys = open_receipt_keys(tmp_path / "receipt.key", [tmp_path / "old.pem"])
    own, old = read_keys(keys.public)
    assert keyid_of(own) != keyid_of(old) == keyid_of(PUBLIC)
    for name in ("none.pem", "receipt.key"):
        with pytest.raises(Refusal, match=name):
            open_receipt_keys(tmp_path / "receipt.key", [tmp_path / name])
