"""webhook: an endpoint of the operator's has to agree before the image becomes active."""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.model.decision import StageCall
from gateway.model.errors import ContentRefused, Interrupted, Unavailable
from gateway.policy.record import said_time
from gateway.ports.webhooks import Answer, Webhooks
from gateway.service.delivery import in_thread
from gateway.service.site import Progress
from gateway.service.staged import Case, Staged
from gateway.stages.verdicts import reports_to_json


async def webhook(case: Case, staged: Staged, call: StageCall) -> Staged:
    """Raises ContentRefused (`webhook-denied`), and Unavailable where `on_error: accept` does not say otherwise."""
    options = call.as_mapping()
    name, webhooks = str(options["name"]), case.site.webhooks
    if webhooks is None:
        raise Unavailable("No webhook is set up here.", remedy="Tell the operator.", code="stage-unavailable")
    try:
        answer = await _asked(webhooks, name, case, staged)
    except Interrupted:
        raise
    except Unavailable as refusal:
        if options.get("on_error") != "accept":
            raise
        case.note(refusal.code, f"Accepted although: {refusal.message}")
        return staged
    case.notes.extend(answer.findings)
    if answer.word == "deny":
        raise _denied(name, answer)
    case.note(f"webhook-{answer.word}", answer.message or f"'{name}' agrees.")
    return staged


async def _asked(webhooks: Webhooks, name: str, case: Case, staged: Staged) -> Answer:
    question = partial(
        webhooks.ask,
        name,
        message_id=f"{case.id}.{name}",
        now=case.site.clock.now(),
        message=_message(name, case, staged),
    )
    return await in_thread(case.attempt.progress if case.attempt else Progress(), question)


def _denied(name: str, answer: Answer) -> ContentRefused:
    said = f": {answer.message}" if answer.message else "."
    return ContentRefused(
        f"The operator's webhook '{name}' refuses this image{said}",
        remedy="Ask the operators of your cloud what it expects of an image.",
        code="webhook-denied",
    )


def _message(name: str, case: Case, staged: Staged) -> dict[str, Any]:
    """What the endpoint is told. Property values and addresses' query strings are not its business."""
    image, verdict, decision = case.image, staged.verdict, case.judgement.decision
    return {
        "type": "image.staged",
        "timestamp": said_time(case.site.clock.now()),
        "data": {
            "webhook": name,
            "image_id": image.id,
            "project_id": image.owner,
            "import_id": case.attempt.work.id if case.attempt else None,
            "attempt": case.attempt.work.attempt if case.attempt else 1,
            "source": dict(case.source),
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "size": verdict.size,
            "source_size": verdict.source_size,
            "virtual_size": verdict.virtual_size,
            "found_format": verdict.disk_format,
            "hashes": dict(verdict.hashes),
            "source_hashes": dict(verdict.source_hashes),
            "stages": reports_to_json((*verdict.reports, *staged.reports)),
            "policy_revision": decision.revision,
            "decision_id": case.judgement.id,
        },
    }
