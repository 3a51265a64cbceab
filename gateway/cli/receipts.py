"""`import-gateway receipt-key` and `verify-receipt`: what receipts are verified with, and verifying one offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connection import JsonOption
from gateway.cli.serving import ConfigOption, DataOption

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LARGEST = 8 << 20
"""Bytes that a receipt may have; real ones have a few thousand."""

ReceiptFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="What GET receipt gave.")
]
KeyOption = Annotated[
    list[Path],
    typer.Option(
        "--key", exists=True, dir_okay=False, readable=True, help="The gateway's public keys, PEM; repeat for more."
    ),
]
ImageOption = Annotated[
    Path | None,
    typer.Option("--image", exists=True, dir_okay=False, readable=True, help="The image's data, to be compared."),
]


def receipt_key(config: ConfigOption = None, data: DataOption = None) -> None:
    """Print the site's public keys of receipts: the one that signs, then retired ones.

    Give them to whoever is to verify receipts. To change the key, keep what this prints in a file, name that file under
    receipts.retired and a new file as receipts.key, and start the service again.
    """
    from gateway.cli.records import settings_of
    from gateway.tools.receiptkeys import ReceiptKeys, retired_keys, signing_key

    settings = settings_of(config, data)
    old = [key for file in settings.receipts.retired for key in retired_keys(file)]
    print(ReceiptKeys(signing_key(settings.receipt_key_path), old).public, end="")


def verify_receipt(file: ReceiptFile, key: KeyOption, image: ImageOption = None, json: JsonOption = False) -> None:
    """Verify a receipt offline: who signed it, that it is whole, and with --image that it is about that file.

    Exit codes: 0 verified, 1 not to be relied on, 2 used wrongly.
    """
    from gateway.cli.speech import print_json, remark
    from gateway.tools.envelopes import verified

    keyid, payload = verified(_text(file), [one for path in key for one in _keys(path)])
    statement = _statement(payload)
    if image is not None:
        _compare(image, statement)
    if json:
        print_json(statement)
    else:
        print(_said(statement, keyid, compared=image is not None))
        if image is None:
            remark("Only the receipt was looked at. Add --image FILE to compare the image's data with it.")


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(LARGEST).decode("utf-8", errors="replace")


def _keys(path: Path) -> list[Ed25519PublicKey]:
    from gateway.model.errors import BadRequest
    from gateway.tools.envelopes import read_keys

    try:
        return read_keys(path.read_text("utf-8", errors="replace"))
    except BadRequest as refusal:
        raise typer.BadParameter(f"{path}: {refusal.message} {refusal.remedy}", param_hint="--key") from None


def _statement(payload: bytes) -> dict[str, Any]:
    """What was signed, once it is known to be a receipt. Raises ContentRefused."""
    from json import loads

    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    from gateway.model.errors import ContentRefused
    from gateway.shipped_files import shipped

    schema = loads((shipped("schemas") / "receipt.schema.json").read_text())
    try:
        found: dict[str, Any] = loads(payload)
        problem = best_match(Draft202012Validator(schema).iter_errors(found))
        why = problem and f"{problem.json_path}: {problem.message}"
    except (ValueError, RecursionError) as error:
        why = str(error)
    if why:
        raise ContentRefused(
            f"What the key has signed is no receipt of an image: {why[:300]}",
            remedy="A newer gateway may have made it: verify it with a version that knows it.",
            code="receipt-unknown",
        )
    return found


def _compare(image: Path, statement: dict[str, Any]) -> None:
    """By every digest there is. Raises ContentRefused, also where none of them proves anything any more."""
    import hashlib

    from gateway.model.errors import ContentRefused

    digests = statement["subject"][0]["digest"]
    known = {name: value for name, value in digests.items() if name in ("sha256", "sha384", "sha512")}
    for name, expected in known.items():
        with image.open("rb") as opened:
            if hashlib.file_digest(opened, name).hexdigest() != expected:
                raise ContentRefused(
                    f"{image} is not the data of this receipt's image: its {name} is another.",
                    remedy="Download the image again, or look for the receipt of this file.",
                    code="image-differs",
                )
    if not known:
        raise ContentRefused(
            f"{image} cannot be compared: the receipt has no digest that proves anything ({', '.join(digests)}).",
            remedy="Only sha256, sha384 and sha512 do.",
            code="no-strong-digest",
        )


def _said(statement: dict[str, Any], keyid: str, *, compared: bool) -> str:
    made = statement["predicate"]
    source, digests = made["source"], statement["subject"][0]["digest"]
    uri = source["shown"].get("uri")
    stages = ", ".join(f"{stage['name']} {stage['verdict']}" for stage in made["stages"]) or "none"
    lines = [
        f"Verified: image {statement['subject'][0]['name']}" + (", and the file is its data" if compared else ""),
        f"  signed by  key {keyid}",
        f"  source     {source['kind']} by {source['method']}" + (f" from {uri}" if uri else ""),
        *(f"  {name:9}  {digest}" for name, digest in sorted(digests.items())),
        f"  stages     {stages}",
        f"  policy     {made['policy']['revision']}, decision {made['policy']['decision']}",
        f"  activated  {made['times']['activated']}, by import-gateway {made['gateway']['version']}",
    ]
    return "\n".join(_plain(line) for line in lines)


def _plain(line: str) -> str:
    """Whatever was signed, it does not steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in line)
