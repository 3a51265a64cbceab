"""Verdicts as values that are kept: their JSON form, and whether one covers what a later plan wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.model.decision import StageCall
from gateway.model.verdict import Finding, Outcome, StageReport, Verdict


def covers(done: Sequence[StageReport], wanted: Sequence[StageCall]) -> bool:
    """Whether every wanted stage, with the same options, is among those that passed."""
    passed = [(report.name, dict(report.options)) for report in done if report.outcome is Outcome.PASSED]
    return all((call.name, call.as_mapping()) in passed for call in wanted)


def proves(verdict: Verdict, expected: Mapping[str, str]) -> bool:
    """Whether the bytes, as they came in, were found to have all these digests."""
    found = {**(verdict.hashes if verdict.size == verdict.source_size else {}), **verdict.source_hashes}
    return all(found.get(algorithm) == digest for algorithm, digest in expected.items())


def report_to_json(report: StageReport) -> dict[str, Any]:
    """One stage's report as `tasks` shows it; `bytes` were seen by the stage."""
    return {
        "name": report.name,
        "verdict": str(report.outcome),
        "findings": [finding_to_json(finding) for finding in report.findings],
        "seconds": round(report.seconds, 6),
        "bytes": report.size,
        "options": dict(report.options),
    }


def finding_to_json(finding: Finding) -> dict[str, Any]:
    return {"code": finding.code, "message": finding.message, "remedy": finding.remedy, "fatal": finding.fatal}


def reports_to_json(reports: Sequence[StageReport]) -> list[dict[str, Any]]:
    return [report_to_json(report) for report in reports]


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Plain JSON values; `verdict_from_json` is the way back."""
    return {
        "size": verdict.size,
        "source_size": verdict.source_size,
        "hashes": dict(verdict.hashes),
        "source_hashes": dict(verdict.source_hashes),
        "disk_format": verdict.disk_format,
        "virtual_size": verdict.virtual_size,
        "stages": reports_to_json(verdict.reports),
        **({"made_of": verdict_to_json(verdict.made_of)} if verdict.made_of else {}),
    }


def report_from_json(value: Mapping[str, Any]) -> StageReport:
    return StageReport(
        name=value["name"],
        outcome=Outcome(value["verdict"]),
        findings=tuple(Finding(**finding) for finding in value["findings"]),
        size=value["bytes"],
        seconds=value["seconds"],
        options=dict(value["options"]),
    )


def verdict_from_json(value: Mapping[str, Any]) -> Verdict:
    """Raises KeyError or ValueError where `value` was not made by `verdict_to_json`."""
    return Verdict(
        size=value["size"],
        source_size=value["source_size"],
        hashes=dict(value["hashes"]),
        source_hashes=dict(value.get("source_hashes", {})),
        disk_format=value["disk_format"],
        virtual_size=value["virtual_size"],
        reports=tuple(report_from_json(report) for report in value["stages"]),
        made_of=verdict_from_json(value["made_of"]) if "made_of" in value else None,
    )
