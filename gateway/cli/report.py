"""What the stages found out about an image, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from gateway.policy.wording import said_size

_STYLES = {"passed": "green", "refused": "bold red", "skipped": "dim"}


def stage_table(stages: Iterable[Mapping[str, Any]]) -> Table:
    """One row a stage, and under it what it found. `seconds` and `bytes` are those the stage itself took."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for title in ("Stage", "Verdict", "Bytes", "Seconds", "Findings"):
        table.add_column(title, justify="right" if title in ("Bytes", "Seconds") else "left")
    for stage in stages:
        verdict = str(stage.get("verdict", ""))
        table.add_row(
            Text(str(stage.get("name", ""))),
            Text(verdict, style=_STYLES.get(verdict, "")),
            said_size(int(stage.get("bytes") or 0)),
            f"{float(stage.get('seconds') or 0):.2f}",
            Text("\n".join(_finding(finding) for finding in stage.get("findings") or ())),
        )
    return table


def _finding(finding: Mapping[str, Any]) -> str:
    return f"{finding.get('code', '')}: {finding.get('message', '')}"


def said_image(image: Mapping[str, Any]) -> str:
    """One line about an active image."""
    size = said_size(int(image.get("size") or 0))
    return f"Image {image.get('id')} ({image.get('name')}) is active: {size}, {image.get('disk_format')}."
