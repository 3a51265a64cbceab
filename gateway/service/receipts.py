"""What the gateway states about the bytes it made an image's, kept in the transaction that activates the image.

Signing is a computation with a key in memory, so it costs the transaction nothing; where the key is away the statement
is kept all the same, and signed at the first start with a key. An image that came in by an import or an upload is
active exactly when it has its receipt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from gateway.model.caller import Caller
from gateway.model.errors import NotFound, Unavailable
from gateway.model.receipt import PREDICATE_TYPE, STATEMENT_TYPE, Receipt, envelope
from gateway.model.verdict import StageReport, Verdict
from gateway.policy.record import said_time
from gateway.ports import Transaction
from gateway.service.images import visible
from gateway.service.judge import Judgement
from gateway.service.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an image's bytes came from, as it may be shown to whoever sees the image.

    `kind` is `import`, `upload` (`PUT file`) or `location` (the bytes stay where they are); `shown` is what a task
    shows of the source: no credentials, no query strings. `began` is when its import was asked for.
    """

    kind: str
    method: str
    shown: Mapping[str, object]
    began: datetime


def receipt(
    site: Site, image_id: str, origin: Origin, verdict: Verdict, judgement: Judgement, *, now: datetime
) -> Receipt:
    """The receipt of an image that becomes active at `now` by that verdict and that final decision."""
    said = statement(image_id, origin, verdict, judgement, now=now)
    return Receipt(image_id=image_id, statement=said, at=now, signature=site.receipts.sign(said))


def statement(image_id: str, origin: Origin, verdict: Verdict, judgement: Judgement, *, now: datetime) -> str:
    """An in-toto Statement v1: JSON with sorted keys and without spaces, so that equal values are equal bytes."""
    said = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": image_id, "digest": dict(verdict.hashes)}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "gateway": {"name": "import-gateway", "version": own_version()},
            "source": _source(origin, verdict),
            "stored": _stored(verdict),
            "stages": [_stage(report) for report in verdict.reports],
            "policy": {"revision": judgement.decision.revision, "decision": judgement.id},
            "times": {"began": said_time(origin.began), "activated": said_time(now)},
        },
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _source(origin: Origin, verdict: Verdict) -> dict[str, Any]:
    """The bytes as they came in. Their digests are those of the stored bytes where no stage has changed them."""
    sent = verdict.as_sent
    unchanged = sent.hashes if sent.source_size == sent.size else {}
    return {
        "kind": origin.kind,
        "method": origin.method,
        "shown": {key: value for key, value in origin.shown.items() if key != "credential"},
        "size": sent.source_size,
        "digest": dict(sent.source_hashes or unchanged),
    }


def _stored(verdict: Verdict) -> dict[str, Any]:
    return {
        "size": verdict.size,
        "digest": dict(verdict.hashes),
        "virtual_size": verdict.virtual_size,
        "disk_format": verdict.disk_format,
    }


def _stage(report: StageReport) -> dict[str, Any]:
    """Stages are part of the gateway and have its version; a tool's own is among the findings."""
    return {
        "name": report.name,
        "version": own_version(),
        "verdict": str(report.outcome),
        "options": dict(report.options),
        "findings": [{"code": finding.code, "message": finding.message} for finding in report.findings],
        "bytes": report.size,
        "seconds": round(report.seconds, 6),
    }


@cache
def own_version() -> str:
    return version("import-gateway")


async def shown(site: Site, caller: Caller, image_id: str) -> dict[str, object]:
    """The envelope of an image's receipt, the same bytes whenever it is asked for. Raises NotFound, Unavailable."""
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        found = await tx.receipt(image_id)
    if found is None:
        raise NotFound(
            f"Image {image_id} has no receipt; it is {image.status}.",
            remedy="An image gets one when an import or an upload makes it active.",
            code="no-receipt",
        )
    if found.signature is None:
        raise Unavailable(
            f"The receipt of image {image_id} waits to be signed: the gateway's key is away.",
            remedy="Ask again later. The operator's log names the key; it signs at the service's next start.",
            code="receipt-unsigned",
        )
    return envelope(found.statement, found.signature)


async def sign_waiting(site: Site) -> int:
    """Sign what was kept while the key was away; done again, it changes nothing. Returns how many were signed."""
    signed = 0
    while True:
        async with site.catalog.begin() as tx:
            page = await tx.waiting_receipts()
            done = [await _sign(site, tx, one) for one in page]
        signed += sum(done)
        if not all(done) or not page:
            return signed


async def _sign(site: Site, tx: Transaction, one: Receipt) -> bool:
    signature = site.receipts.sign(one.statement)
    if signature is not None:
        await tx.sign_receipt(one.image_id, signature)
    return signature is not None
