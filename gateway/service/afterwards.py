"""The stages that run once the bytes are whole and judged: they wait for others, or change more than bytes.

They run before the image becomes active, each time an import comes to that point: after a crash they run again, so
they have to be repeatable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gateway.model.decision import StageCall
from gateway.model.errors import Conflict, Refusal
from gateway.model.verdict import Finding, Outcome, StageReport, Verdict
from gateway.service.approve import Parked, approve
from gateway.service.converting import convert
from gateway.service.injecting import inject
from gateway.service.second_opinion import second_opinion
from gateway.service.staged import Case, Staged
from gateway.service.webhook import webhook

After = Callable[[Case, Staged, StageCall], Awaitable[Staged]]
"""Gives on what it was given, changed or not. Raises a Refusal to end the import."""

AFTER: Mapping[str, After] = {
    "second-opinion": second_opinion,
    "convert": convert,
    "inject": inject,
    "webhook": webhook,
    "approve": approve,
}
"""Every after stage of this build, in running order."""

WAITING = frozenset({"convert", "approve"})
"""They take longer than a request may."""


def after_stages(webhooks: Iterable[str], *, converter: bool) -> frozenset[str]:
    """The after stages that a site can run: webhooks by their names alone, with or without a converter."""
    named = {f"webhook/{name}" for name in webhooks}
    unable = {"webhook"} | (set() if converter else {"convert", "second-opinion"})
    return (frozenset(AFTER) - unable) | named


def streaming(calls: Sequence[StageCall]) -> tuple[StageCall, ...]:
    """The stages that look at the bytes as they come. Nothing is converted that was not inspected."""
    names = {call.name for call in calls}
    brought = [StageCall("inspect")] if "convert" in names and "inspect" not in names else []
    return (*(call for call in calls if call.name not in AFTER), *brought)


async def run_after(case: Case, staged: Staged, calls: Sequence[StageCall]) -> Staged:
    """Run what a plan wants. Raises the Refusal that ends it; an attempt's report then says which stage it was."""
    order = list(AFTER)
    wanted = [call for call in (*calls, *_opinions(calls)) if call.name in AFTER]
    for call in sorted(wanted, key=lambda call: order.index(call.name)):
        staged = await _ran(replace(case, notes=[]), staged, call)
    return staged


def _opinions(calls: Sequence[StageCall]) -> list[StageCall]:
    """An option of inspect that cannot be had while the bytes come: it needs the whole file."""
    asked = any(call.name == "inspect" and call.as_mapping().get("second_opinion") for call in calls)
    return [StageCall("second-opinion")] if asked else []


async def _ran(case: Case, staged: Staged, call: StageCall) -> Staged:
    start = case.site.clock.monotonic()

    def report(outcome: Outcome, *more: Finding) -> tuple[StageReport, ...]:
        this = StageReport(
            name=call.name,
            outcome=outcome,
            findings=(*case.notes, *more),
            size=staged.verdict.size,
            seconds=case.site.clock.monotonic() - start,
            options=call.as_mapping(),
        )
        return _told(case, (*staged.reports, this))

    report(Outcome.SKIPPED)
    try:
        after = await AFTER[call.name](case, staged, call)
    except Parked:
        report(Outcome.SKIPPED)
        raise
    except Refusal as refusal:
        report(Outcome.REFUSED, Finding(code=refusal.code, message=refusal.message, remedy=refusal.remedy))
        raise
    return replace(after, reports=report(Outcome.PASSED))


def _told(case: Case, reports: tuple[StageReport, ...]) -> tuple[StageReport, ...]:
    """Tasks show what has run so far."""
    if case.attempt is not None:
        case.attempt.after = reports
    return reports


def whole(staged: Staged) -> Verdict:
    """The verdict with the reports of all stages, as it is kept."""
    return replace(staged.verdict, reports=(*staged.verdict.reports, *staged.reports))


def check_immediate(calls: Sequence[StageCall]) -> None:
    """Raises Conflict for a stage that bytes which come with their request cannot wait for."""
    for call in calls:
        if call.name in WAITING:
            raise needs_import(f"the stage '{call.name}'")


def needs_import(what: str) -> Conflict:
    return Conflict(
        f"This cloud's policy wants {what}, which an upload with PUT file cannot wait for.",
        remedy="Send the data with PUT /v2/images/{id}/stage, then import it with the method glance-direct.",
        code="stage-needs-import",
    )
